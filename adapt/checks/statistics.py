"""Is a difference real: correlations, paired bootstrap intervals, and a verdict in one word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from adapt.checks import Measurement

RESAMPLES = 10_000
LEVEL = 0.95


def pearson(left: np.ndarray, right: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Pearson's correlation of two columns [n]; 0 where a side does not vary.

    `counts` [r, n] gives r weighted correlations at once: how often each item was drawn in each of r resamples.
    """
    counts = np.ones((1, len(left))) if counts is None else counts
    return _weighted(np.broadcast_to(left, counts.shape), np.broadcast_to(right, counts.shape), counts)


def spearman(left: np.ndarray, right: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rank correlation of two columns [n], ties at their mean rank; `counts` as for `pearson`."""
    counts = np.ones((1, len(left))) if counts is None else counts
    return _weighted(_ranks(left, counts), _ranks(right, counts), counts)


def _ranks(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Mean rank of each item within each resample, [r, n], without sorting any of them: sorted once, then counted up."""
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    return (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, group]


def _weighted(left: np.ndarray, right: np.ndarray, counts: np.ndarray) -> np.ndarray:
    total = counts.sum(1, keepdims=True)
    left = left - (counts * left).sum(1, keepdims=True) / total
    right = right - (counts * right).sum(1, keepdims=True) / total
    below = np.sqrt((counts * left**2).sum(1) * (counts * right**2).sum(1))
    return np.divide((counts * left * right).sum(1), below, out=np.zeros(len(counts)), where=below > 1e-12)


Statistic = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
CORRELATIONS: dict[str, Statistic] = {"spearman": spearman, "pearson": pearson}


@dataclass(frozen=True)
class Delta:
    """A difference of two models on the same items, with the interval's ends and a two-sided bootstrap p."""

    value: float
    low: float
    high: float
    p: float

    def verdict(self) -> str:
        """better, worse, or same (the interval holds 0)."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "same"


def compare(metric: str, before: Measurement, after: Measurement, seed: int = 0, resamples: int = RESAMPLES) -> Delta:
    """The paired difference after - before of one metric: percentile bootstrap over items (Efron & Tibshirani 1993, ch. 13).

    The same resampled items are taken from both models. Metrics that are neither means nor correlations (ap, auc) have no
    interval yet: their ends are NaN.
    """
    value = after.metrics[metric] - before.metrics[metric]
    rng = np.random.default_rng(seed)
    if metric in after.items:
        gain = np.asarray(after.items[metric]) - np.asarray(before.items[metric])
        drawn = np.concatenate([counts @ gain / len(gain) for counts in _resampled(len(gain), resamples, rng)])
    elif metric in CORRELATIONS and "gold" in after.items:
        gold, old, new = (np.asarray(x) for x in (after.items["gold"], before.items["predicted"], after.items["predicted"]))
        of = CORRELATIONS[metric]
        drawn = np.concatenate([of(gold, new, c) - of(gold, old, c) for c in _resampled(len(gold), resamples, rng)])
    else:
        return Delta(value, float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min((drawn <= 0).mean(), (drawn >= 0).mean())
    return Delta(float(value), float(low), float(high), float(min(1.0, 2 * max(beyond, 1 / resamples))))


def _resampled(items: int, resamples: int, rng: np.random.Generator, block: int = 500) -> Iterator[np.ndarray]:
    """How often each item is drawn in each resample, [block, items] at a time."""
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, items, (rows, items)) + items * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * items).reshape(rows, items).astype(np.float64)
