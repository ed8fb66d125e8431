"""The result of a run as a value: saved and loaded, described by its schema, as a table."""

import json
import math
import sys

import pytest
from click.testing import CliRunner

from adapt.cli import cli
from adapt.errors import UserError
from adapt.results import (
    CheckInfo,
    Comparison,
    GateDecision,
    GateTrial,
    LeakCounts,
    Lock,
    RunResult,
    StepResult,
    Verdict,
)

CHANGE = {"delta": 0.02, "low": 0.01, "high": 0.03, "p": 0.001, "outcome": "better"}
UNDEFINED = {"delta": math.nan, "low": math.nan, "high": math.nan, "p": math.nan, "outcome": "unmeasured"}


def result(**changes) -> RunResult:
    lock = Lock(name="small", model="m", model_key="k", seed=3, data={}, steps=(), gate={"target": "sts.spearman"}, versions={})
    values = {
        "recipe": "small", "model": "m", "seed": 3, "final": "k", "changed": True, "lock": lock,
        "verdict": Verdict(outcome="better", sentence="It is better.", target="sts.spearman"),
        "test": (
            Comparison(metric="sts.pearson", role="target", base=0.5, final=math.nan, **UNDEFINED),
            Comparison(metric="sts.spearman", role="target", base=0.5, final=0.52, **CHANGE),
        ),
        "checks": {"sts": CheckInfo(kind="sts", role="target", metric="spearman")},
    }  # fmt: skip
    return RunResult(**values | changes)


def trial(alpha, outcome="same") -> GateTrial:
    return GateTrial(alpha=alpha, outcome=outcome, explanation="", passes=True, gain=0.1, guard_loss=0.03)


def test_a_result_is_loaded_as_it_was_saved_from_its_folder_and_from_its_file(tmp_path):
    saved = result()
    saved.save(tmp_path)
    for place in (tmp_path, str(tmp_path), tmp_path / "results.json"):
        loaded = RunResult.load(place)
        assert loaded.model_dump_json() == saved.model_dump_json() and loaded.model_folder == tmp_path / "model"
    written = json.loads((tmp_path / "results.json").read_text(), parse_constant=pytest.fail)  # no NaN, which is not JSON
    assert written["schema_version"] == 1 and written["test"][0]["final"] is None and "folder" not in written
    assert math.isnan(loaded.test[0].final) and loaded.test[0].p_corrected is None
    with pytest.raises(UserError, match="belongs to no folder"):
        _ = result().model_folder


def test_the_schema_that_is_printed_describes_the_file(tmp_path):
    done = CliRunner().invoke(cli, ["schema", "results"])
    schema = json.loads(done.output)
    result(gates=(GateDecision(step="tsdae", key="k", cached=False, alpha=1.0, trials=(trial(1.0),)),)).save(tmp_path)
    written = json.loads((tmp_path / "results.json").read_text())
    assert set(written) <= set(schema["properties"]) and set(schema["required"]) <= set(written)
    assert set(written["gates"][0]) == set(schema["$defs"]["GateDecision"]["properties"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda text: json.dumps({"recipe": "small", "steps": []}),
            "an earlier version of adapt; run the recipe again: ",
        ),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 9'), r"another version of adapt \(schema 9\)"),
        (lambda text: text.replace('"seed": 3', '"seed": 4', 1), "has changed since it was written"),
        (lambda text: text[:-40], "is damaged"),
        (lambda text: "[]", "earlier version"),
    ],
)
def test_a_file_that_is_no_result_of_this_version_is_refused_by_load_and_report(tmp_path, change, message):
    result().save(tmp_path)
    file = tmp_path / "results.json"
    file.write_text(change(file.read_text()))
    with pytest.raises(UserError, match=message) as caught:
        RunResult.load(tmp_path)
    assert str(file) in str(caught.value) and "finished steps are cached" in str(caught.value)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"holds no results\.json"):
        RunResult.load(tmp_path)


def test_a_result_shows_what_it_found_and_gives_the_comparison_as_a_data_frame(monkeypatch):
    found = result()
    assert repr(found) == "<RunResult 'small': better, sts.spearman 0.5000 → 0.5200 (+2.0 points)>"
    frame = found.to_pandas()
    assert list(frame.metric) == ["sts.pearson", "sts.spearman"] and frame.delta[1] == 0.02 and math.isnan(frame.delta[0])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UserError, match="pip install pandas"):
        found.to_pandas()


def test_a_gate_decision_names_its_action_and_the_trial_of_what_was_kept():
    trials = (trial(1.0, "forgetting"), trial(0.75, "better"), trial(0.5))
    actions = {
        alpha: (gate.action, gate.trial.outcome)
        for alpha in (1.0, 0.75, 0.0)
        if (gate := GateDecision(step="s", key="k", cached=False, alpha=alpha, trials=trials))
    }
    assert actions == {
        1.0: ("kept", "forgetting"), 0.75: ("blended (α = 0.75)", "better"), 0.0: ("reverted", "forgetting"),
    }  # fmt: skip
    assert trial(1.0).net_gain == pytest.approx(0.07)


def test_leaks_are_counted_by_what_was_done_with_them():
    def step(name, action, **counts):
        leaks = LeakCounts(action=action, counts=counts)
        return StepResult(id=name, key="k", folder=name, cached=False, reason="new", seconds=1.0, leaks=leaks)

    found = result(
        steps=(step("a", "removed", exact=2, nearly=1), step("b", "allowed", pair=4), step("c", "transductive", exact=5))
    )
    assert (found.leaks_removed, found.leaks_allowed) == (3, 9)


def test_main_metrics_are_the_checks_own_and_the_gates():
    found = result()
    assert found.is_main("sts.spearman") and not found.is_main("sts.pearson") and not found.is_main("other.spearman")
    assert found.target.metric == "sts.spearman"
