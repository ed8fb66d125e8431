"""Shared by the commands: printing, the range of a seed, and --overwrite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from adapt.errors import UserError
from adapt.escaping import escape_terminal

if TYPE_CHECKING:
    from adapt.console import ProgressPrinter

OVERWRITE = click.Option(["--overwrite"], is_flag=True, help="replace what already exists at --out")
SEED = click.IntRange(0, 2**32 - 1)


def progress_printer() -> ProgressPrinter:
    """Prints progress to stderr; stdout is for results."""
    from adapt.console import ProgressPrinter

    return ProgressPrinter(stderr=True)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Raise UserError where --out exists and --overwrite is not given."""
    if not overwrite and (out.exists() or out.is_symlink()):
        raise UserError(f"{out}: already exists; choose another --out, or replace it with --overwrite")


def print_line(line: object, err: bool = False) -> None:
    """Print one line of text with terminal control characters escaped."""
    click.echo(escape_terminal(line), err=err)
