"""Arrays that a killed run left for the next one: whole, or as if they were not there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from adapt.storage.atomic import atomic_file

if TYPE_CHECKING:
    import numpy as np


def save(file: Path, **arrays: np.ndarray) -> None:
    """Write named arrays as .npz, with a checksum each, so that the file is whole or not there."""
    import numpy as np  # not at the start of every command: it takes a tenth of a second

    with atomic_file(file, durable=False) as aside, open(aside, "wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)


def write(opened: IO[bytes], array: np.ndarray) -> None:
    """Write an array as .npy. Raises OSError where the disk takes less than the whole of it.

    numpy writes to a file by C's buffers and does not ask what became of the last of them: an array that a full disk cuts by less
    than 4 KB was written without an error.
    """
    import numpy as np

    np.lib.format.write_array(_Checked(opened), array, allow_pickle=False)


class _Checked:
    """A file as numpy sees it: nothing but Python's `write`."""

    def __init__(self, opened: IO[bytes]):
        self.write = opened.write


def load(file: Path, names: Sequence[str], note: Callable[[str], None]) -> dict[str, np.ndarray] | None:
    """The arrays `names` of a file; None where there is none, or (after a `note`) where it is cut, empty or changed."""
    import numpy as np

    if not file.is_file():
        return None
    try:
        with np.load(file) as opened:
            return {name: opened[name] for name in names}
    except Exception as error:  # BadZipFile, EOFError, ValueError, KeyError, zlib's: whatever the damage happens to break
        note(f"{file.name}: is damaged ({type(error).__name__}); it is made again")
        return None
