"""The report's plots, each from plain numbers to one SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from adapt.escaping import clean
from adapt.report.formatting import interval, points
from adapt.report.svg import WIDTH, Scale, around, below, beside, dot, drawing, line, path, tag, text, ticks

ROW = 38  # a label above, its interval below
LABEL = 36  # characters of a label that leave room for the numbers at the end of its line
LEFT, RIGHT = 4, WIDTH - 6
MOST_STEPS = 300  # points of one training curve


def forest(rows: Sequence[Mapping[str, Any]], label: str) -> Markup:
    """Differences with their intervals, one row each (`metric`, `delta`, `low`, `high`, `verdict`), on one axis in points."""
    ends = [row[name] for row in rows for name in ("delta", "low", "high")]
    scale = around([*ends, 0.0], LEFT, RIGHT, least=0.01)
    bottom = ROW * len(rows) + 4
    parts = below(_in_points(scale), bottom, 4)
    for number, row in enumerate(rows):
        y = ROW * number + 30
        parts += [
            text(LEFT, y - 14, clean(row["metric"], LABEL), "label"),
            text(RIGHT, y - 14, f"{points(row['delta'])} ({interval(row)})", "value", "end"),
            _upright(scale(0), y, "zero"),
            *_whisker(scale, row, y),
            *([dot(scale(row["delta"]), y, f"mark {row['verdict']}")] if math.isfinite(row["delta"]) else []),
        ]
    return drawing(bottom + 20, label, parts)


def _in_points(scale: Scale) -> Scale:
    return Scale(100 * scale.low, 100 * scale.high, scale.start, scale.end)


def _upright(x: float, y: float, kind: str) -> Markup:
    """A reference value beside a row's interval, not through its label."""
    return line(x, y - 10, x, y + 10, kind)


def _whisker(scale: Scale, row: Mapping[str, Any], y: float, base: float = 0.0) -> list[Markup]:
    if not (math.isfinite(row["low"]) and math.isfinite(row["high"])):
        return []
    return [line(scale(base + row["low"]), y, scale(base + row["high"]), y, f"whisker {row['verdict']}")]


@dataclass(frozen=True)
class Stop:
    """A model on its way: what the gate left, and what the step had made where that is another value."""

    name: str
    value: float
    made: float | None = None
    change: Mapping[str, Any] | None = None  # delta, low, high, verdict against the model before; of what the gate left


def way(stops: Sequence[Stop], label: str, floor: float | None = None) -> Markup:
    """A metric after each step, with the interval of the change to the model before; a dashed line at the base's value.

    A hollow mark is what a step made and the gate did not leave as it was; `floor` is the lowest value that a guard allows.
    """
    values = [stop.value for stop in stops] + [stop.made for stop in stops if stop.made is not None]
    for stop in stops:
        if stop.change:
            before = stop.value - stop.change["delta"]
            values += [before + stop.change["low"], before + stop.change["high"]]
    scale = around([*values, *([] if floor is None else [floor])], LEFT, RIGHT, least=0.02)
    bottom = ROW * len(stops) + 4
    parts = below(scale, bottom, 4)
    for number, stop in enumerate(stops):
        y = ROW * number + 30
        words = f"{stop.value:.3f}" + (f" ({points(stop.change['delta'])})" if stop.change else "")
        parts += [text(LEFT, y - 14, clean(stop.name, LABEL), "label"), text(RIGHT, y - 14, words, "value", "end")]
        parts.append(_upright(scale(stops[0].value), y, "zero"))
        if floor is not None:
            parts.append(_upright(scale(floor), y, "floor"))
        verdict = stop.change["verdict"] if stop.change else "same"
        if stop.change:
            parts += _whisker(scale, stop.change, y, stop.value - stop.change["delta"])
        if stop.made is not None:
            parts.append(dot(scale(stop.made), y, "hollow"))
        parts.append(dot(scale(stop.value), y, f"mark {verdict}"))
    return drawing(bottom + 20, label, parts)


HEIGHT, FOOT = 150, 130  # of the plots below, and where their axis lies


