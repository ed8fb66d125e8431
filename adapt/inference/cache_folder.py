"""The user's embedding cache, for commands that evaluate or search with a model; a recipe's run caches in its own folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from adapt.inference import embedding_cache
from adapt.job import Job
from adapt.runtime import hardware
from adapt.runtime.precision import resolve


def cache_root() -> Path | None:
    """`$ADAPT_CACHE`, or `adapt` in `$XDG_CACHE_HOME` or `~/.cache`; None where ADAPT_CACHE is empty."""
    named = os.environ.get("ADAPT_CACHE")
    if named is not None:
        return Path(named).expanduser() if named.strip() else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adapt"


def embeddings_folder() -> Path | None:
    """The cache folder for this device and precision; None where caching is disabled or the folder can't be written.

    Entries are keyed by the model's weights and the text (see `embedding_cache`), so that they never become stale.
    """
    root = cache_root()
    if root is None:
        return None
    folder = root / "vectors" / f"{hardware.device_type()}-{resolve()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def report_size(job: Job, before: int) -> None:
    """Note problems of the cache and, where it is larger than `before` bytes, its location and size."""
    embedding_cache.report_problems(job)
    after = size()
    if after > before:
        job.note(
            f"embeddings are cached in {cache_root()} ({after / 1e6:,.0f} MB in total, safe to delete); "
            "ADAPT_CACHE sets another folder, an empty ADAPT_CACHE disables the cache"
        )


def size() -> int:
    """Bytes of all cached embeddings."""
    root = cache_root()
    total = 0
    for file in (root / "vectors").rglob("*.np?") if root else ():
        with contextlib.suppress(OSError):  # another process may have renamed or deleted it
            total += file.stat().st_size
    return total
