"""Atomic writes of files and folders: written under a temporary name, flushed to the disk, then renamed."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from adapt.storage.disk_errors import attach_path

AT_FDCWD, RENAME_EXCHANGE = -100, 2  # Linux constants: fcntl.h, renameat2(2)


@contextlib.contextmanager
def atomic_file(path: Path, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends, the file written there replaces `path`.

    A reader sees the old file or the new one. Where the block raises, the old file stays and the temporary file is deleted.
    `durable` flushes file and folder to the disk, so that a loss of power can't leave an empty file; caches pass False.
    Raises OSError, always with a path.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")  # keeps the suffix: some writers choose the format by it
    with attach_path(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if durable:
                fsync(temporary)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        if durable:
            fsync(path.parent)


def require_writable(path: Path) -> None:
    """Raise OSError where nothing can be written at `path`, so that no work is lost; creates the parent folders."""
    with attach_path(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        trial = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            trial.touch()
        finally:
            remove(trial)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write a UTF-8 file atomically; see `atomic_file`."""
    with atomic_file(path, durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def replace_folder(new: Path, target: Path) -> None:
    """Flush the folder `new` to the disk and rename it to `target`; a folder at `target` is deleted.

    On Linux, which can exchange two names, `target` exists at every moment.
    """
    with attach_path(target):
        for place, _, names in os.walk(new):
            for name in names:
                fsync(Path(place) / name)
            fsync(Path(place))
        if target.is_symlink() or target.is_dir():
            if not _exchanged(new, target):
                old = target.with_name(f".{target.name}.old")
                shutil.rmtree(old, ignore_errors=True)
                os.replace(target, old)
                os.replace(new, target)
                new = old
            fsync(target.parent)
            remove(new)
        else:
            os.replace(new, target)
            fsync(target.parent)


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; when the block ends, it replaces `target`.

    Where the block raises, the temporary folder is deleted and `target` stays. Raises OSError, always with a path.
    """
    target = target.absolute()
    temporary = target.with_name(f".{target.name}.making")
    with attach_path(target):
        remove(temporary)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            replace_folder(temporary, target)
        except BaseException:
            remove(temporary)
            raise


def remove(path: Path) -> None:
    """Delete a file, a link or a folder, ignoring errors."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def fsync(path: Path) -> None:
    """Flush a file or a folder's entries to the disk. Raises OSError with the path."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems can't flush folders
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(opened)


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two names in one system call; False where the system has none."""
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0
