"""One stage by hand: its command, read from the stage."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any, Literal

import click
from pydantic import ValidationError

from adapt import stages
from adapt.cli.output import OVERWRITE, SEED, refuse_existing, say, voice
from adapt.cli.read_options import reads_data
from adapt.errors import UserError
from adapt.recipe import yaml_lines
from adapt.recipe.values import validation_messages


def stage_command(word: str) -> click.Command:
    """The command of a stage: an option for each input and setting, as the stage declares them."""
    stage = stages.find(word)
    made = stage.output_kind()
    what = "folder of the model" if made.endswith("encoder") else "file for the result (.jsonl, .csv, .parquet ...)"
    options: list[click.Parameter] = []
    for want in stage.inputs():
        kinds = " or ".join(want.kinds)
        data = not want.kinds[0].endswith("encoder")
        what_it_is = f"{kinds}: a file or folder; may be given again" if data else f"{kinds}: a folder or name"
        options.append(click.Option([_flag(want.name)], required=want.required, multiple=data, help=what_it_is))
    options.append(click.Option(["--out"], required=True, type=click.Path(path_type=Path), help=what))
    for name, info in stage.model_fields.items():
        shown = "" if info.default in (None, ()) else f"  [default: {_plain(info.default)}]"
        kind, multiple = _click_type(info.annotation)
        options.append(click.Option([_flag(name)], type=kind, multiple=multiple, help=f"{info.description}{shown}"))
    options.append(click.Option(["--seed"], type=SEED, default=13, show_default=True, help="for every random choice"))
    options += [OVERWRITE, click.Option(["--force"], is_flag=True, hidden=True)]

    def go(out: Path, seed: int, overwrite: bool, force: bool, **given: Any) -> None:
        if force:
            say("note: --force is called --overwrite now", err=True)
        _one_stage(stage, out, seed, overwrite or force, given)

    first, _, more = inspect.cleandoc(stage.__doc__ or "").partition("\n")
    doc = f"{first}\n{more}\n\n\b\n{stage.example}"
    return reads_data(click.Command(word, callback=go, params=options, help=doc, short_help=stage.help()))


class PluginCommand(click.Command):
    """The command of a stage from another package, which is imported when the command is used: `adapt --help` shows its package."""

    def __init__(self, name: str):
        super().__init__(name, short_help=f"A stage of the package {stages.package_of(name)}.")

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """The context of the stage's own command."""
        return stage_command(self.name or "").make_context(*args, **kwargs)


def _one_stage(stage_class: type[stages.Stage], out: Path, seed: int, overwrite: bool, given: dict[str, Any]) -> None:
    from adapt.pipeline.single_stage import run_stage

    names = {want.name for want in stage_class.inputs()}
    settings = {k: yaml_lines.scalar(v) if v == "null" else v for k, v in given.items() if k not in names and v not in (None, ())}
    try:
        stage = stage_class.model_validate(settings)
    except ValidationError as error:
        raise UserError([f"{_flag(str(location[0]))}: {phrase}" for location, _, phrase in validation_messages(error)]) from None
    sources = {k: v for k, v in given.items() if k in names and v not in (None, ())}
    refuse_existing(out, overwrite)
    counts = run_stage(stage, sources, out, seed, voice()).counts
    say(f"{out}: " + "  ".join(f"{k} {_plain(v)}" for k, v in counts.items()))


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _click_type(annotation: Any) -> tuple[Any, bool]:
    """(click's type, whether it may be given several times) for a field's annotation; pydantic checks the bounds."""
    args = [a for a in typing.get_args(annotation) if a is not type(None)]
    if typing.get_origin(annotation) is Literal:
        return click.Choice([str(a) for a in args]), False
    if typing.get_origin(annotation) is tuple:
        return _click_type(args[0])[0], True
    if type(None) in typing.get_args(annotation):
        return str, False  # a value, or null
    if typing.get_origin(annotation) is typing.Annotated:
        return _click_type(args[0])
    return {bool: bool, int: int, float: float}.get(annotation, str), False
