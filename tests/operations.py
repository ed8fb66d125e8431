"""Act before every operation of this process that changes something on disk, as the interpreter audits them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
_hooks: list[tuple[str, Callable[[str], None]]] = []


def _audited(event: str, args: tuple) -> None:
    if not _hooks:
        return
    writes = event == "open" and isinstance(args[0], (str, bytes)) and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event not in CHANGES and not writes:
        return
    root, hook = _hooks[-1]
    path = os.path.abspath(os.fsdecode(args[0]))
    if path.startswith(root):
        hook(f"{event} {path.removeprefix(root)}")


sys.addaudithook(_audited)  # can't be taken back: without a hook it does nothing


@contextlib.contextmanager
def before_each(root: Path, hook: Callable[[str], None]) -> Iterator[None]:
    """Call `hook` before each operation in the folder `root`; what it raises, the operation raises."""
    _hooks.append((str(root), hook))
    try:
        yield
    finally:
        _hooks.pop()


@contextlib.contextmanager
def before(root: Path, number: int, action: Callable[[], None]) -> Iterator[None]:
    """Act before the operation of that number, from 0, and before no other."""
    seen = [0]

    def hook(operation: str) -> None:
        if seen[0] == number:
            seen[0] += 1
            action()
        seen[0] += 1

    with before_each(root, hook):
        yield
