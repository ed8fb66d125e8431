"""The verdict on a run, over several seeds, and whether a model may replace another."""

import math

import pytest

from adapt.pipeline import verdict
from adapt.pipeline.comparison import correct_for_steps, spread_over_seeds
from adapt.results import Comparison, Difference, Verdict
from tests.test_results import result


def comparison(metric, delta, outcome, role="target") -> Comparison:
    return Comparison(
        metric=metric, role=role, base=0.5, final=0.5 + delta, delta=delta, low=delta - 0.01, high=delta + 0.01, p=0.01,
        outcome=outcome,
    )  # fmt: skip


@pytest.mark.parametrize(("deltas", "outcome"), [((0.02, 0.03), "better"), ((0.02, -0.01), "same"), ((0.02, 0.0), "same")])
def test_over_seeds_the_outcome_holds_only_where_every_seed_agrees(deltas, outcome):
    tests = {
        seed: (comparison("sts.pearson", -1.0, "worse"), comparison("sts.spearman", delta, "better"))
        for seed, delta in enumerate(deltas, 3)
    }
    spread = spread_over_seeds(tests)
    mean, sd = sum(deltas) / 2, abs(deltas[0] - deltas[1]) / math.sqrt(2)
    assert [row.metric for row in spread] == ["sts.pearson", "sts.spearman"]
    assert (spread[1].mean, spread[1].sd) == (pytest.approx(mean), pytest.approx(sd))
    found = verdict.over_seeds(result(), spread)
    assert found.outcome == outcome and found.target == "sts.spearman"
    assert f"Over 2 seeds: {100 * mean:+.1f} ± {100 * sd:.1f} points" in found.sentence


def test_the_target_of_a_verdict_is_its_own_field_and_no_word_of_its_sentence():
    spread = spread_over_seeds({3: (comparison("sts.spearman", 0.02, "better"),)})
    without_target = result(verdict=Verdict(outcome="unmeasured", sentence="sts.spearman is undefined."))
    assert verdict.over_seeds(without_target, spread) == without_target.verdict
    elsewhere = result(verdict=Verdict(outcome="better", sentence="It rose.", target="sts.spearman"))
    assert "Over 1 seeds" in verdict.over_seeds(elsewhere, spread).sentence


def test_p_is_corrected_for_the_steps_that_were_measured():
    changes = {
        name: Difference(delta=0.1, low=0.0, high=0.2, p=p, outcome=outcome)
        for name, p, outcome in (("a", 0.01, "same"), ("b", 0.04, "same"), ("c", math.nan, "unmeasured"))
    }
    found = correct_for_steps(changes)
    assert {name: change.p_corrected for name, change in found.items()} == {"a": pytest.approx(0.02), "b": pytest.approx(0.04)}


@pytest.mark.parametrize(
    ("rows", "promote", "words"),
    [
        ((("sts.spearman", 0.02, "better"), ("sts.pearson", -0.1, "worse")), True, "promote: sts.spearman +2.0 points"),
        ((("sts.spearman", 0.001, "same"),), True, "nothing fell significantly"),
        ((("sts.spearman", -0.02, "worse"),), False, "do not promote: sts.spearman -2.0 points"),
        ((("sts.spearman", math.nan, "unmeasured"),), False, "unmeasured: sts.spearman is undefined for the second model"),
        ((), False, "sts.spearman has no items to compare"),
    ],
)
def test_a_model_is_promoted_where_no_main_metric_fell(rows, promote, words):
    found = verdict.promotion([comparison(*row) for row in rows], {"sts": "spearman"})
    assert found.promote is promote and words in found.sentence
