"""The command of a single stage, with an option for each of its inputs and settings."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import ValidationError

from adapt import aliases, stages
from adapt.cli.output import OVERWRITE, SEED, print_line, progress_printer, refuse_existing
from adapt.cli.read_options import DataCommand, reads_data
from adapt.errors import UserError
from adapt.recipe import yaml_lines
from adapt.recipe.values import unknown_setting, validation_messages
from adapt.settings import Option
from adapt.stages import Stage, TrainingStage


class StageCommand(DataCommand):
    """A command whose help shows its options in sections."""

    sections: Mapping[str, list[click.Parameter]] = {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a row for each option, in sections; the options of reading data files are only named."""
        for heading, options in self.sections.items():
            if options:
                with formatter.section(heading):
                    formatter.write_dl([(option.opts[0], str(getattr(option, "help", ""))) for option in options], col_max=34)
        self.name_reading_options(formatter)


def stage_command(word: str) -> click.Command:
    """The command of a stage: an option for each input and setting, as the stage declares them, and hidden ones for old names."""
    stage = stages.find(word)
    files = [_input_option(want) for want in stage.inputs()]
    made = "folder for the model" if stage.output_kind().endswith("encoder") else "file for the result (.jsonl, .csv, .parquet ...)"
    files.append(click.Option(["--out"], required=True, type=click.Path(path_type=Path), help=f"{made}  [required]"))
    sections: dict[str, list[click.Parameter]] = {"Inputs and output": files, "Settings": []}
    for option in stage.options():
        sections.setdefault(_section(stage, option), []).append(_setting_option(stage, option))
    sections["Inputs and output"] += [
        click.Option(["--seed"], type=SEED, default=13, help="random seed  [default: 13]"),
        OVERWRITE,
    ]
    visible = [option for options in sections.values() for option in options]
    hidden = [*_old_options(stage, {str(option.name) for option in visible}), click.Option(["--force"], is_flag=True, hidden=True)]

    def go(out: Path, seed: int, overwrite: bool, force: bool, **given: Any) -> None:
        if force:
            print_line("note: --force is now --overwrite; the old option still works", err=True)
        _one_stage(stage, out, seed, overwrite or force, {k: v for k, v in given.items() if v not in (None, ())})

    first, _, more = inspect.cleandoc(stage.__doc__ or "").partition("\n")
    doc = f"{first}\n{more}\n\n\b\n{stage.example}"
    command = StageCommand(word, callback=go, params=[*visible, *hidden], help=doc, short_help=stage.help())
    command.sections = sections
    return reads_data(command)


class PluginCommand(click.Command):
    """The command of a stage from another package, which is imported when the command is used: `adapt --help` shows its package."""

    def __init__(self, name: str):
        super().__init__(name, short_help=f"A stage of the package {stages.package_of(name)}.")

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """The context of the stage's own command."""
        return stage_command(self.name or "").make_context(*args, **kwargs)


def _one_stage(stage_class: type[Stage], out: Path, seed: int, overwrite: bool, given: Mapping[str, Any]) -> None:
    from adapt.pipeline.single_stage import run_stage

    inputs = {want.name for want in stage_class.inputs()}
    stage = _stage(stage_class, {name: value for name, value in given.items() if name not in inputs})
    refuse_existing(out, overwrite)
    sources = {name: value for name, value in given.items() if name in inputs}
    counts = run_stage(stage, sources, out, seed, progress_printer()).counts
    print_line(f"{out}: " + "  ".join(f"{k} {_plain(v)}" for k, v in counts.items()))


