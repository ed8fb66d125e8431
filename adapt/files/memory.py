"""Rows of Python data instead of a file: lists, tables and datasets, converted by `adapt.inputs`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapt.files.delimited import BadRow

Place = int | str  # an item's position in a list, or its key in a mapping


@dataclass(frozen=True, eq=False)
class MemoryRows:
    """Rows with a name for messages: `texts[3]: column 'text' is empty`.

    `items()` returns a new iterable of (place, {column: value}), with a `BadRow` for an item that is not a row.
    """

    name: str
    items: Callable[[], Iterable[tuple[Place, dict[str, Any]]]]

    def __str__(self) -> str:
        return self.name

    def __iter__(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for place, row in self.items():
            yield f"{self.name}[{place!r}]", row


Source = str | Path | MemoryRows

__all__ = ["BadRow", "MemoryRows", "Place", "Source"]
