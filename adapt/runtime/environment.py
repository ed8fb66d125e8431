"""What determines the bits of a result, besides versions and seed: device, precision, processor, instruction set, threads."""

from __future__ import annotations

import platform

import torch

from adapt.runtime.device import device
from adapt.runtime.precision import fast_bfloat16, resolve


def describe() -> str:
    """Device and precision in words, for reports: "cpu (2 threads), bf16 autocast"."""
    here = device()
    precision = {"bf16": "bf16 autocast", "fp16": "fp16 autocast"}.get(resolve(), "fp32")
    name = torch.cuda.get_device_name(here) if here.type == "cuda" else f"{torch.get_num_threads()} threads"
    return f"{here.type} ({name}), {precision}"


def environment() -> dict[str, str | int]:
    """The environment for `results.json`; `instructions`: the instruction set that torch uses."""
    capabilities = torch.cpu.get_capabilities()
    return {
        "device": str(device()),
        "precision": resolve(),
        "processor": str(capabilities.get("cpu_name") or platform.processor() or platform.machine()),
        "instructions": torch.backends.cpu.get_cpu_capability() + (" with bf16" if fast_bfloat16() else ""),
        "threads": torch.get_num_threads(),
    }