def _stage(stage_class: type[Stage], given: Mapping[str, Any]) -> Stage:
    """The stage with the settings of a command line; raises UserError for values that it does not take."""
    word = stage_class.name()
    target = stages.find(aliases.OBJECTIVES[given["objective"]]) if "objective" in given else stage_class
    flat = {name: yaml_lines.scalar(value) if isinstance(value, str) else value for name, value in given.items()}
    paths = {option.name: ".".join(option.path) for option in target.options()}
    for name, alias in aliases.of_stage(target.name()).items():
        if flat.get(name) in alias.values and paths.get(name) == alias.new:  # an option of today with a value of before
            aliases.warn(f"'--{name} {flat[name]}' is now '--{name} {alias.convert(flat[name])}'; the old value still works")
            flat[name] = alias.convert(flat[name])
    settings = stages.nested(target, flat)
    if isinstance(settings.get("loss"), dict) and "name" not in settings["loss"]:
        settings["loss"] = {"name": "mnrl", **settings["loss"]}
    renamed = aliases.rename(word, settings)
    for note in renamed.notes:
        aliases.warn(note)
    if renamed.problems:
        raise UserError([f"--{text}" for _, text in renamed.problems])
    renamed.settings.pop("id", None)
    flags: dict[tuple[str | int, ...], str] = {option.path: _flag(option.name) for option in target.options()}
    try:
        return target.model_validate(renamed.settings)
    except ValidationError as error:
        problems = []
        for location, kind, phrase in validation_messages(error):
            flag = flags.get(location) or flags.get((*location, "name")) or _flag(str(location[-1]))
            problems.append(f"{flag}: {unknown_setting(location, target) if kind == 'extra_forbidden' else phrase}")
        raise UserError(problems) from None


def _input_option(want: stages.Input) -> click.Parameter:
    kinds = " or ".join(want.kinds)
    is_data = not want.kinds[0].endswith("encoder")
    description = f"{kinds}: a file or folder; repeatable" if is_data else f"{kinds}: a folder or name"
    description += "  [required]" if want.required else ""
    return click.Option([_flag(want.name)], required=want.required, multiple=is_data, help=description)


def _setting_option(stage: type[Stage], option: Option) -> click.Parameter:
    """An option for a setting; pydantic checks its value."""
    kind, multiple = _click_type(option.annotation)
    alias = aliases.of_stage(stage.name()).get(option.name)
    default = stage.default_of(option)
    shown = "" if default in (None, (), "") or default is False else f"  [default: {_plain(default)}]"
    only = f"({', '.join(option.only)}) " if option.only else ""
    description = f"{only}{option.description}{shown}"
    if isinstance(kind, click.Choice) and not multiple:
        choices = ", ".join(f"{name} (default)" if name == default else name for name in kind.choices)
        description = f"{only}{option.description}: {choices}"
        kind = click.Choice([*kind.choices, *(alias.values if alias else ())])
    return (
        _truth_option(option.name, help=description)
        if kind is bool
        else click.Option([_flag(option.name)], type=kind, multiple=multiple, help=description)
    )


def _truth_option(name: str, help: str = "", hidden: bool = False) -> click.Option:
    """An option that may be given as a flag or with a value: `--symmetric`, `--symmetric false`."""
    return click.Option([_flag(name)], type=str, is_flag=False, flag_value="true", help=help, hidden=hidden)


def _section(stage: type[Stage], option: Option) -> str:
    if option.only or option.path[0] == "loss":
        return "Loss (in parentheses: the losses with that setting)"
    return "Training" if issubclass(stage, TrainingStage) and option.path[0] in TrainingStage.model_fields else "Settings"


def _old_options(stage: type[Stage], taken: Iterable[str]) -> list[click.Parameter]:
    """Hidden options for the names that settings had before; see `adapt.aliases`."""
    multiple = {option.path: _click_type(option.annotation)[1] for option in stage.options()}
    old = {name: multiple.get(tuple(alias.new.split(".")), False) for name, alias in aliases.of_stage(stage.name()).items()}
    if stage.name() == "tsdae":
        others = {name for word in aliases.UNUSED for name in (*aliases.of_stage(word), *aliases.UNUSED[word])}
        old = dict.fromkeys(others, False) | old | {"objective": False}
    found: list[click.Parameter] = []
    for name in sorted(set(old) - set(taken)):
        choices = click.Choice(list(aliases.OBJECTIVES)) if name == "objective" else str
        is_truth = name in ("tied", "soft_margin", "calibrated")
        plain = click.Option([_flag(name)], type=choices, multiple=old[name], hidden=True)
        found.append(_truth_option(name, hidden=True) if is_truth else plain)
    return found


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _click_type(annotation: Any) -> tuple[Any, bool]:
    """(click's type, whether it may be given several times) for a field's annotation; pydantic checks the bounds."""
    args = [a for a in typing.get_args(annotation) if a is not type(None)]
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return click.Choice([str(a) for a in args]), False
    if origin is tuple:
        return _click_type(args[0])[0], True
    if origin in (typing.Union, types.UnionType):
        return str, False  # a value, or null
    if origin is typing.Annotated:
        return _click_type(args[0])
    return {bool: bool, int: int, float: float}.get(annotation, str), False
