"""Where vectors are kept when models are measured and searched by hand; a run keeps its own in its folder."""

from __future__ import annotations

import os
from pathlib import Path

from adapt.job import Job


def folder() -> Path | None:
    """`$ADAPT_CACHE`, or `adapt` in `$XDG_CACHE_HOME` or `~/.cache`; None where ADAPT_CACHE is set to nothing."""
    named = os.environ.get("ADAPT_CACHE")
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adapt"


def vectors() -> Path | None:
    """The folder of vectors made on this device in this precision; None where none are to be kept, or nothing can be written.

    Within it they stand by the model's weights and the text (see `adapt.vectors`), so that they are never out of date.
    """
    from adapt.device import device, resolve

    root = folder()
    if root is None:
        return None
    place = root / "vectors" / f"{device().type}-{resolve()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return place if os.access(place, os.W_OK) else None


def tell_size(job: Job, before: int) -> None:
    """Say where vectors are kept and how large all of them are, where the cache has grown beyond `before` bytes."""
    after = size()
    if after > before:
        job.note(
            f"vectors are kept in {folder()} ({after / 1e6:,.0f} MB in all, safe to delete); "
            "ADAPT_CACHE names another folder, or, set to nothing, none"
        )


def size() -> int:
    """Bytes of all vectors that are kept."""
    root = folder()
    return sum(file.stat().st_size for file in (root / "vectors").rglob("*.np?")) if root else 0
