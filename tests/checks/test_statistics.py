import numpy as np
import pytest
from scipy.stats import spearmanr

from adapt.checks import Measurement
from adapt.checks.statistics import compare, holm, minimum_detectable_effect


def means(values):
    return Measurement({"m": float(np.mean(values))}, {"m": list(values)})


def ranks(gold, predicted):
    return Measurement({"spearman": float(spearmanr(gold, predicted).statistic)}, {"gold": gold, "predicted": predicted})


def test_the_randomisation_test_matches_scipys():
    from scipy.stats import permutation_test

    rng = np.random.default_rng(8)
    old = rng.random(60)
    new = old + rng.normal(0.03, 0.15, 60)
    theirs = permutation_test(
        (new, old), lambda x, y: np.mean(x - y), permutation_type="samples", n_resamples=10_000, rng=np.random.default_rng(1)
    ).pvalue
    assert compare("m", means(old), means(new)).p == pytest.approx(theirs, abs=0.015)


def test_holm_by_hand_and_as_in_the_textbook():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_queries_that_share_a_passage_are_drawn_together():
    """Each value four times over is no more evidence than once; taken for independent, the interval would be half as wide."""
    rng = np.random.default_rng(9)
    old, new = rng.random(50), rng.random(50)
    once = compare("m", means(old), means(new))
    groups = [str(i) for i in range(50) for _ in range(4)]
    old4, new4 = np.repeat(old, 4), np.repeat(new, 4)
    grouped = [Measurement({"m": float(v.mean())}, {"m": list(v)}, groups=groups) for v in (old4, new4)]
    together, apart = compare("m", *grouped), compare("m", means(old4), means(new4))
    assert together.high - together.low == pytest.approx(once.high - once.low, rel=0.05)
    assert apart.high - apart.low == pytest.approx((once.high - once.low) / 2, rel=0.1)


def test_the_minimum_detectable_effect_is_significant_in_about_80_percent_of_runs():
    rng = np.random.default_rng(10)
    seen = 0
    for _ in range(200):
        shared = rng.normal(0, 1, 100)
        old, new = (np.sqrt(0.8) * shared + np.sqrt(0.2) * rng.normal(0, 1, 100) for _ in range(2))
        gain = minimum_detectable_effect(means(old), "m")
        seen += compare("m", means(old), means(new + gain), resamples=400).outcome() == "better"
    assert 0.7 <= seen / 200 <= 0.9


def test_the_interval_matches_scipys_paired_bootstrap():
    from scipy.stats import bootstrap

    rng = np.random.default_rng(2)
    old, new = rng.random(200), rng.random(200) + 0.05
    found = compare("m", means(old), means(new), seed=3)
    theirs = bootstrap(
        (new - old,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(3)
    ).confidence_interval
    assert found.value == pytest.approx(np.mean(new - old))
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.003)


def test_a_clear_gain_a_clear_loss_and_nothing():
    rng = np.random.default_rng(4)
    old = rng.random(150)
    assert compare("m", means(old), means(old + 0.1)).outcome() == "better"
    assert compare("m", means(old), means(old - 0.1)).outcome() == "worse"
    same = compare("m", means(old), means(old))
    assert same.outcome() == "same" and same.p == 1.0 and same.low == same.high == 0


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        old = rng.random(100)
        new = np.clip(old + rng.normal(0, 0.2, 100), -1, 2)  # no true difference
        delta = compare("m", means(old), means(new), seed=1, resamples=500)
        covered += delta.low <= 0 <= delta.high
    assert 0.91 <= covered / 300 <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mean", "spearman"])
def test_a_thousand_nulls_are_covered_as_said_and_raise_few_false_alarms(kind):
    rng = np.random.default_rng(11)
    covered = alarms = 0
    for _ in range(1_000):
        if kind == "mean":
            shared = rng.random(150)
            old, new = (means(np.clip(shared + rng.normal(0, 0.2, 150), 0, 1)) for _ in range(2))
            delta = compare("m", old, new, seed=1, resamples=1_000)
        else:
            gold = rng.random(150)
            old, new = (ranks(gold, gold + rng.normal(0, 0.4, 150)) for _ in range(2))
            delta = compare("spearman", old, new, seed=1, resamples=500)
        covered += delta.low <= 0 <= delta.high
        alarms += delta.p < 0.05
    assert 0.93 <= covered / 1_000 <= 0.97 and alarms / 1_000 <= 0.06


def test_correlations_are_compared_on_the_same_drawn_rows():
    rng = np.random.default_rng(6)
    gold = rng.random(120)
    noisy, good = gold + rng.normal(0, 1, 120), gold + rng.normal(0, 0.1, 120)
    delta = compare("spearman", ranks(gold, noisy), ranks(gold, good))
    assert delta.outcome() == "better" and delta.p < 0.01
