"""Options of reading data files (bad rows, size limits, column names), and the log of what was found."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from adapt.storage.atomic import atomic_file

MB = 1 << 20
MAX_SHOWN_CHARACTERS = 1_000  # of a rejected row in the log
MAX_REJECTED = 100_000  # rejected rows in the log; further ones are only counted


def _rising(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    if bounds is not None and not bounds[0] < bounds[1]:
        raise ValueError("the lower end comes first: [0, 5]")
    return bounds


Limit = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ReadOptions(BaseModel):
    """Options of all readers, set by a recipe's `data` section or by command-line options."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    on_bad_row: Literal["error", "skip"] = Field(
        default="error",
        description="error: refuse a file with a bad row; skip: leave bad rows out and write them to rejected.jsonl",
    )
    max_line_mb: Limit = Field(default=64.0, description="maximum length of a line, in MB")
    max_cell_mb: Limit = Field(default=16.0, description="maximum length of a cell, in millions of characters")
    max_expansion: Limit = Field(
        default=200.0, description="maximum ratio of unpacked to packed size of a .gz file (from 64 MB on)"
    )
    score_range: Annotated[tuple[FiniteFloat, FiniteFloat] | None, AfterValidator(_rising)] = Field(
        default=None, description="lowest and highest possible score, such as 0 and 5, rescaled to 0 to 1"
    )
    columns: Mapping[str, str] = Field(
        default={}, description="column of the file for each of ours: {anchor: Frage} reads column Frage as anchor"
    )


DEFAULT_OPTIONS = ReadOptions()


@dataclass
class ReadLog:
    """The log of reading: `rejected` rows as {where, why, row}, and `notes`, a sentence each."""

    options: ReadOptions = field(default_factory=lambda: DEFAULT_OPTIONS)
    rejected: list[dict[str, str]] = field(default_factory=list)
    rejections: int = 0  # of which `rejected` holds the first `MAX_REJECTED`
    notes: list[str] = field(default_factory=list)

    def reject(self, where: str, why: str, row: object) -> None:
        """Add a skipped row to the log."""
        self.rejections += 1
        if len(self.rejected) < MAX_REJECTED:
            shown = row if isinstance(row, str) else json.dumps(row, ensure_ascii=False, default=str)
            self.rejected.append({"where": where, "why": why, "row": shown[:MAX_SHOWN_CHARACTERS]})

    def write_rejected(self, file: Path) -> None:
        """Write the rejected rows as JSONL, atomically; writes nothing where there are none. Raises OSError."""
        if not self.rejected:
            return
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in self.rejected)
        with atomic_file(file) as aside:
            aside.write_text(lines, encoding="utf-8", errors="backslashreplace")


_current: ContextVar[ReadLog | None] = ContextVar("adapt_reading", default=None)


def current_log() -> ReadLog:
    """The log of the innermost `reading` block; outside of one, a new log with the default options."""
    return _current.get() or ReadLog()


def note(text: str) -> None:
    """Add a note on a file to the current log; outside of a `reading` block, log it as a warning with `logging`."""
    log = _current.get()
    if log is None:
        logging.getLogger("adapt.files").warning(text)
    elif text not in log.notes:
        log.notes.append(text)


@contextmanager
def reading(options: ReadOptions | None = None) -> Iterator[ReadLog]:
    """Set the options inside the block (default: the current ones); yields the log."""
    log = ReadLog(options or current_log().options)
    token = _current.set(log)
    try:
        yield log
    finally:
        _current.reset(token)
