"""Numbers and names as a report shows them; texts are made harmless in `adapt.escaping`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt.escaping import clean

MINUS = "\u2212"


def model_name(model: Any) -> str:
    """A model's name as it may be published: a hub name as it is, a path without the folders of whoever made it."""
    name = str(model)
    local = name.startswith((".", "/", "~")) or "\\" in name or Path(name).is_absolute() or name.count("/") > 1
    return clean(Path(name).name if local else name, 100).replace("`", "'")


def points(value: Any) -> str:
    """A difference of two metrics in points (hundredths), with its sign."""
    if not _finite(value):
        return "–"
    return "0.0" if abs(value) < 0.0005 else f"{100 * value:+.1f}".replace("-", MINUS)


def interval(row: Mapping[str, Any]) -> str:
    """`low` to `high` of a difference, in points; a dash where they are not known."""
    if not (_finite(row.get("low")) and _finite(row.get("high"))):
        return "–"
    return f"{points(row['low'])} to {points(row['high'])}"


def metric(value: Any) -> str:
    """A metric's value, four digits."""
    return "–" if not _finite(value) else f"{value:.4f}".replace("-", MINUS)


def chance(p: Any) -> str:
    """A p-value."""
    return "–" if not _finite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def seconds(value: Any) -> str:
    """A duration: 0.4 s, 35 s, 6:12, 1:04:10."""
    if not _finite(value):
        return "–"
    if value < 60:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def shown(value: Any) -> str:
    """Any value of a results file in a few words: numbers with four digits, lists and tables flattened."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "–"
        return f"{value:,.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(shown(part) for part in value)
    return str(value)


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
