"""The names of precisions, and which one `auto` stands for: `--precision`, else ADAPT_PRECISION, else what the hardware has.

What runs in which precision: see `adapt.models.mixed_precision`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Literal

from adapt.errors import UserError
from adapt.runtime import hardware

Precision = Literal["auto", "fp32", "bf16", "fp16"]
InferencePrecision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
VARIABLE = "ADAPT_PRECISION"


def default() -> str:
    """What `auto` stands for in this process: auto (the hardware decides), fp32, bf16 or fp16. Raises UserError."""
    named = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if named not in PRECISIONS:
        raise UserError(f"{VARIABLE} is '{named}'; it must be one of {', '.join(PRECISIONS)}")
    return named


def set_default(precision: str | None) -> None:
    """Have `auto` stand for `precision` in this process and in those that it starts; None and int8 change nothing."""
    if precision in PRECISIONS:
        os.environ[VARIABLE] = precision


@contextmanager
def default_precision(precision: str | None) -> Iterator[None]:
    """Until the block ends `auto` stands for `precision` (see `set_default`)."""
    before = os.environ.get(VARIABLE)
    set_default(precision)
    try:
        yield
    finally:
        os.environ.pop(VARIABLE, None)
        if before is not None:
            os.environ[VARIABLE] = before


def resolve(precision: str = "auto") -> str:
    """The precision in which transformer layers compute, fp32, bf16 or fp16, when a setting says `precision`.

    A setting other than auto goes first, then `ADAPT_PRECISION`; auto in both is bf16 where the hardware has it and fp32
    elsewhere. What stays in fp32 all the same: see `adapt.models.mixed_precision`. Raises UserError for fp16 without a GPU, which
    needs loss scaling and is slower than fp32 on a CPU.
    """
    asked = precision if precision != "auto" else default()
    if asked == "fp16" and (kind := hardware.device_type()) != "cuda":
        raise UserError(f"precision fp16 needs a GPU (the device is {kind}); use auto, bf16 or fp32")
    if asked == "auto":
        return "bf16" if fast_bfloat16() else "fp32"
    return asked


@lru_cache
def fast_bfloat16() -> bool:
    """Whether the processor or GPU multiplies in bf16 itself; where it does not, bf16 is emulated, several times slower."""
    kind = hardware.device_type()
    if kind == "cuda":
        import torch

        return torch.cuda.is_bf16_supported(including_emulation=False)
    # On Apple's GPUs bf16 is not measured: fp32 unless asked for.
    return kind == "cpu" and hardware.cpu_multiplies_bf16()
