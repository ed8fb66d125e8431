"""Where vectors are kept when models are measured and searched by hand; a run keeps its own in its folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from adapt.inference import embedding_cache
from adapt.job import Job
from adapt.runtime import hardware
from adapt.runtime.precision import resolve


def cache_root() -> Path | None:
    """`$ADAPT_CACHE`, or `adapt` in `$XDG_CACHE_HOME` or `~/.cache`; None where ADAPT_CACHE is set to nothing."""
    named = os.environ.get("ADAPT_CACHE")
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adapt"


def embeddings_folder() -> Path | None:
    """The folder of vectors made on this device in this precision; None where none are to be kept, or nothing can be written.

    Within it they stand by the model's weights and the text (see `embedding_cache`), so that they are never out of date.
    """
    root = cache_root()
    if root is None:
        return None
    place = root / "vectors" / f"{hardware.device_type()}-{resolve()}"
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return place if os.access(place, os.W_OK) else None


def report_size(job: Job, before: int) -> None:
    """Say what came up with kept vectors, and, where the cache has grown beyond `before` bytes, where it is and how large."""
    embedding_cache.report_problems(job)
    after = size()
    if after > before:
        job.note(
            f"vectors are kept in {cache_root()} ({after / 1e6:,.0f} MB in all, safe to delete); "
            "ADAPT_CACHE names another folder, or, set to nothing, none"
        )


def size() -> int:
    """Bytes of all vectors that are kept."""
    root = cache_root()
    total = 0
    for file in (root / "vectors").rglob("*.np?") if root else ():
        with contextlib.suppress(OSError):  # another process may have renamed or deleted it
            total += file.stat().st_size
    return total
