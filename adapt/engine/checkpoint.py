"""A training run's state on disk: whole, or as if it were not there."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from adapt.storage.atomic import replacing


def save(file: Path, state: dict[str, Any]) -> None:
    """Write a state so that the file is whole or the one before; flushed to the disk. Raises OSError with a path."""
    with replacing(file) as aside:
        torch.save(state, aside)


def load(file: Path, note: Callable[[str], None]) -> dict[str, Any] | None:
    """The state that `save` wrote; None where there is none, or (`note` is told so) where it is cut, empty or changed.

    torch reads a changed file without complaint, so the checksums of the archive (a zip file) are held against its content first.
    """
    if not file.is_file():
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            if archive.testzip() is not None:
                raise zipfile.BadZipFile
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # BadZipFile, EOFError, RuntimeError, UnpicklingError: whatever the damage happens to break
        note(f"{file.name}: is damaged ({type(error).__name__}) and can't be gone on from; the step begins anew")
        return None
