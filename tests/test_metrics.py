"""Correlations and classification metrics against scipy and scikit-learn, for a sample and for bootstrap resamples."""

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from adapt import metrics


def test_resampled_correlations_equal_scipy_on_the_drawn_rows():
    rng = np.random.default_rng(1)
    gold, predicted = np.round(rng.random(60), 1), np.round(rng.random(60), 1)
    drawn = rng.integers(0, 60, (5, 60))
    counts = np.stack([np.bincount(row, minlength=60) for row in drawn]).astype(float)
    for of, theirs in ((metrics.spearman, spearmanr), (metrics.pearson, pearsonr)):
        assert of(gold, predicted)[0] == pytest.approx(theirs(gold, predicted).statistic, abs=1e-12)
        wanted = [theirs(gold[row], predicted[row]).statistic for row in drawn]
        np.testing.assert_allclose(of(gold, predicted, counts), wanted, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_curves_equal_scikit_learn_on_the_drawn_rows_ties_included(seed):
    rng = np.random.default_rng(seed)
    gold, predicted = rng.random(50) < 0.4, np.round(rng.random(50), 1)
    drawn = rng.integers(0, 50, (4, 50))
    counts = np.stack([np.bincount(row, minlength=50) for row in drawn]).astype(float)
    for of, theirs in ((metrics.average_precision_score, average_precision_score), (metrics.roc_auc_score, roc_auc_score)):
        assert of(gold, predicted)[0] == pytest.approx(theirs(gold, predicted), abs=1e-12)
        wanted = [theirs(gold[row], predicted[row]) for row in drawn]
        np.testing.assert_allclose(of(gold, predicted, counts), wanted, atol=1e-12)
    wanted = max(f1_score(gold, predicted >= bound) for bound in np.unique(predicted))
    assert metrics.best_f1_score(gold, predicted)[0] == pytest.approx(wanted, abs=1e-12)


def test_a_constant_column_has_no_correlation_and_a_missing_class_no_order():
    gold, predicted = np.array([0.0, 1.0, 1.0]), np.array([0.5, 0.5, 0.5])
    assert np.isnan(metrics.spearman(gold, predicted)[0]) and np.isnan(metrics.pearson(gold, predicted)[0])
    assert np.isnan(metrics.spearman(gold, np.array([0.1, np.nan, 0.2]))[0])
    assert metrics.average_precision_score(np.zeros(3), predicted)[0] == 0
    assert metrics.roc_auc_score(np.ones(3), predicted)[0] == 0.5


def test_a_cluster_bootstrap_draws_whole_clusters():
    groups = np.array([0, 0, 1, 2, 2, 2])
    counts = np.concatenate(list(metrics.bootstrap_counts(groups, 700, np.random.default_rng(0))))
    assert counts.shape == (700, 6) and (counts[:, [0, 2, 3]].sum(1) == 3).all()
    assert (counts[:, 0] == counts[:, 1]).all() and (counts[:, 3] == counts[:, 5]).all()
