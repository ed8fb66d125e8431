"""Numbers and names as a report shows them; texts are escaped in `adapt.escaping`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeGuard

from adapt.escaping import clean
from adapt.results import Difference

MINUS = "\u2212"
MISSING = "–"


def model_name(model: str) -> str:
    """A model's name as it may be published: a hub name unchanged, of a local path the last part only."""
    local = model.startswith((".", "/", "~")) or "\\" in model or Path(model).is_absolute() or model.count("/") > 1
    return clean(Path(model).name if local else model, 100).replace("`", "'")


def format_points(value: float | None) -> str:
    """A difference of two metrics in points (hundredths), with its sign."""
    if not _finite(value):
        return MISSING
    return "0.0" if abs(value) < 0.0005 else f"{100 * value:+.1f}".replace("-", MINUS)


def format_interval(row: Difference) -> str:
    """The interval of a difference in points; a dash where it is undefined."""
    if not (_finite(row.low) and _finite(row.high)):
        return MISSING
    return f"{format_points(row.low)} to {format_points(row.high)}"


def format_metric(value: float | None) -> str:
    """A metric's value with four decimals."""
    return f"{value:.4f}".replace("-", MINUS) if _finite(value) else MISSING


def format_p(p: float | None) -> str:
    """A p-value."""
    return MISSING if not _finite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def format_duration(seconds: float | None) -> str:
    """A duration: 0.4 s, 35 s, 6:12, 1:04:10."""
    if not _finite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def format_value(value: object) -> str:
    """Any value of JSON as text: floats with four significant digits, lists and mappings as one line."""
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return MISSING
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {format_value(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(format_value(part) for part in value)
    return str(value)


def _finite(value: float | None) -> TypeGuard[float]:
    return value is not None and math.isfinite(value)
