"""Inline SVG: text stays text, colours are the page's CSS variables, nothing is loaded from elsewhere.

Written by hand: matplotlib's SVG backend makes pages 1.7 to 2.1 times as large and takes 3 to 4 times as long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

from adapt.escaping import clean
from adapt.report.formatting import MINUS

WIDTH = 360  # of every plot: legible unscaled on a phone, enlarged by at most a third elsewhere


def element(tag: str, *children: str | Markup, **attributes: str | float | None) -> Markup:
    """An element; `class_` and `text_anchor` become `class` and `text-anchor`, attributes that are None are left out."""
    words = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"' for key, value in attributes.items() if value is not None
    )
    inner = Markup("").join(child if isinstance(child, Markup) else escape(clean(child, 80)) for child in children)
    return Markup(f"<{tag}{words}>{inner}</{tag}>")


def drawing(height: float, label: str, parts: Iterable[Markup], width: float = WIDTH) -> Markup:
    """The whole picture; `label` is read out by screen readers."""
    return element("svg", *parts, viewBox=f"0 0 {_number(width)} {_number(height)}", role="img", aria_label=clean(label, 200))


def text(x: float, y: float, words: str, css_class: str = "", anchor: str = "start") -> Markup:
    return element("text", words, x=x, y=y, class_=css_class or None, text_anchor=None if anchor == "start" else anchor)


def line(x1: float, y1: float, x2: float, y2: float, css_class: str) -> Markup:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=css_class)


def dot(x: float, y: float, css_class: str, radius: float = 4) -> Markup:
    return element("circle", cx=x, cy=y, r=radius, class_=css_class)


def path(points: Iterable[tuple[float, float]], css_class: str, closed: bool = False) -> Markup:
    """A line through points, or the area that they enclose."""
    drawn = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return element("path", d=f"M{drawn}{'Z' if closed else ''}", class_=css_class)


def _number(value: str | float) -> str:
    """Numbers with two decimals at most, never with an exponent."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".") if math.isfinite(value) else "0"
    return str(value)


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` linearly to coordinates from `start` to `end`; other values are clipped."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def scale_around(values: Iterable[float], start: float, end: float, min_span: float = 1e-6, margin: float = 0.06) -> Scale:
    """A scale that covers all finite values, at least `min_span` of them, with a margin on both sides."""
    finite = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(finite), max(finite)
    missing = max(0.0, min_span - (high - low))
    low, high = low - missing / 2, high + missing / 2
    room = margin * (high - low)
    return Scale(low - room, high + room, start, end)


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most `most` round values between two ends: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if (high - low) / (factor * power) <= most)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def x_axis(scale: Scale, y: float, top: float, most: int = 5) -> list[Markup]:
    """Tick labels of a horizontal axis below `y`, with grid lines up to `top`."""
    parts = []
    for value in ticks(scale.low, scale.high, most):
        x = scale(value)
        anchor = "start" if x < 14 else "end" if x > WIDTH - 14 else "middle"  # labels at the edge are not cut
        parts += [line(x, top, x, y, "grid"), text(x, y + 14, _tick_label(value), "tick", anchor)]
    return parts


def y_axis(scale: Scale, x: float, right: float, most: int = 4) -> list[Markup]:
    """Tick labels of a vertical axis left of `x`, with grid lines to `right`."""
    parts = []
    for value in ticks(scale.low, scale.high, most):
        y = scale(value)
        parts += [line(x, y, right, y, "grid"), text(x - 5, y + 4, _tick_label(value), "tick", "end")]
    return parts


def _tick_label(value: float) -> str:
    return f"{value:g}".replace("-", MINUS)
