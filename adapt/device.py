"""Which device to compute on, in which precision, and how to make a run repeatable."""

from __future__ import annotations

import os
import platform
from functools import lru_cache

import torch

from adapt.errors import UserError
from adapt.precision import default


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


@lru_cache
def fast_bfloat16() -> bool:
    """Whether the processor or GPU multiplies in bf16 itself; where it does not, bf16 is emulated, several times slower."""
    if device().type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()  # named avx512_bf16 and amx_bf16 on x86, bf16 and sve_bf16 on Arm
    # On Apple's GPUs bf16 is not measured: fp32 unless asked for.
    return device().type == "cpu" and any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def resolve(precision: str = "auto") -> str:
    """The precision in which transformer layers compute, fp32, bf16 or fp16, when a setting says `precision`.

    A setting other than auto goes first, then `ADAPT_PRECISION`; auto in both is bf16 where the hardware has it and fp32
    elsewhere. What stays in fp32 all the same: see `adapt.networks.precision`. Raises UserError for fp16 without a GPU, which
    needs loss scaling and is slower than fp32 on a CPU.
    """
    asked = precision if precision != "auto" else default()
    if asked == "fp16" and device().type != "cuda":
        raise UserError(f"precision fp16 needs a GPU (the device is {device().type}); use auto, bf16 or fp32")
    if asked == "auto":
        return "bf16" if fast_bfloat16() else "fp32"
    return asked


def seed_all(seed: int) -> None:
    """Seed torch's generators: for the initialisation of new layers and for dropout."""
    torch.manual_seed(seed)


def describe() -> str:
    """The device and precision in words, for reports."""
    here = device()
    precision = {"bf16": "bf16 autocast", "fp16": "fp16 autocast"}.get(resolve(), "fp32")
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{here.type} ({name}), {precision}"


def environment() -> dict[str, str | int]:
    """What else decides the bits of a result, beside the versions: device, precision, processor and its instructions, threads."""
    able = torch.cpu.get_capabilities()
    return {
        "device": str(device()),
        "precision": resolve(),
        "processor": str(able.get("cpu_name") or platform.processor() or platform.machine()),
        "instructions": torch.backends.cpu.get_cpu_capability() + (" with bf16" if fast_bfloat16() else ""),
        "threads": torch.get_num_threads(),
    }
