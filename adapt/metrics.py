"""Correlations and classification metrics of two columns, for one sample or for many bootstrap resamples at once.

Each function takes the gold values and the predicted scores, [n] each, and `counts` [r, n]: how often each item occurs in each of
r resamples (see `bootstrap_counts`). It returns [r]; [1] for the sample itself where `counts` is None. Values equal scipy.stats
and sklearn.metrics on the repeated items; no resample is sorted, so that 10,000 of them take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]


class Metric(Protocol):
    """A metric of gold values and predicted scores, see the module's docstring."""

    def __call__(self, gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats: ...


def pearson(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats:
    """Pearson's correlation, -1 to 1; NaN where a column is constant or not finite."""
    counts = _counts(gold, counts)
    return weighted_correlation(np.broadcast_to(gold, counts.shape), np.broadcast_to(predicted, counts.shape), counts)


def spearman(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats:
    """Spearman's rank correlation, -1 to 1, with mean ranks for ties; NaN where a column is constant or not finite."""
    counts = _counts(gold, counts)
    if not (np.isfinite(gold).all() and np.isfinite(predicted).all()):
        return np.full(len(counts), np.nan)  # NaNs have no rank
    return weighted_correlation(mean_ranks(gold, counts), mean_ranks(predicted, counts), counts)


def average_precision_score(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats:
    """Σ (R_i - R_{i-1}) P_i over falling thresholds, 0 to 1, as in scikit-learn; `gold` is 0 or 1, ties share a threshold.

    0 where there are no positives.
    """
    positives, items = _cumulative(gold, predicted, counts)
    gained = np.diff(positives, axis=1, prepend=0.0)
    total = positives[:, -1]
    found: Floats = np.divide(
        (gained * positives / np.maximum(items, 1e-12)).sum(1), total, out=np.zeros(len(total)), where=total > 0
    )
    return found


def roc_auc_score(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats:
    """Area under the ROC curve, 0 to 1: the share of (positive, negative) pairs in the right order, ties counting half.

    `gold` is 0 or 1; 0.5 where one class is missing.
    """
    positives, items = _cumulative(gold, predicted, counts)
    negatives = items - positives
    gained, missed = np.diff(positives, axis=1, prepend=0.0), np.diff(negatives, axis=1, prepend=0.0)
    below = negatives[:, -1:] - negatives
    pairs = positives[:, -1] * negatives[:, -1]
    found: Floats = np.divide((gained * (below + missed / 2)).sum(1), pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)
    return found


def best_f1_score(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None = None) -> Floats:
    """The highest F1 (harmonic mean of precision and recall) over all thresholds, 0 to 1; `gold` is 0 or 1."""
    positives, items = _cumulative(gold, predicted, counts)
    found: Floats = (2 * positives / np.maximum(items + positives[:, -1:], 1e-12)).max(1)
    return found


PAIR_METRICS: dict[str, Metric] = {
    "spearman": spearman, "pearson": pearson, "ap": average_precision_score, "auc": roc_auc_score, "f1": best_f1_score,
}  # fmt: skip
CORRELATIONS = ("spearman", "pearson")


def bootstrap_counts(groups: npt.NDArray[np.int64], number: int, rng: np.random.Generator, block: int = 500) -> Iterator[Floats]:
    """Counts of a cluster bootstrap: how often each item occurs in each of `number` resamples, [block, items] at a time.

    `groups` [items] numbers each item's cluster from 0; whole clusters are drawn with replacement (Efron & Tibshirani 1993).
    """
    count = int(groups.max()) + 1
    for start in range(0, number, block):
        rows = min(block, number - start)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        yield times[:, groups] if count < len(groups) else times


def mean_ranks(values: np.ndarray, counts: Floats) -> Floats:
    """The mean rank of each item within each resample, [r, n]: the values are sorted once, then counted up."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks: Floats = (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]
    return ranks


def weighted_correlation(left: Floats, right: Floats, counts: Floats) -> Floats:
    """Pearson's correlation of each row of two tables [r, n] with weights [r, n]; NaN where a row is constant."""
    total = counts.sum(1, keepdims=True)
    left = left - (counts * left).sum(1, keepdims=True) / total
    right = right - (counts * right).sum(1, keepdims=True) / total
    below = np.sqrt((counts * left**2).sum(1) * (counts * right**2).sum(1))
    found: Floats = np.divide((counts * left * right).sum(1), below, out=np.full(len(counts), np.nan), where=below > 1e-12)
    return found


def _counts(gold: np.ndarray, counts: Floats | None) -> Floats:
    return np.ones((1, len(gold))) if counts is None else counts


def _cumulative(gold: np.ndarray, predicted: np.ndarray, counts: Floats | None) -> tuple[Floats, Floats]:
    """(positives, items) scored at or above each distinct score, highest first: [r, distinct]."""
    counts = _counts(gold, counts)
    _, group = np.unique(-np.asarray(predicted), return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    positives = np.add.reduceat((counts * gold)[:, order], starts, axis=1)
    return np.cumsum(positives, axis=1), np.cumsum(np.add.reduceat(counts[:, order], starts, axis=1), axis=1)
