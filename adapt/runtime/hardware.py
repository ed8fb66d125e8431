"""What the machine can do, as far as the system says it: found without loading torch, which takes two seconds."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

PROCESSOR = Path("/proc/cpuinfo")
ACCELERATORS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/nvmap", "/dev/kfd", "/dev/dxg")  # NVIDIA, Jetson, AMD, Windows' subsystem
MULTIPLIES_BF16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}  # the first two are of x86, the others of Arm


def cpu_only() -> bool:
    """Whether models run on the CPU for certain: it is asked for, or a Linux system has no device of an accelerator."""
    wanted = os.environ.get("ADAPT_DEVICE")
    if wanted:
        return wanted == "cpu"
    return sys.platform == "linux" and not any(os.path.exists(path) for path in ACCELERATORS)


def device_type() -> str:
    """cpu, cuda or mps: what `adapt.runtime.device.device` is; torch is loaded only where an accelerator may be there."""
    if cpu_only():
        return "cpu"
    from adapt.runtime.device import device

    return device().type


@lru_cache
def cpu_multiplies_bf16() -> bool:
    """Whether the processor has instructions that multiply in bf16; without them it is emulated, several times slower."""
    try:
        lines = PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        import torch

        able = torch.cpu.get_capabilities()
        return any(able.get(name) for name in (*MULTIPLIES_BF16, "sve_bf16"))
    named = (line.partition(":") for line in lines)
    return any(MULTIPLIES_BF16 & set(value.split()) for name, _, value in named if name.strip() in ("flags", "Features"))
