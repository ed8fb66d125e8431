"""The machine's accelerator and instruction set, found without importing torch, which takes two seconds."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

PROCESSOR = Path("/proc/cpuinfo")
ACCELERATORS = (
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/dev/nvmap",
    "/dev/kfd",
    "/dev/dxg",
)  # NVIDIA, Jetson, AMD, WSL
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # the first two on x86, the others on Arm


def cpu_only() -> bool:
    """Whether models certainly run on the CPU: by ADAPT_DEVICE, or on Linux without an accelerator's device file."""
    wanted = os.environ.get("ADAPT_DEVICE")
    if wanted:
        return wanted == "cpu"
    return sys.platform == "linux" and not any(os.path.exists(path) for path in ACCELERATORS)


def device_type() -> str:
    """The type of `adapt.runtime.device.device`: cpu, cuda or mps; imports torch only where there may be an accelerator."""
    if cpu_only():
        return "cpu"
    from adapt.runtime.device import device

    return device().type


@lru_cache
def cpu_multiplies_bf16() -> bool:
    """Whether the processor has bf16 multiplication; without it bf16 is emulated, several times slower."""
    try:
        lines = PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        import torch

        able = torch.cpu.get_capabilities()
        return any(able.get(name) for name in (*BF16_FLAGS, "sve_bf16"))
    named = (line.partition(":") for line in lines)
    return any(BF16_FLAGS & set(value.split()) for name, _, value in named if name.strip() in ("flags", "Features"))
