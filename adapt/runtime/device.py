"""Which device to compute on, with how many threads, and how to make a run repeatable."""

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
    """No more threads than the cores of a container's CPU quota; torch itself counts the cores that the process may run on."""
    from joblib import cpu_count  # of affinity and cgroups, both versions

    if "OMP_NUM_THREADS" not in os.environ and cpu_count() < torch.get_num_threads():
        torch.set_num_threads(cpu_count())


def seed_all(seed: int) -> None:
    """Seed torch's generators: for the initialisation of new layers and for dropout."""
    torch.manual_seed(seed)
