"""The names of precisions, and which one `auto` stands for: `--precision`, else ADAPT_PRECISION, else what the hardware has.

What runs in which precision: see `adapt.networks.precision`.
"""

from __future__ import annotations

import os
from typing import Literal

from adapt.errors import UserError

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
