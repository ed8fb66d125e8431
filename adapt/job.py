"""The context that a stage runs in beside its inputs: a random seed, folders to write to, and a listener for progress events."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from adapt.runtime.interruption import raise_if_interrupted

EventKind = Literal["plan", "step", "progress", "note", "check", "verdict", "done"]
EVENT_INTERVAL = 0.1  # seconds between two progress events of one piece of work


@dataclass(frozen=True)
class Event:
    """Something that happened in a run; `text` is a message or the name of a step or check, `data` depends on `kind`."""

    kind: EventKind
    text: str = ""
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], object]


def ignore_events(event: Event) -> None:
    """The no-op event handler."""


@lru_cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="adapt-")  # deleted when the process ends


def temporary_folder() -> Path:
    """A new empty folder, which is deleted when the process ends."""
    return Path(tempfile.mkdtemp(dir=_scratch().name))


@dataclass
class Job:
    """The context of one stage, check or command.

    `seed`: the random seed. `out`: the folder for results. `work`: the folder for checkpoints and other intermediate files. Both
    are temporary, and deleted when the process ends, where they are not given. `listener` receives every event. `counts`: numbers
    that the stage's receipt records ("kept": 412). `embedding_cache`: a folder that embeddings are stored in and read from; None
    disables caching.
    """

    seed: int = 13
    out: Path = field(default_factory=temporary_folder)
    work: Path = field(default_factory=temporary_folder)
    listener: Listener = ignore_events
    counts: dict[str, Any] = field(default_factory=dict)
    embedding_cache: Path | None = None

    def note(self, text: str) -> None:
        """Emit a message: a count, a choice that was made, a warning."""
        self.listener(Event("note", text))

    def progress(self, label: str, total: int, unit: str, interruptible: bool = True) -> Progress:
        """A progress counter towards `total` units; for `interruptible` see `Progress.advance`."""
        return Progress(self.listener, label, total, unit, interruptible)


class Progress:
    """Counts finished units and emits progress events with the rate (units/s) and the time left (s), ten a second at the most."""

    def __init__(self, listener: Listener, label: str, total: int, unit: str, interruptible: bool = True):
        self.listener, self.label, self.total, self.unit, self.interruptible = listener, label, total, unit, interruptible
        self.done, self.start, self.last = 0, time.monotonic(), 0.0

    def advance(self, count: int = 1, extra: str = "") -> None:
        """Count `count` more finished units; `extra` is appended to the printed line.

        Raises Interrupted where the work is interruptible and the user has interrupted it.
        """
        if self.interruptible:
            raise_if_interrupted()
        self.done += count
        now = time.monotonic()
        if now - self.last < EVENT_INTERVAL and self.done < self.total:
            return
        self.last = now
        rate = self.done / max(now - self.start, 1e-9)
        left = (self.total - self.done) / rate if rate else 0.0
        data = {"done": self.done, "total": self.total, "unit": self.unit, "rate": rate, "left": left, "extra": extra}
        self.listener(Event("progress", self.label, data))
