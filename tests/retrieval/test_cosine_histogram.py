import numpy as np
import pytest

from adapt.retrieval.cosine_histogram import BINS, histogram, overlap_coefficient


def test_every_cosine_is_counted_once_and_rounding_beyond_one_counts_in_the_last_bin():
    counts = histogram(np.array([-1.0, -0.96, 0.0, 0.99, 1.0, 1.0000001]))
    assert len(counts) == BINS == 40 and sum(counts) == 6
    assert (counts[0], counts[20], counts[39]) == (2, 1, 3)


def test_overlap_is_one_for_equal_samples_and_zero_for_separable_or_empty_ones():
    values = np.random.default_rng(3).normal(0, 0.2, 500)
    assert overlap_coefficient(values, values) == pytest.approx(1)
    assert overlap_coefficient(np.full(9, 0.9), np.full(5, 0.1)) == 0 == overlap_coefficient(values, np.array([]))


def test_overlap_is_the_area_that_two_histograms_share():
    assert overlap_coefficient(np.array([0.92, 0.12]), np.array([0.13, -0.5, 0.14, -0.6])) == pytest.approx(0.5)
    left, right = np.array([0.06, 0.16, 0.16, 0.26]), np.array([0.16, 0.26, 0.36, 0.46])
    assert overlap_coefficient(left, right) == 0.5
