"""What a stage is handed beside its inputs: a seed, folders to write in, and someone to tell how far it is."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from adapt.runtime.interruption import stop_if_asked


@dataclass(frozen=True)
class Event:
    """Something a run has to say: `kind` is one of plan, step, progress, note, check, verdict, done."""

    kind: str
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


def silent(event: Event) -> None:
    """The listener of someone who does not want to know."""


@lru_cache
def _scratch() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="adapt-")  # goes when the process ends


def _temporary() -> Path:
    return Path(tempfile.mkdtemp(dir=_scratch().name))


@dataclass
class Job:
    """One piece of work: `seed` for every random choice, `out` for what it makes, `work` for what it needs on the way.

    Folders that are not given are temporary and go when the process ends.
    """

    seed: int = 13
    out: Path = field(default_factory=_temporary)
    work: Path = field(default_factory=_temporary)
    tell: Callable[[Event], None] = silent
    counts: dict[str, Any] = field(default_factory=dict)  # goes into the receipt: "kept 412 of 500"
    vectors: Path | None = None  # where embeddings are kept between checks and mining; None keeps none

    def note(self, text: str) -> None:
        """Say something worth keeping: a count, a choice that was made."""
        self.tell(Event("note", text))

    def progress(self, label: str, total: int, unit: str, stops: bool = True) -> Progress:
        """Start a count towards `total`; rate and time left are computed from it. `stops`: see `Progress.advance`."""
        return Progress(self.tell, label, total, unit, stops)


class Progress:
    """How far a long piece of work is; `advance` may be called often, listeners hear of it at most ten times a second."""

    def __init__(self, tell: Callable[[Event], None], label: str, total: int, unit: str, stops: bool = True):
        self.tell, self.label, self.total, self.unit, self.stops = tell, label, total, unit, stops
        self.done, self.start, self.last = 0, time.monotonic(), 0.0

    def advance(self, count: int = 1, extra: str = "") -> None:
        """`count` more are done; raises Interrupted where the user has asked to stop and the work `stops` between two parts."""
        if self.stops:
            stop_if_asked()
        self.done += count
        now = time.monotonic()
        if now - self.last < 0.1 and self.done < self.total:
            return
        self.last = now
        rate = self.done / max(now - self.start, 1e-9)
        left = (self.total - self.done) / rate if rate else 0.0
        data = {"done": self.done, "total": self.total, "unit": self.unit, "rate": rate, "left": left, "extra": extra}
        self.tell(Event("progress", self.label, data))
