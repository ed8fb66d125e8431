"""What commands have in common: how they print, and what a seed may be."""

from __future__ import annotations

from typing import Any

import click

from adapt.escaping import escape_terminal

SEED = click.IntRange(0, 2**32 - 1)


def voice() -> Any:
    """Progress on stderr, so that stdout holds results alone."""
    from adapt.console import Voice

    return Voice(stderr=True)


def say(line: object, err: bool = False) -> None:
    """Print one line of text, whatever it holds."""
    click.echo(escape_terminal(line), err=err)
