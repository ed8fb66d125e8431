"""Memory: the peak of the process, and freeing GPU memory between stages."""

from __future__ import annotations


def peak_mb() -> float:
    """Peak resident memory of the process so far, in MB."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def release() -> None:
    """Free GPU memory for the next stage: drop the models that `model_cache` caches. Does nothing on the CPU."""
    from adapt.runtime.device import device

    if device().type != "cpu":
        from adapt.inference import model_cache

        model_cache.clear()
