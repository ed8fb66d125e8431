"""Files and folders that appear whole: written aside, flushed to the disk, and put in their place by one rename."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from adapt.storage.disk_errors import attach_path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux: fcntl.h, renameat2(2)


@contextlib.contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """A path beside `path` to write a file to; on leaving the block the file replaces what is at `path`.

    A reader sees the old file or the new one. Where the block fails, the old file stays and nothing is left beside it.
    `durable` flushes file and folder to the disk, so that a loss of power can't empty a file that was renamed; a cache does
    without. Raises OSError, always with a path.
    """
    aside = path.with_name(f".{os.getpid()}.{path.name}")  # the suffix stays: some writers go by it
    with attach_path(path, aside):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield aside
            if durable:
                fsync(aside)
            os.replace(aside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            raise
        if durable:
            fsync(path.parent)


def require_writable(path: Path) -> None:
    """Raise OSError where no file or folder can be made at `path`, before the work that would fill it.

    Makes the folders above it.
    """
    with attach_path(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        trial = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            trial.touch()
        finally:
            remove(trial)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write a UTF-8 file; see `atomic_file`."""
    with atomic_file(path, durable) as aside:
        aside.write_text(text, encoding="utf-8")


def replace_folder(made: Path, target: Path) -> None:
    """Flush the folder `made` to the disk and put it at `target`, in place of the folder there, which is deleted.

    Where the system can exchange two names (Linux), there is no moment without a folder at `target`.
    """
    with attach_path(target):
        for place, _, names in os.walk(made):
            for name in names:
                fsync(Path(place) / name)
            fsync(Path(place))
        if target.is_symlink() or target.is_dir():
            if not _exchanged(made, target):
                old = target.with_name(f".{target.name}.old")
                shutil.rmtree(old, ignore_errors=True)
                os.replace(target, old)
                os.replace(made, target)
                made = old
            fsync(target.parent)
            remove(made)
        else:
            os.replace(made, target)
            fsync(target.parent)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; on leaving the block it is at `target`, in place of what is there.

    Where the block fails nothing is left of it, and what is at `target` stays. Raises OSError, always with a path.
    """
    target = target.absolute()
    aside = target.with_name(f".{target.name}.making")
    with attach_path(target):
        remove(aside)
        aside.mkdir(parents=True)
        try:
            yield aside
            replace_folder(aside, target)
        except BaseException:
            remove(aside)
            raise


def remove(path: Path) -> None:
    """Delete a file, a link or a folder, as far as that can be done; what stays is left over, and in nobody's way."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Flush a file, or a folder's names, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems flush no folders
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(opened)


def _exchanged(first: Path, second: Path) -> bool:
    """Let two paths change their names in one step; False where the system has no such call."""
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0
