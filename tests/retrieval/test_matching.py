import itertools

import numpy as np
import pytest

from adapt.retrieval.matching import (
    allocate,
    by_density,
    by_histogram,
    density,
    distance,
    format_histograms,
    histogram,
    inclusion,
    systematic,
)


@pytest.mark.parametrize("seed", range(30))
def test_no_other_choice_of_as_many_is_nearer_to_the_target(seed):
    rng = np.random.default_rng(seed)
    available, target = rng.integers(0, 7, 4), rng.integers(0, 5, 4) + (np.arange(4) == 0)
    total = int(rng.integers(1, 12))
    chosen = allocate(available, target, total)
    wanted = min(total, available.sum())
    assert chosen.sum() == wanted and (chosen <= available).all() and (chosen >= 0).all()
    if wanted:
        every = [np.array(c) for c in itertools.product(*(range(a + 1) for a in available)) if sum(c) == wanted]
        assert distance(chosen, target) == pytest.approx(min(distance(c, target) for c in every))


def test_what_a_bin_lacks_is_spread_in_the_targets_proportions():
    assert allocate(np.array([0, 900, 900]), np.array([1, 2, 1]), 120).tolist() == [0, 80, 40]


def test_matching_lowers_the_distance_to_gold():
    rng = np.random.default_rng(3)
    scores, gold = rng.beta(2, 5, 8_000), rng.beta(3, 3, 300)
    target = histogram(gold)
    rows = by_histogram(scores, target, 1_000, np.random.default_rng(1))
    assert len(rows) == 1_000 == len(set(rows.tolist())) and (np.diff(rows) > 0).all()
    before, after = distance(histogram(scores), target), distance(histogram(scores[rows]), target)
    assert before > 0.3 and after < 0.2 * before
    even = rng.random(500)
    enough = by_histogram(even, np.ones(10), 30, np.random.default_rng(1))
    assert histogram(even[enough]).tolist() == [3] * 10  # even, exactly, where there is enough of each


def test_which_rows_of_a_bin_stay_is_chance_and_follows_the_seed():
    scores = np.full(1_000, 0.35)
    draws = [by_histogram(scores, np.ones(10), 100, np.random.default_rng(seed)).tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2] and 400 < np.mean(draws[0]) < 600


def test_density_is_scipys_kernel_density_reflected_at_both_ends():
    from scipy.stats import gaussian_kde

    sample = np.random.default_rng(0).beta(1.2, 3, 400)
    low, high = np.quantile(sample, [0.25, 0.75])
    width = 0.9 * min(sample.std(), (high - low) / 1.34) * 400**-0.2  # Silverman 1986, eq. 3.31
    theirs = gaussian_kde(sample, width / sample.std(ddof=1))
    at = np.arange(0.0005, 1, 0.001)
    wanted = theirs(at) + theirs(-at) + theirs(2 - at)
    found = density(sample, at)
    np.testing.assert_allclose(found, wanted, rtol=0.02, atol=0.01)
    assert found.mean() == pytest.approx(1, abs=1e-3)  # it integrates to 1 over 0 to 1


def test_density_of_equal_scores_is_a_bump_and_not_an_error():
    found = density(np.full(50, 0.5), np.array([0.5, 0.6]))
    assert found[0] > 30 and found[1] < 1e-6


def test_inclusion_probabilities_are_the_ratio_cut_at_one():
    weights = np.array([8.0, 1, 1, 1, 1])
    assert inclusion(weights, 2) == pytest.approx([1, 0.25, 0.25, 0.25, 0.25])  # 8c > 1: certain; the rest share one place
    assert inclusion(np.array([3.0, 1, 2]), 1) == pytest.approx([0.5, 1 / 6, 1 / 3])
    assert inclusion(weights, 5).tolist() == [1] * 5
    rng = np.random.default_rng(2)
    for total in (1, 10, 60, 99):
        weights = rng.exponential(size=100) ** 3
        keep = inclusion(weights, total)
        inside = keep < 1
        assert keep.sum() == pytest.approx(total) and keep.max() <= 1
        assert np.ptp(keep[inside] / weights[inside]) < 1e-9 * (keep[inside] / weights[inside]).max() or inside.sum() < 2


def test_kde_sampling_follows_gold_and_takes_exactly_as_many():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(5)
    scores, gold = rng.beta(1, 2, 20_000), rng.beta(4, 3, 500)
    rows = by_density(scores, gold, 1_000, np.random.default_rng(1))
    assert len(rows) == 1_000 == len(set(rows.tolist())) and (np.diff(rows) > 0).all()
    before, after = (ks_2samp(s, gold, method="asymp").statistic for s in (scores, scores[rows]))
    assert before > 0.4 and after < 0.05
    assert by_density(scores[:60], gold, 100, rng).tolist() == list(range(60))


def test_a_systematic_draw_keeps_every_rows_own_probability():
    keep = inclusion(np.random.default_rng(1).exponential(size=60) ** 2, 20)
    rows = [systematic(keep, np.random.default_rng(seed)) for seed in range(4_000)]
    assert {len(set(row.tolist())) for row in rows} == {20}
    np.testing.assert_allclose(np.bincount(np.concatenate(rows), minlength=60) / 4_000, keep, atol=0.04)


def test_a_drawn_histogram_has_a_line_for_each_tenth():
    lines = format_histograms({"candidates": np.arange(10) * 1_000, "silver": np.arange(10)}).splitlines()
    assert len(lines) == 11 and lines[0].split() == ["score", "candidates", "silver"]
    assert lines[1].split() == ["0.0–0.1", "0", "0"] and lines[10].split() == ["0.9–1.0", "█" * 24, "9,000", "9"]
