"""Checkpoints of a training run: written atomically, with the one before kept in case the last is corrupt."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

from adapt.storage.atomic import atomic_file, remove

NAME, BEFORE = "checkpoint.pt", "checkpoint.before.pt"


class Checkpoints:
    """The last two states of a training run in `folder`, written beside the training by a thread of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.writer = ThreadPoolExecutor(1, "checkpoint")
        self.writing: Future[None] | None = None

    def save(self, state: dict[str, Any]) -> None:
        """Copy the state and write it in the background, after the one before; raises OSError of that one, with a path."""
        self.wait()
        self.writing = self.writer.submit(save, self.folder / NAME, _copied(state))

    def wait(self) -> None:
        """Return when what was saved is on the disk. Raises OSError, with a path."""
        if self.writing is not None:
            writing, self.writing = self.writing, None
            writing.result()

    def load(self, note: Callable[[str], None]) -> dict[str, Any] | None:
        """The last state that is whole; None where there is none. Calls `note` for corrupt ones."""
        for name in (NAME, BEFORE):
            if (found := load(self.folder / name, note)) is not None:
                return found
        return None

    def close(self) -> None:
        """Finish writing."""
        try:
            self.wait()
        finally:
            self.writer.shutdown()


def save(file: Path, state: dict[str, Any]) -> None:
    """Write a state so that the file is whole, or the one before is there under its name; flushed to the disk.

    Raises OSError with a path.
    """
    if file.is_file():
        os.replace(file, file.with_name(BEFORE))
    with atomic_file(file) as aside:
        torch.save(state, aside)


def load(file: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The state that `save` wrote; None where there is none, or (after a `note`) where it is cut, empty or changed.

    torch reads a changed file without complaint, so the checksums of the archive (a zip file) are verified first.
    """
    if not file.is_file():
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # BadZipFile, EOFError, RuntimeError, UnpicklingError: whatever the damage happens to break
        before = file.with_name(BEFORE)
        instead = "the one before it is used" if file != before and before.is_file() else "the step starts again"
        note(f"{file.name}: is corrupt ({type(error).__name__}) and can't be resumed from; {instead}")
        return None


def clear(folder: Path) -> None:
    """Remove the states of a training run that is finished."""
    for name in (NAME, BEFORE):
        remove(folder / name)


def _copied(value: Any) -> Any:
    """The same with tensors of its own, on the CPU."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {name: _copied(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(part) for part in value)
    return value
