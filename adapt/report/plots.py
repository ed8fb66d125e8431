"""The report's plots, each from plain values to one SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from adapt.escaping import clean
from adapt.report.formatting import format_interval, format_points
from adapt.report.svg import WIDTH, Scale, dot, drawing, element, line, path, scale_around, text, ticks, x_axis, y_axis
from adapt.results import Difference
from adapt.run_details import TrainingCurve

ROW = 38  # height of a row: its label above, its interval below
MAX_LABEL = 36  # characters of a row's label
LEFT, RIGHT = 4, WIDTH - 6
HEIGHT, BASELINE = 150, 130  # of plots without rows, and the y of their horizontal axis
MAX_POINTS = 300  # of a training curve
Histograms = Mapping[str, Sequence[int]]  # {series: counts of equal bins}


def forest(rows: Sequence[tuple[str, Difference]], label: str) -> Markup:
    """A forest plot of (name, difference): values with their intervals on one axis, in points."""
    values = [value for _, row in rows for value in (row.delta, row.low, row.high)]
    scale = scale_around([*values, 0.0], LEFT, RIGHT, min_span=0.01)
    in_points = Scale(100 * scale.low, 100 * scale.high, scale.start, scale.end)
    bottom = ROW * len(rows) + 4
    parts = x_axis(in_points, bottom, 4)
    for number, (name, row) in enumerate(rows):
        y = ROW * number + 30
        parts += _row_labels(name, f"{format_points(row.delta)} ({format_interval(row)})", y)
        parts += [_reference(scale(0), y, "zero"), *_interval(scale, row, y)]
        if math.isfinite(row.delta):
            parts.append(dot(scale(row.delta), y, f"mark {row.outcome}"))
    return drawing(bottom + 20, label, parts)


@dataclass(frozen=True)
class TrajectoryPoint:
    """A metric of the model after a step and its gate; `difference` is to the model that the step started from.

    `ungated` is the value before the gate, where it differs.
    """

    name: str
    value: float
    ungated: float | None = None
    difference: Difference | None = None

    @property
    def previous(self) -> float:
        """The value of the model that the step started from."""
        return self.value - (self.difference.delta if self.difference else 0.0)


def trajectory(points: Sequence[TrajectoryPoint], label: str, floor: float | None = None) -> Markup:
    """A metric after each step, with the interval of the change from the previous model; dashed: the value of the base.

    A hollow mark is the step's model before the gate. `floor`, dotted, is the lowest value that the gate allows.
    """
    values = [point.value for point in points] + [point.ungated for point in points if point.ungated is not None]
    for point in points:
        if point.difference:
            values += [point.previous + point.difference.low, point.previous + point.difference.high]
    scale = scale_around([*values, *([] if floor is None else [floor])], LEFT, RIGHT, min_span=0.02)
    bottom = ROW * len(points) + 4
    parts = x_axis(scale, bottom, 4)
    for number, point in enumerate(points):
        y = ROW * number + 30
        change = f" ({format_points(point.difference.delta)})" if point.difference else ""
        parts += [*_row_labels(point.name, f"{point.value:.3f}{change}", y), _reference(scale(points[0].value), y, "zero")]
        if floor is not None:
            parts.append(_reference(scale(floor), y, "floor"))
        if point.difference:
            parts += _interval(scale, point.difference, y, point.previous)
        if point.ungated is not None:
            parts.append(dot(scale(point.ungated), y, "hollow"))
        parts.append(dot(scale(point.value), y, f"mark {point.difference.outcome if point.difference else 'same'}"))
    return drawing(bottom + 20, label, parts)


def _row_labels(name: str, value: str, y: float) -> list[Markup]:
    return [text(LEFT, y - 14, clean(name, MAX_LABEL), "label"), text(RIGHT, y - 14, value, "value", "end")]


def _reference(x: float, y: float, css_class: str) -> Markup:
    """A reference value beside a row's interval, not through its label."""
    return line(x, y - 10, x, y + 10, css_class)


def _interval(scale: Scale, row: Difference, y: float, origin: float = 0.0) -> list[Markup]:
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return []
    return [line(scale(origin + row.low), y, scale(origin + row.high), y, f"whisker {row.outcome}")]


