"""Names of precisions, and how `auto` is resolved: by `--precision`, ADAPT_PRECISION, or the hardware, in this order.

For what is computed in which precision see `adapt.models.mixed_precision`.
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
    """The precision in ADAPT_PRECISION: auto (the hardware decides, also where unset), fp32, bf16 or fp16. Raises UserError."""
    named = os.environ.get(VARIABLE, "").strip().lower() or "auto"
    if named not in PRECISIONS:
        raise UserError(f"{VARIABLE} is '{named}'; it must be one of {', '.join(PRECISIONS)}")
    return named


def set_default(precision: str | None) -> None:
    """Set ADAPT_PRECISION for this process and its children; None and int8 change nothing."""
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
    """The precision of transformer layers, fp32, bf16 or fp16, for a `precision` setting.

    A setting other than auto takes precedence, then `ADAPT_PRECISION`; auto in both is bf16 where the hardware multiplies bf16,
    and fp32 elsewhere. Raises UserError for fp16 without a GPU, where it is slower than fp32 and needs loss scaling.
    """
    requested = precision if precision != "auto" else default()
    if requested == "fp16" and (kind := hardware.device_type()) != "cuda":
        raise UserError(f"precision fp16 needs a GPU (the device is {kind}); use auto, bf16 or fp32")
    if requested == "auto":
        return "bf16" if fast_bfloat16() else "fp32"
    return requested


@lru_cache
def fast_bfloat16() -> bool:
    """Whether the processor or GPU has bf16 multiplication; without it bf16 is emulated, several times slower."""
    kind = hardware.device_type()
    if kind == "cuda":
        import torch

        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # bf16 is not benchmarked on Apple's GPUs: fp32 is their default.
    return kind == "cpu" and hardware.cpu_multiplies_bf16()
