"""What commands have in common: how they print, and what a seed may be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from adapt.errors import UserError
from adapt.escaping import escape_terminal

OVERWRITE = click.Option(["--overwrite"], is_flag=True, help="replace what already exists at --out")
SEED = click.IntRange(0, 2**32 - 1)


def voice() -> Any:
    """Progress on stderr, so that stdout holds results alone."""
    from adapt.console import ProgressPrinter

    return ProgressPrinter(stderr=True)


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Raise UserError where the result of a command would replace what exists, unasked."""
    if not overwrite and (out.exists() or out.is_symlink()):
        raise UserError(f"{out}: already exists; choose another --out, or replace it with --overwrite")


def say(line: object, err: bool = False) -> None:
    """Print one line of text, whatever it holds."""
    click.echo(escape_terminal(line), err=err)
