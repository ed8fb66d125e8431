"""How commands that print results tell of their progress."""

from __future__ import annotations

from typing import Any


def voice() -> Any:
    """Progress on stderr, so that stdout holds results alone."""
    from adapt.console import Voice

    return Voice(stderr=True)
