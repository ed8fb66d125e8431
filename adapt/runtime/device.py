"""The device to compute on, its number of threads, and torch's seed."""

from __future__ import annotations

import os
from functools import lru_cache

import torch


@lru_cache
def device() -> torch.device:
    """The accelerator where there is one, else the CPU; `ADAPT_DEVICE` (cpu, cuda, cuda:1, mps) overrides."""
    _limit_threads()
    wanted = os.environ.get("ADAPT_DEVICE")
    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _limit_threads() -> None:
    """Limit torch's threads to a container's CPU quota; torch itself considers only the process's CPU affinity."""
    from joblib import cpu_count  # considers affinity and cgroups v1 and v2

    if "OMP_NUM_THREADS" not in os.environ and cpu_count() < torch.get_num_threads():
        torch.set_num_threads(cpu_count())


def seed_all(seed: int) -> None:
    """Seed torch's global generators, which initialise new layers and draw dropout."""
    torch.manual_seed(seed)
