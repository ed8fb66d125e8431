"""Faults of the disk in words: which path, what is wrong with it, how much space is free."""

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
# What libraries raise for a failed write in place of an OSError: safetensors and tokenizers; torch; numpy.
RUST_ERROR, OTHER_ERRORS = (
    re.compile(r"os error (\d+)"),
    re.compile(r"unexpected pos|PytorchStreamWriter|iostream error|requested and \d+ written"),
)
NOT_OF_THE_DISK = (BrokenPipeError, ConnectionError, TimeoutError, ChildProcessError, InterruptedError)


@contextlib.contextmanager
def attach_path(path: Path, aside: Path | None = None) -> Iterator[None]:
    """Let every failed write inside the block be an OSError that names a path.

    `path` is named where the error names none, or only the file `aside` that was to become it.
    """
    try:
        yield
    except NOT_OF_THE_DISK:
        raise
    except OSError as error:
        if error.filename is not None and os.fsdecode(error.filename) != str(aside):
            raise
        number = error.errno or _number(error, path) or errno.EIO
        raise OSError(number, error.strerror or os.strerror(number), str(path)) from error
    except (UserError, ImportError):
        raise
    except Exception as error:
        behind = _number(error, path)
        if behind is None:
            raise
        raise OSError(behind, os.strerror(behind), str(path)) from error


def _number(error: Exception, path: Path) -> int | None:
    """The errno behind a library's error for a failed write; None for an error of another kind."""
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
    """An OSError as one sentence for a user: the paths, what is wrong, and what to try."""
    paths = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes, os.PathLike))]
    where, why = " and ".join(map(shorten_path, paths)), (error.strerror or str(error)).lower()
    if error.errno in NO_SPACE:
        free = free_bytes(Path(paths[-1])) if paths else None
        room = f"; {format_bytes(free)} are free there" if free is not None else ""
        wrong = f"can't be written ({why}{room}). Free some space, or choose another place; then give the same command again"
        return f"{where or 'a file'}: {wrong}"
    if error.errno in NO_ACCESS:
        wrong = f"no access ({why}). Change its permissions, or choose another place; then give the same command again"
        return f"{where or 'a file'}: {wrong}"
    return f"{where}: {why}" if where else why


def free_bytes(path: Path) -> int | None:
    """Bytes that may be written at a path, there yet or not; None where the system doesn't say."""
    for place in (path.absolute(), *path.absolute().parents):
        with contextlib.suppress(OSError):
            return shutil.disk_usage(place).free
    return None


def require_space(path: Path, needed: int, what: str, more: str = "") -> None:
    """Raise UserError where fewer than `needed` bytes are free at a path; `what` needs them, `more` is added to the sentence."""
    free = free_bytes(path)
    if free is not None and free < needed:
        raise UserError(
            f"{path}: {what} needs about {format_bytes(needed)}{more}, and {format_bytes(free)} are free there. "
            "Free some space, or choose another place"
        )


def format_bytes(size: float) -> str:
    """A number of bytes in the unit that suits it (powers of 1,000)."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1_000:
            return f"{size:,.0f} {unit}"
        size /= 1_000
    return f"{size:,.1f} GB"