def histogram(series: Histograms, low: float, high: float, label: str, top: float | None = None) -> Markup:
    """Overlaid histograms, each as shares of its own total, with bins from `low` to `high`.

    `top` is the share at the upper edge, so that two plots have the same axis.
    """
    across, up = Scale(low, high, LEFT, RIGHT), Scale(0.0, top or highest_share(series), BASELINE, 8)
    parts = x_axis(across, BASELINE, 8, most=8)
    for number, counts in enumerate(series.values()):
        total = sum(counts) or 1
        width = (high - low) / len(counts)
        outline = [(across(low), float(BASELINE))]
        for bin_number, count in enumerate(counts):
            outline += [(across(low + (bin_number + side) * width), up(count / total)) for side in (0, 1)]
        parts.append(path([*outline, (across(high), float(BASELINE))], f"area s{number}", closed=True))
    return drawing(HEIGHT, label, [*parts, line(LEFT, BASELINE, RIGHT, BASELINE, "axis")])


def highest_share(*groups: Histograms) -> float:
    """The largest share that any bin of any histogram holds."""
    return max((max(counts) / (sum(counts) or 1) for series in groups for counts in series.values()), default=1.0) or 1.0


def gains(values: Sequence[float], label: str) -> Markup:
    """One thin bar an item, in the given order (best first): upwards for a gain, downwards for a loss, in points."""
    bound = 100 * (max((abs(value) for value in values), default=0.0) or 0.01)
    low, high = (-bound if min(values, default=0) < 0 else 0.0), (bound if max(values, default=0) > 0 else 0.0)
    up = Scale(low, high, BASELINE + 8, 8) if high > low else Scale(-1.0, 1.0, BASELINE + 8, 8)
    left = 38
    width = (RIGHT - left) / max(1, len(values))
    parts = y_axis(up, left, RIGHT)
    indices = {"gained": [i for i, v in enumerate(values) if v > 0], "lost": [i for i, v in enumerate(values) if v < 0]}
    for css_class, own in indices.items():
        if own:
            outline = [(left + own[0] * width, up(0.0))]
            for i in own:
                outline += [(left + (i + side) * width, up(100 * values[i])) for side in (0, 1)]
            outline.append((left + (own[-1] + 1) * width, up(0.0)))
            parts.append(path(outline, css_class, closed=True))
    return drawing(HEIGHT, label, [*parts, line(left, up(0.0), RIGHT, up(0.0), "axis")])


def training_curve(curve: TrainingCurve, label: str) -> Markup:
    """The loss of every step (means of neighbouring steps where there are many), and the loss on held-out rows."""
    steps = _averaged(curve.losses)
    last = max(len(curve.losses), *(step for step, _ in curve.held_out), 2)
    losses = [loss for _, loss in [*steps, *curve.held_out] if math.isfinite(loss)]
    up = scale_around(losses, BASELINE, 8, min_span=0.01)
    left = 12 + 6 * max(len(f"{value:g}") for value in ticks(up.low, up.high, 4))  # room for the longest number
    across = Scale(1.0, float(last), left, RIGHT)
    parts = [*y_axis(up, left, RIGHT), *x_axis(across, BASELINE, 8, most=min(5, last - 1))]
    line_points = [(across(step), up(loss)) for step, loss in steps if math.isfinite(loss)]
    parts += [path(line_points, "curve")] if len(line_points) > 1 else [dot(x, y, "mark", 3) for x, y in line_points]
    if curve.held_out:
        held_out = [(across(step), up(loss)) for step, loss in curve.held_out if math.isfinite(loss)]
        parts += [path(held_out, "curve held"), *(dot(x, y, "mark held", 3) for x, y in held_out[-50:])]
    return drawing(HEIGHT, label, parts)


def _averaged(losses: Sequence[float]) -> list[tuple[float, float]]:
    """(step, mean loss) of groups of neighbouring steps, `MAX_POINTS` at most; steps count from 1."""
    size = -(-len(losses) // MAX_POINTS) or 1
    groups = [(start, losses[start : start + size]) for start in range(0, len(losses), size)]
    return [(1 + start + (len(group) - 1) / 2, sum(group) / len(group)) for start, group in groups]


def bar(share: float) -> Markup:
    """A bar for a table's cell: `share` (0 to 1) of 120 units."""
    width = 120.0 * min(max(share, 0.0), 1.0)
    return drawing(12, f"{100 * share:.0f} %", [element("rect", x=0, y=2, width=width, height=8, class_="bar")], 120)
