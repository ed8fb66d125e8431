"""Disk errors in plain words: the path, the reason, and the free space."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from adapt.errors import UserError, shorten_path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)
# Messages of errors that libraries raise instead of OSError for a failed write: safetensors and tokenizers; torch and numpy.
RUST_ERROR, OTHER_ERRORS = (
    re.compile(r"os error (\d+)"),
    re.compile(r"unexpected pos|PytorchStreamWriter|iostream error|requested and \d+ written"),
)
NOT_DISK_ERRORS = (BrokenPipeError, ConnectionError, TimeoutError, ChildProcessError, InterruptedError)


@contextlib.contextmanager
def attach_path(path: Path, temporary: Path | None = None) -> Iterator[None]:
    """Turn every failed write inside the block into an OSError with a path.

    `path` is used where the error has no path, or has that of the `temporary` file which would have replaced it.
    """
    try:
        yield
    except NOT_DISK_ERRORS:
        raise
    except OSError as error:
        if error.filename is not None and os.fsdecode(error.filename) != str(temporary):
            raise
        number = error.errno or _errno(error, path) or errno.EIO
        raise OSError(number, error.strerror or os.strerror(number), str(path)) from error
    except (UserError, ImportError):
        raise
    except Exception as error:
        cause = _errno(error, path)
        if cause is None:
            raise
        raise OSError(cause, os.strerror(cause), str(path)) from error


def _errno(error: Exception, path: Path) -> int | None:
    """The errno of a library's error for a failed write; None for other errors."""
    found = RUST_ERROR.search(str(error))
    if found:
        return int(found[1])
    if not OTHER_ERRORS.search(str(error)):
        return None
    before = error.__cause__ or error.__context__
    if isinstance(before, OSError) and before.errno:
        return before.errno
    free = free_bytes(path)
    return errno.ENOSPC if free is not None and free < 1 << 20 else errno.EIO


def describe(error: OSError) -> str:
    """One sentence for the user: the paths, the reason, and what to try."""
    paths = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
    where, why = " and ".join(map(shorten_path, paths)), (error.strerror or str(error)).lower()
    if error.errno in NO_SPACE:
        free = free_bytes(Path(paths[-1])) if paths else None
        room = f"; {format_bytes(free)} are free there" if free is not None else ""
        advice = "Free some space or choose another path, then run the command again"
        return f"{where or 'a file'}: can't be written ({why}{room}). {advice}"
    if error.errno in NO_ACCESS:
        advice = "Change its permissions or choose another path, then run the command again"
        return f"{where or 'a file'}: no access ({why}). {advice}"
    return f"{where}: {why}" if where else why


def free_bytes(path: Path) -> int | None:
    """Free bytes at a path, which need not exist yet; None where the system does not report them."""
    for place in (path.absolute(), *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def require_space(path: Path, needed: int, what: str, more: str = "") -> None:
    """Raise UserError where fewer than `needed` bytes are free at a path for `what`; `more` is appended to the number."""
    free = free_bytes(path)
    if free is not None and free < needed:
        raise UserError(
            f"{path}: {what} needs about {format_bytes(needed)}{more}, and {format_bytes(free)} are free there. "
            "Free some space or choose another path"
        )


def format_bytes(size: float) -> str:
    """A number of bytes with a unit (powers of 1,000): "1.2 GB"."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"
