import numpy as np
import pytest
from scipy.stats import spearmanr

from adapt.checks import Measurement
from adapt.checks.leakage import without_held_out
from adapt.checks.statistics import compare, spearman
from adapt.records import Pair, Text


def means(values):
    return Measurement({"m": float(np.mean(values))}, {"m": list(values)})


def ranks(gold, predicted):
    return Measurement({"spearman": float(spearmanr(gold, predicted).statistic)}, {"gold": gold, "predicted": predicted})


def test_a_resampled_spearman_equals_scipy_on_the_drawn_rows():
    rng = np.random.default_rng(1)
    gold, predicted = np.round(rng.random(60), 1), np.round(rng.random(60), 1)
    drawn = rng.integers(0, 60, (5, 60))
    counts = np.stack([np.bincount(row, minlength=60) for row in drawn]).astype(float)
    wanted = [spearmanr(gold[row], predicted[row]).statistic for row in drawn]
    np.testing.assert_allclose(spearman(gold, predicted, counts), wanted, atol=1e-12)


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
    assert compare("m", means(old), means(old + 0.1)).verdict() == "better"
    assert compare("m", means(old), means(old - 0.1)).verdict() == "worse"
    same = compare("m", means(old), means(old))
    assert same.verdict() == "same" and same.p == 1.0 and same.low == same.high == 0


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(5)
    covered = 0
    for _ in range(300):
        old = rng.random(100)
        new = np.clip(old + rng.normal(0, 0.2, 100), -1, 2)  # no true difference
        delta = compare("m", means(old), means(new), seed=1, resamples=500)
        covered += delta.low <= 0 <= delta.high
    assert 0.91 <= covered / 300 <= 0.98


def test_correlations_are_compared_on_the_same_drawn_rows():
    rng = np.random.default_rng(6)
    gold = rng.random(120)
    noisy, good = gold + rng.normal(0, 1, 120), gold + rng.normal(0, 0.1, 120)
    delta = compare("spearman", ranks(gold, noisy), ranks(gold, good))
    assert delta.verdict() == "better" and delta.p < 0.01


def test_planted_leaks_are_found_and_nothing_else():
    rng = np.random.default_rng(7)
    words = [f"word{i}" for i in range(300)]
    held = [" ".join(rng.choice(words, 40)) for _ in range(50)]
    clean = [Text(f"c{i}", " ".join(rng.choice(words, 40))) for i in range(200)]
    exact = [Text(f"e{i}", text.upper() + "!") for i, text in enumerate(held[:25])]
    near = [Text(f"n{i}", text + " tail") for i, text in enumerate(held[25:])]
    found = without_held_out([*clean, *exact, *near], held)
    assert found.kept == clean and (found.exact, found.nearly) == (25, 25)


def test_a_pair_leaks_by_either_side():
    rows = [Pair("held out question", "an answer"), Pair("other", "Held out, question!"), Pair("fine", "fine too")]
    assert without_held_out(rows, ["held out question"]).kept == rows[2:]
