"""Small drawings as inline SVG: text stays text, colours are the page's CSS variables, nothing comes from elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from adapt.escaping import clean
from adapt.report.formatting import MINUS

WIDTH = 360  # of every plot: readable as it is on a phone, and enlarged by at most a third elsewhere


def tag(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element; `class_` and `text_anchor` become `class` and `text-anchor`, attributes that are None are left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = Markup("").join(child if isinstance(child, Markup) else escape(clean(str(child), 80)) for child in children)
    return Markup(f"<{name}{words}>{inner}</{name}>")


def drawing(height: float, label: str, parts: Iterable[Markup], width: float = WIDTH) -> Markup:
    """The picture: `label` is what a screen reader says."""
    return tag("svg", *parts, viewBox=f"0 0 {_number(width)} {_number(height)}", role="img", aria_label=clean(label, 200))


def text(x: float, y: float, words: Any, kind: str = "", anchor: str = "start") -> Markup:
    return tag("text", str(words), x=x, y=y, class_=kind or None, text_anchor=None if anchor == "start" else anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def dot(x: float, y: float, kind: str, radius: float = 4) -> Markup:
    return tag("circle", cx=x, cy=y, r=radius, class_=kind)


def path(points: Iterable[tuple[float, float]], kind: str, closed: bool = False) -> Markup:
    """A line through points, or the area inside them."""
    drawn = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return tag("path", d=f"M{drawn}{'Z' if closed else ''}", class_=kind)


def _number(value: Any) -> str:
    """Numbers with two decimals at most: files stay small, and no exponent comes up."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"
    return str(value)


@dataclass(frozen=True)
class Scale:
    """A straight line from values `low` to `high` to places `start` to `end`; values beyond are held at the ends."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def around(values: Iterable[float], start: float, end: float, least: float = 0.0, margin: float = 0.06) -> Scale:
    """A scale that holds all finite values with some room on both sides, and spans `least` at the least."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    missing = max(0.0, (least or 1e-6) - (high - low))
    low, high = low - missing / 2, high + missing / 2
    room = margin * (high - low)
    return Scale(low - room, high + room, start, end)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values between two ends, `most` at the most: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if (high - low) / (factor * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def below(scale: Scale, y: float, top: float, names: str = "{:g}", most: int = 5) -> list[Markup]:
    """Tick marks on a horizontal axis at height `y`, with faint lines up to `top`."""
    found = []
    for value in ticks(scale.low, scale.high, most):
        x = scale(value)
        anchor = "start" if x < 14 else "end" if x > WIDTH - 14 else "middle"  # nothing is cut at the edge
        found += [line(x, top, x, y, "grid"), text(x, y + 14, _tick(names, value), "tick", anchor)]
    return found


def beside(scale: Scale, x: float, right: float, names: str = "{:g}", most: int = 4) -> list[Markup]:
    """Tick marks on a vertical axis at `x`, with faint lines to `right`."""
    found = []
    for value in ticks(scale.low, scale.high, most):
        found += [
            line(x, scale(value), right, scale(value), "grid"),
            text(x - 5, scale(value) + 4, _tick(names, value), "tick", "end"),
        ]
    return found


def _tick(names: str, value: float) -> str:
    return names.format(value).replace("-", MINUS)
