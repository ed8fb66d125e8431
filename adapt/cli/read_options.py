"""The options of every command that reads data files; prints notes and writes the rejected rows."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from adapt.cli.output import print_line
from adapt.errors import UserError
from adapt.files.options import ReadLog, ReadOptions, reading
from adapt.recipe.values import validation_messages

_FIELDS = ReadOptions.model_fields
READING_HELP = "init"  # the command whose help describes the options of reading data files; the others name them


class DataCommand(click.Command):
    """A command whose help has a section of its own, the last, for the options of reading data files."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of the command, then those of reading data files."""
        reading = {option.opts[0] for option in read_options()}
        records = {param.opts[0]: param.get_help_record(ctx) for param in self.get_params(ctx) if isinstance(param, click.Option)}
        with formatter.section("Options"):
            formatter.write_dl([record for name, record in records.items() if record and name not in reading])
        if self.name == READING_HELP:
            with formatter.section("Reading data files"):
                formatter.write_dl([record for name, record in records.items() if record and name in reading])
        else:
            self.name_reading_options(formatter)

    def name_reading_options(self, formatter: click.HelpFormatter) -> None:
        """Write the names of the options of reading data files."""
        with formatter.section(f"Reading data files (see adapt {READING_HELP} --help)"):
            formatter.write_text("  ".join(option.opts[0] for option in read_options()))


def read_options() -> list[click.Option]:
    """An option for each setting of `ReadOptions`."""
    found = [click.Option(["--on-bad-row"], type=click.Choice(["error", "skip"]), help=_FIELDS["on_bad_row"].description)]
    for name in ("max_line_mb", "max_cell_mb", "max_expansion"):
        shown = f"{_FIELDS[name].description}  [default: {_FIELDS[name].default:g}]"
        found.append(click.Option(["--" + name.replace("_", "-")], type=float, help=shown))
    found.append(click.Option(["--score-range"], type=float, nargs=2, metavar="LOW HIGH", help=_FIELDS["score_range"].description))
    found.append(
        click.Option(
            ["--column", "columns"],
            multiple=True,
            metavar="OURS=THEIRS",
            help="read column THEIRS as OURS: anchor=Frage; repeatable",
        )
    )
    return found


def reads_data(command: click.Command) -> click.Command:
    """Add these options to a command: they apply to its data files; skipped rows are written to rejected.jsonl."""
    work = command.callback
    assert work is not None

    @functools.wraps(work)
    def wrapped(**given: Any) -> Any:
        options = _options({name: given.pop(name) for name in _FIELDS})
        with reading(options) as log:
            try:
                return work(**given)
            finally:
                _report(log, given)

    command.callback = wrapped
    command.params = [*command.params, *read_options()]
    return command


def _options(given: dict[str, Any]) -> ReadOptions:
    columns: Sequence[str] = given.pop("columns") or ()
    if wrong := [column for column in columns if not all(part.strip() for part in column.partition("=")[::2])]:
        raise UserError(f"--column {wrong[0]}: write OURS=THEIRS, for example anchor=Frage")
    settings = {name: value for name, value in given.items() if value is not None}
    try:
        return ReadOptions(**settings, columns=dict(column.split("=", 1) for column in columns))
    except ValidationError as error:
        found = [(str(location[0]).replace("_", "-"), phrase) for location, _, phrase in validation_messages(error)]
        raise UserError([f"--{flag}: {phrase}" for flag, phrase in found]) from None


def _report(log: ReadLog, given: dict[str, Any]) -> None:
    for text in log.notes:
        print_line(f"note: {text}", err=True)
    if log.rejections:
        file = _rejected_path(given)
        log.write_rejected(file)
        more = f" (the first {len(log.rejected):,} of them)" if log.rejections > len(log.rejected) else ""
        print_line(f"note: {log.rejections:,} bad rows skipped and written to {file}{more}", err=True)


def _rejected_path(given: dict[str, Any]) -> Path:
    """Beside --out, or in the working directory."""
    out = given.get("out")
    if isinstance(out, Path):
        return out.with_name(f"{out.name.partition('.')[0]}.rejected.jsonl")
    return Path("rejected.jsonl")
