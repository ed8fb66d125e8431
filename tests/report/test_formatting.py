import math

import pytest

from adapt.report.formatting import (
    format_duration,
    format_interval,
    format_metric,
    format_p,
    format_points,
    format_value,
    model_name,
)
from adapt.results import Difference


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.085, "+8.5"), (-0.002, "−0.2"), (0.0, "0.0"), (-0.0004, "0.0"), (float("nan"), "–"), (None, "–")],
)
def test_differences_are_in_points_with_their_sign(value, words):
    assert format_points(value) == words


def test_undefined_numbers_are_a_dash_and_others_are_rounded():
    row = Difference(delta=0, low=-0.031, high=0.02, p=1, outcome="same")
    assert format_interval(row) == "−3.1 to +2.0" and format_interval(row.model_copy(update={"low": math.nan})) == "–"
    assert format_metric(-0.12345) == "−0.1235" and format_metric(0.5) == "0.5000"
    assert [format_p(p) for p in (0.0002, 0.0234, 1.0, None)] == ["< 0.001", "0.023", "1.000", "–"]
    assert [format_duration(s) for s in (0.44, 35.2, 372, 3850)] == ["0.4 s", "35 s", "6:12", "1:04:10"]
    assert format_value({"a": 1234, "b": [0.123456, None], "c": True}) == "a 1,234, b 0.1235, –, c yes"


def test_the_name_of_a_local_model_is_published_without_its_folders():
    names = ("all-MiniLM-L6-v2", "owner/name", "/home/someone/models/mine", "../mine", "~/mine")
    assert [model_name(name) for name in names] == ["all-MiniLM-L6-v2", "owner/name", "mine", "mine", "mine"]
