"""How commands print: progress on stderr, so that stdout holds results alone; every line without control characters."""

from __future__ import annotations

from typing import Any

import click

from adapt.escaping import escape_terminal


def voice() -> Any:
    """Progress on stderr, so that stdout holds results alone."""
    from adapt.console import Voice

    return Voice(stderr=True)


def say(line: object, err: bool = False) -> None:
    """Print one line of text, whatever it holds."""
    click.echo(escape_terminal(line), err=err)
