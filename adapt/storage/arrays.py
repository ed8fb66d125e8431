"""numpy arrays on disk: written atomically, and read as missing where they are damaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from adapt.storage.atomic import atomic_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def save(file: Path, **arrays: npt.NDArray[np.generic]) -> None:
    """Write named arrays to an .npz file, atomically, with a checksum each. Raises OSError."""
    import numpy as np  # takes 0.1 s, which not every command needs

    with atomic_file(file, durable=False) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, allow_pickle=False, **arrays)


def write(opened: IO[bytes], array: npt.NDArray[np.generic]) -> None:
    """Write an array as .npy. Raises OSError where the disk is full.

    `np.save` writes to real files through C buffers and does not check the last flush: on a full disk it has lost up to 4 KB
    without an error.
    """
    import numpy as np

    np.lib.format.write_array(_WriteOnly(opened), array, allow_pickle=False)


class _WriteOnly:
    """A file with Python's `write` alone, so that numpy does not use C buffers."""

    def __init__(self, opened: IO[bytes]):
        self.write = opened.write


def load(file: Path, names: Sequence[str], note: Callable[[str], None]) -> dict[str, npt.NDArray[np.generic]] | None:
    """The named arrays of an .npz file; None where the file does not exist or (after a `note`) is damaged."""
    import numpy as np

    if not file.is_file():
        return None
    try:
        with np.load(file) as opened:
            return {name: opened[name] for name in names}
    except Exception as error:  # BadZipFile, EOFError, ValueError, KeyError, zlib.error: depends on where the damage is
        note(f"{file.name}: is damaged ({type(error).__name__}); it is computed again")
        return None
