"""Which device to compute on, in which precision, and how to make a run repeatable."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache

import torch


@lru_cache
def device() -> torch.device:
    """The accelerator where there is one, else the CPU; `ADAPT_DEVICE` (cpu, cuda, cuda:1, mps) overrides."""
    wanted = os.environ.get("ADAPT_DEVICE")
    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


@lru_cache
def fast_bfloat16() -> bool:
    """Whether bf16 is faster than fp32 here: on a CPU without avx512_bf16 or AMX it is emulated, several times slower."""
    if os.environ.get("ADAPT_PRECISION") == "fp32":
        return False
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device().type == "cpu" and torch.cpu._is_avx512_bf16_supported()


def autocast(precision: str = "auto") -> contextlib.AbstractContextManager:
    """Mixed precision: weights, optimiser and losses stay fp32.

    `precision`: auto is bf16 where it pays and fp32 elsewhere; bf16 and fp16 insist; fp32 is off.
    """
    if precision in ("bf16", "fp16"):
        return torch.autocast(device().type, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)
    if precision == "auto" and fast_bfloat16():
        return torch.autocast(device().type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def seed_all(seed: int) -> None:
    """Seed torch's generators: for the initialisation of new layers and for dropout."""
    torch.manual_seed(seed)


def describe() -> str:
    """The device and precision in words, for reports."""
    here = device()
    precision = "bf16 autocast" if fast_bfloat16() else "fp32"
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{here.type} ({name}), {precision}"
