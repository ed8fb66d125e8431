"""Paths given by users: resolving them, and errors in plain words."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from pathlib import Path

from adapt.errors import UserError, did_you_mean, shorten_path


def describe_read_error(path: str | Path, error: OSError) -> str:
    """One sentence on why a path can't be read."""
    if error.errno == errno.ENAMETOOLONG:
        return f"{shorten_path(path)}: the path is too long ({len(str(path)):,} characters)"
    return f"{shorten_path(path)}: can't be read ({(error.strerror or str(error) or type(error).__name__).lower()})"


def resolve_path(name: str | Path, beside: Path | None = None) -> Path | None:
    """The file or folder that a path leads to, `~` and `beside` (for a relative one) put in full; None where nothing is there.

    Raises UserError where the operating system refuses to look: a name too long, a folder that may not be entered, no such user.
    """
    if "\0" in str(name):
        raise UserError(f"{shorten_path(name)}: is no path (it holds a NUL character)")
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise UserError(f"{shorten_path(name)}: no such user, whose home folder that would be") from None
    path = beside / path if beside else path
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(describe_read_error(path, error)) from None
    return path


def require_distinct_output(out: Path, sources: Iterable[object]) -> None:
    """Raise UserError where writing `out` would replace an input, a part of one, or a folder that contains one.

    `sources`: as users give them; names of models and of data on the hub are no paths and are skipped.
    """
    place = out.resolve()
    for source in sources:
        path = resolve_path(str(source))
        if path is None or not str(source):
            continue
        there = path.resolve()
        if place == there or there.is_relative_to(place) or (place.exists() and place.is_relative_to(there)):
            part = f"is a part of the input {shorten_path(source)}, and would be replaced"
            around = f"is a folder that holds the input {shorten_path(source)}, which would be replaced with it"
            what = "is the input" if place == there else around if there.is_relative_to(place) else part
            raise UserError(f"{shorten_path(out)}: {what}; choose another output path")


def similar_name_hint(path: Path) -> str:
    """A hint to append to "no such file": the most similar name in the same folder, or ""."""
    try:
        names = [other.name for _, other in zip(range(1_000), path.parent.iterdir(), strict=False)]
    except OSError:
        return ""
    return did_you_mean(path.name, names, list_all=False)
