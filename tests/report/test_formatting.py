import pytest

from adapt.report.formatting import chance, interval, metric, model_name, points, seconds, shown


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.085, "+8.5"), (-0.002, "−0.2"), (0.0, "0.0"), (-0.0004, "0.0"), (float("nan"), "–"), (None, "–")],
)
def test_points(value, words):
    assert points(value) == words


def test_numbers():
    assert interval({"low": -0.031, "high": 0.02}) == "−3.1 to +2.0" and interval({"low": None, "high": 1}) == "–"
    assert metric(-0.12345) == "−0.1235" and metric(0.5) == "0.5000"
    assert [chance(p) for p in (0.0002, 0.0234, 1.0, None)] == ["< 0.001", "0.023", "1.000", "–"]
    assert [seconds(s) for s in (0.44, 35.2, 372, 3850)] == ["0.4 s", "35 s", "6:12", "1:04:10"]
    assert shown({"a": 1234, "b": [0.123456, None], "c": True}) == "a 1,234, b 0.1235, –, c yes"


def test_a_local_models_name_tells_no_folder():
    names = ("all-MiniLM-L6-v2", "owner/name", "/home/someone/models/mine", "../mine", "~/mine")
    assert [model_name(name) for name in names] == ["all-MiniLM-L6-v2", "owner/name", "mine", "mine", "mine"]
