"""Marks, bars and areas of a plot are at the coordinates of their values."""

import math
import random
import re

import pytest

from adapt.report import plots
from adapt.report.svg import Scale, element, scale_around, ticks
from adapt.results import Difference
from adapt.run_details import TrainingCurve


def attributes(svg, kind, *names):
    """The named attributes of every element whose class begins with `kind`, as numbers."""
    elements = [element for element in re.findall(r"<\w+ [^>]*>", svg) if re.search(rf'class="{kind}[ "]', element)]
    return [tuple(float(re.search(rf' {name}="([^"]*)"', element)[1]) for name in names) for element in elements]


def corners(svg, kind):
    """The corners of the path of a class."""
    drawn = re.search(rf'<path d="M([^"Z]*)Z?" class="{kind}"', svg)[1]
    return [tuple(map(float, point.split())) for point in drawn.split("L")]


def linear(places, values):
    """Slope and offset of places against values; fails where they do not lie on a line (to two hundredths of a unit)."""
    slope = (places[-1] - places[0]) / (values[-1] - values[0])
    offset = places[0] - slope * values[0]
    assert places == pytest.approx([slope * value + offset for value in values], abs=0.02)
    return slope, offset


def test_a_forest_places_values_and_interval_ends_on_one_axis():
    rng = random.Random(1)
    rows = []
    for number in range(6):
        value, below, above = rng.uniform(-0.1, 0.2), rng.uniform(0.01, 0.05), rng.uniform(0.01, 0.05)
        rows.append((f"m{number}", Difference(delta=value, low=value - below, high=value + above, p=1, outcome="same")))
    svg = plots.forest(rows, "forest")
    dots = [x for x, _ in attributes(svg, "mark", "cx", "cy")]
    ends = attributes(svg, "whisker", "x1", "x2")
    places = [place for x, (left, right) in zip(dots, ends, strict=True) for place in (x, left, right)]
    values = [value for _, row in rows for value in (row.delta, row.low, row.high)]
    slope, offset = linear(places, values)
    assert slope > 0
    assert [x for (x,) in attributes(svg, "zero", "x1")] == pytest.approx([offset] * 6, abs=0.02)
    assert min(places) >= 0 and max(places) <= plots.WIDTH
    grid = [x for (x,) in attributes(svg, "grid", "x1")]
    shown = [float(t.replace("−", "-")) for t in re.findall(r'class="tick"[^>]*>([^<]*)<', svg)]
    assert grid == pytest.approx([slope * value / 100 + offset for value in shown], abs=0.02)  # ticks are in points


def test_a_row_without_an_interval_has_a_mark_and_no_bar():
    svg = plots.forest([("m", Difference(delta=0.1, low=math.nan, high=math.nan, p=1, outcome="same"))], "forest")
    assert len(attributes(svg, "mark", "cx")) == 1 and not attributes(svg, "whisker", "x1")


def test_a_trajectory_shows_each_model_before_and_after_the_gate_and_the_interval_of_its_change():
    change = Difference(delta=0.06, low=0.04, high=0.09, p=0.001, outcome="better")
    svg = plots.trajectory(
        [plots.TrajectoryPoint("base", 0.5), plots.TrajectoryPoint("finetune", 0.56, 0.585, change)], "t", floor=0.49
    )
    base, left = (x for (x,) in attributes(svg, "mark", "cx"))
    [(made,)], [(low, high)], [(floor,), _] = (
        attributes(svg, "hollow", "cx"),
        attributes(svg, "whisker", "x1", "x2"),
        attributes(svg, "floor", "x1"),
    )
    linear([base, left, made, low, high, floor], [0.5, 0.56, 0.585, 0.54, 0.59, 0.49])
    assert attributes(svg, "zero", "x1") == [(base,), (base,)]


def test_bars_of_gains_are_proportional_and_in_order():
    rng = random.Random(2)
    values = sorted((rng.uniform(-0.6, 1) for _ in range(40)), reverse=True)
    values[20:25] = [0.0] * 5
    values.sort(reverse=True)
    svg = plots.gains(values, "gains")
    heights = {}
    for kind in ("gained", "lost"):
        points = corners(svg, kind)
        zero = points[0][1]
        assert points[-1][1] == zero
        heights[kind] = [zero - y for _, y in points[1:-1:2]]
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    ups, downs = [v for v in values if v > 0], [v for v in values if v < 0]
    linear([0.0, *heights["gained"], *heights["lost"]], [0.0, *ups, *downs])
    assert len(plots.gains([1 - i / 1000 for i in range(2001)], "many")) < 60_000


@pytest.mark.parametrize("values", [[], [0.0, 0.0], [0.5], [-0.5], [1.0, -1.0]])
def test_gains_of_few_items_are_drawn(values):
    svg = plots.gains(values, "few")
    assert svg.count('class="gained"') == (max(values, default=0) > 0) and svg.count('class="lost"') == (min(values, default=0) < 0)
    assert "nan" not in svg


def test_a_histogram_draws_shares_of_each_series_own_total():
    svg = plots.histogram({"a": [1, 2, 1], "b": [30, 0, 10]}, -1.0, 1.0, "histogram", top=1.0)
    for kind, shares in (("area s0", [0.25, 0.5, 0.25]), ("area s1", [0.75, 0.0, 0.25])):
        points = corners(svg, kind)
        foot = points[0][1]
        linear([foot, *(y for _, y in points[1:-1:2])], [0.0, *shares])
        assert [x for x, _ in points[1:-1]] == pytest.approx(
            [plots.LEFT, 122 - 2 / 3, 122 - 2 / 3, 238 - 1 / 3, 238 - 1 / 3, plots.RIGHT], abs=2
        )
    assert plots.highest_share({"a": [1, 2, 1]}, {"b": [30, 0, 10]}) == 0.75


def test_a_curve_places_losses_by_step_and_means_of_neighbours_where_they_are_many():
    svg = plots.training_curve(TrainingCurve(losses=(4.0, 3.0, 1.0), held_out=((1, 4.5), (3, 2.0))), "curve")
    own, held = corners(svg, "curve"), corners(svg, "curve held")
    linear([y for _, y in own] + [y for _, y in held], [4.0, 3.0, 1.0, 4.5, 2.0])
    linear([x for x, _ in own] + [held[1][0]], [1, 2, 3, 3])
    many = corners(plots.training_curve(TrainingCurve(losses=tuple(map(float, range(3_000)))), "many"), "curve")
    assert len(many) == plots.MAX_POINTS
    linear([y for _, y in many], [sum(range(i, i + 10)) / 10 for i in range(0, 3_000, 10)])
    assert "nan" not in plots.training_curve(TrainingCurve(losses=(math.nan, 1.0)), "a loss of NaN")


def test_scales_and_ticks():
    assert Scale(0, 10, 100, 200)(5) == 150 and Scale(0, 10, 100, 200)(99) == 200
    assert ticks(0, 1) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(-0.13, 0.27, 5) == [-0.1, 0.0, 0.1, 0.2] and ticks(3, 3) == [3]
    assert scale_around([2.0, 2.0], 0, 1, min_span=0.02, margin=0)(2.0) == pytest.approx(0.5)
    assert scale_around([], 0, 1)(0.0) == pytest.approx(0.5)


def test_text_and_attributes_are_escaped():
    assert element("text", "</svg><b>", class_='a" onload="x') == '<text class="a&#34; onload=&#34;x">&lt;/svg&gt;&lt;b&gt;</text>'