def histogram(series: Mapping[str, Sequence[float]], low: float, high: float, label: str, top: float | None = None) -> Markup:
    """Histograms over each other as shares of their own total: {name: counts of equal bins from `low` to `high`}.

    `top` is the share at the upper edge, so that two pictures can be compared.
    """
    across, top = Scale(low, high, LEFT, RIGHT), top or highest(series)
    up = Scale(0.0, top, FOOT, 8)
    parts = below(across, FOOT, 8, most=8)
    for number, counts in enumerate(series.values()):
        total = sum(counts) or 1
        width = (high - low) / len(counts)
        corners = [(across(low), float(FOOT))]
        for place, count in enumerate(counts):
            corners += [(across(low + (place + side) * width), up(count / total)) for side in (0, 1)]
        parts.append(path([*corners, (across(high), float(FOOT))], f"area s{number}", closed=True))
    return drawing(HEIGHT, label, [*parts, line(LEFT, FOOT, RIGHT, FOOT, "axis")])


def highest(*groups: Mapping[str, Sequence[float]]) -> float:
    """The largest share that any bin of any histogram holds."""
    return max((max(counts) / (sum(counts) or 1) for series in groups for counts in series.values()), default=1.0) or 1.0


def gains(values: Sequence[float], label: str) -> Markup:
    """One thin bar for each item, sorted as given (best first), up for a gain and down for a loss, all in points."""
    largest = max([abs(value) for value in values] or [0.0]) or 0.01
    bound = 100 * largest
    up = Scale(-bound if min(values, default=0) < 0 else 0.0, bound if max(values, default=0) > 0 else 0.0, FOOT + 8, 8)
    if up.high == up.low:
        up = Scale(-1.0, 1.0, FOOT + 8, 8)
    left = 38
    width = (RIGHT - left) / max(1, len(values))
    parts = beside(up, left, RIGHT)
    for kind, wanted in (
        ("gained", [i for i, v in enumerate(values) if v > 0]),
        ("lost", [i for i, v in enumerate(values) if v < 0]),
    ):
        if wanted:
            corners = [(left + wanted[0] * width, up(0.0))]
            for i in wanted:
                corners += [(left + (i + side) * width, up(100 * values[i])) for side in (0, 1)]
            corners.append((left + (wanted[-1] + 1) * width, up(0.0)))
            parts.append(path(corners, kind, closed=True))
    return drawing(HEIGHT, label, [*parts, line(left, up(0.0), RIGHT, up(0.0), "axis")])


def curve(losses: Sequence[float], held_out: Sequence[Sequence[float]], label: str) -> Markup:
    """A training curve: the loss of every step (the mean of neighbours where they are many), and of held-out rows where known."""
    steps = _thinned(losses)
    last = max(len(losses), *(int(step) for step, _ in held_out), 2)
    seen = [loss for _, loss in [*steps, *held_out] if math.isfinite(loss)]
    up = around(seen, FOOT, 8, least=0.01)
    left = 12 + 6 * max(len(f"{value:g}") for value in ticks(up.low, up.high, 4))  # room for the longest number
    across = Scale(1.0, float(last), left, RIGHT)
    parts = [*beside(up, left, RIGHT), *below(across, FOOT, 8, most=min(5, last - 1))]
    drawn = [(across(step), up(loss)) for step, loss in steps if math.isfinite(loss)]
    parts.append(path(drawn, "curve") if len(drawn) > 1 else Markup("").join(dot(x, y, "mark", 3) for x, y in drawn))
    if held_out:
        kept = [(across(step), up(loss)) for step, loss in held_out if math.isfinite(loss)]
        parts += [path(kept, "curve held"), *(dot(x, y, "mark held", 3) for x, y in kept[-50:])]
    return drawing(HEIGHT, label, parts)


def _thinned(losses: Sequence[float]) -> list[tuple[float, float]]:
    """(step, mean loss) of neighbouring steps, so that few points are left; steps count from 1."""
    size = -(-len(losses) // MOST_STEPS) or 1
    groups = [(start, losses[start : start + size]) for start in range(0, len(losses), size)]
    return [(1 + start + (len(group) - 1) / 2, sum(group) / len(group)) for start, group in groups]


def bar(share: float, kind: str = "bar") -> Markup:
    """A bar for a table's cell: `share` (0 to 1) of 120 units."""
    width = 120.0 * min(max(share, 0.0), 1.0)
    return drawing(12, f"{100 * share:.0f} %", [tag("rect", x=0, y=2, width=width, height=8, class_=kind)], 120)
