"""Memory of the process: how much it has used at most, and a GPU's given back between stages."""

from __future__ import annotations


def peak_mb() -> float:
    """The most memory that the process has had so far, in MB."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)


def release() -> None:
    """Leave a GPU's memory to the next stage: the models that were held open for the next texts of this one are closed."""
    from adapt.runtime.device import device

    if device().type != "cpu":
        from adapt.inference import open_models

        open_models.clear()
