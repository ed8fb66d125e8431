"""Is a difference real? Paired bootstrap intervals, a randomisation test, Holm's correction, the smallest gain to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adapt.checks import Measurement

RESAMPLES = 10_000
LEVEL = 0.95

# A statistic of two columns [n]; `counts` [r, n] gives r of them at once: how often each item was drawn in each resample.
Statistic = Callable[[np.ndarray, np.ndarray, "np.ndarray | None"], np.ndarray]


def pearson(left: np.ndarray, right: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Pearson's correlation of two columns; NaN, since there is none, where a side does not vary or holds no number."""
    counts = np.ones((1, len(left))) if counts is None else counts
    return _weighted(np.broadcast_to(left, counts.shape), np.broadcast_to(right, counts.shape), counts)


def spearman(left: np.ndarray, right: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rank correlation of two columns, ties at their mean rank; NaN as in `pearson`."""
    counts = np.ones((1, len(left))) if counts is None else counts
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return np.full(len(counts), np.nan)  # a rank among NaNs would be one as good as any
    return _weighted(_ranks(left, counts), _ranks(right, counts), counts)


def average_precision(gold: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Σ (R_i - R_{i-1}) P_i over falling thresholds, `gold` being 0 or 1; tied scores share a threshold, as in scikit-learn."""
    hits, all_ = _above(gold, predicted, counts)
    gained = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    return np.divide((gained * hits / np.maximum(all_, 1e-12)).sum(1), total, out=np.zeros(len(total)), where=total > 0)


def auc(gold: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """The share of (match, other) pairs that the scores put in order, ties counting half; 0.5 where a class is missing."""
    hits, all_ = _above(gold, predicted, counts)
    gained, missed = np.diff(hits, axis=1, prepend=0.0), np.diff(all_ - hits, axis=1, prepend=0.0)
    below = (all_ - hits)[:, -1:] - (all_ - hits)
    pairs = hits[:, -1] * (all_ - hits)[:, -1]
    return np.divide((gained * (below + missed / 2)).sum(1), pairs, out=np.full(len(pairs), 0.5), where=pairs > 0)


def best_f1(gold: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """The highest harmonic mean of precision and recall that any threshold gives."""
    hits, all_ = _above(gold, predicted, counts)
    return (2 * hits / np.maximum(all_ + hits[:, -1:], 1e-12)).max(1)


STATISTICS: dict[str, Statistic] = {
    "spearman": spearman, "pearson": pearson, "ap": average_precision, "auc": auc, "f1": best_f1,
}  # fmt: skip
CORRELATIONS = ("spearman", "pearson")


def _above(gold: np.ndarray, predicted: np.ndarray, counts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(matches, items) scored at or above each distinct score, highest first: [r, distinct]."""
    counts = np.ones((1, len(gold))) if counts is None else counts
    _, group = np.unique(-np.asarray(predicted), return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.searchsorted(group[order], np.arange(group.max() + 1))
    hits = np.add.reduceat((counts * gold)[:, order], starts, axis=1)
    return np.cumsum(hits, axis=1), np.cumsum(np.add.reduceat(counts[:, order], starts, axis=1), axis=1)


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
    return np.divide((counts * left * right).sum(1), below, out=np.full(len(counts), np.nan), where=below > 1e-12)


def settled(scores: np.ndarray) -> np.ndarray:
    """Scores as they are or, where all are the same to six digits, wholly the same: what varies there is rounding."""
    return scores if not len(scores) or not np.ptp(scores) <= 1e-6 else np.full(len(scores), scores[0])


@dataclass(frozen=True)
class Delta:
    """A difference of two models on the same items: the interval's ends, and the p of the paired randomisation test."""

    value: float
    low: float
    high: float
    p: float

    def verdict(self) -> str:
        """better, worse, same (the interval holds 0, or there is none), or unmeasured where a side is undefined."""
        if self.value != self.value:
            return "unmeasured"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "same"


def compare(metric: str, before: Measurement, after: Measurement, seed: int = 0, resamples: int = RESAMPLES) -> Delta:
    """The paired difference after - before of one metric; see `compare_all`."""
    return compare_all([metric], before, after, seed, resamples)[metric]


def compare_all(
    metrics: Sequence[str], before: Measurement, after: Measurement, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Delta]:
    """{metric: paired difference after - before}; means of per-item results share their draws, which cost most of the time.

    Interval: percentile bootstrap, the same resampled items from both models (Efron & Tibshirani 1993, ch. 13). p: each item's
    two results change places at random, two-sided (Noreen 1989; for correlations and curves the models' ranks change places).
    Items that share a group are drawn, and change places, together. A metric that has no items gets an interval of NaN.
    """
    groups = _groups(after)
    values = {metric: after.metrics[metric] - before.metrics[metric] for metric in metrics}
    found: dict[str, Delta] = {}
    means = [metric for metric in metrics if metric in after.items]
    if means:
        rng = np.random.default_rng(seed)
        gain = np.stack([np.asarray(after.items[m], dtype=float) - np.asarray(before.items[m], dtype=float) for m in means], axis=1)
        drawn = np.concatenate([counts @ gain / counts.sum(1)[:, None] for counts in _resampled(groups, resamples, rng)])
        swapped = np.concatenate([signs @ gain / len(gain) for signs in _signs(groups, resamples, rng)])
        found |= {m: _delta(values[m], drawn[:, i], swapped[:, i]) for i, m in enumerate(means)}
    for metric in metrics:
        if metric in means:
            continue
        if metric not in STATISTICS or "gold" not in after.items:
            found[metric] = Delta(values[metric], float("nan"), float("nan"), float("nan"))
            continue
        rng = np.random.default_rng(seed)
        gold, old, new = (np.asarray(x) for x in (after.items["gold"], before.items["predicted"], after.items["predicted"]))
        of = STATISTICS[metric]
        drawn = np.concatenate([of(gold, new, c) - of(gold, old, c) for c in _resampled(groups, resamples, rng)])
        found[metric] = _delta(values[metric], drawn, _swapped(of, gold, old, new, groups, min(resamples, 1_000), rng))
    return {metric: found[metric] for metric in metrics}


def _delta(value: float, drawn: np.ndarray, swapped: np.ndarray) -> Delta:
    drawn, swapped = drawn[~np.isnan(drawn)], swapped[~np.isnan(swapped)]  # a resample of one value has no correlation
    if value != value or not len(drawn) or not len(swapped):
        return Delta(float(value), *[float("nan")] * 3)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = (np.abs(swapped) >= abs(value) - 1e-12).sum()
    return Delta(float(value), float(low), float(high), float((beyond + 1) / (len(swapped) + 1)))


def of_topic(measured: Measurement, topic: str) -> Measurement:
    """The part of a measurement whose items carry a topic; raises KeyError where none does."""
    rows = [number for number, name in enumerate(measured.topics) if name == topic]
    if not rows:
        raise KeyError(topic)
    items = {name: [values[i] for i in rows] for name, values in measured.items.items()}
    gold = {name: np.asarray(items[name]) for name in ("gold", "predicted") if name in items}
    metrics = {name: float(np.mean(values)) for name, values in items.items() if name in measured.metrics}
    if len(gold) == 2:
        metrics |= {
            name: float(of(gold["gold"], gold["predicted"], None)[0]) for name, of in STATISTICS.items() if name in measured.metrics
        }
    groups = [measured.groups[i] for i in rows] if len(measured.groups) else ()
    return Measurement(metrics, items, len(rows), groups, topics=[topic] * len(rows))


def _groups(measured: Measurement) -> np.ndarray:
    """The group number of each item: what is drawn together; each item its own group where none are known."""
    items = len(next(iter(measured.items.values())))
    return np.unique(measured.groups, return_inverse=True)[1] if len(measured.groups) == items else np.arange(items)


def _resampled(groups: np.ndarray, resamples: int, rng: np.random.Generator, block: int = 500) -> Iterator[np.ndarray]:
    """How often each item is drawn in each resample, [block, items] at a time."""
    count = int(groups.max()) + 1
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, count, (rows, count)) + count * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count).astype(np.float64)
        yield times[:, groups] if count < len(groups) else times


def _signs(groups: np.ndarray, resamples: int, rng: np.random.Generator, block: int = 500) -> Iterator[np.ndarray]:
    """+1 or -1 for each item in each resample, [block, items] at a time."""
    for start in range(0, resamples, block):
        yield (2.0 * rng.integers(0, 2, (min(block, resamples - start), int(groups.max()) + 1)) - 1)[:, groups]


def _swapped(
    of: Statistic, gold: np.ndarray, old: np.ndarray, new: np.ndarray, groups: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """The statistic's difference when the two models' scores change places at random, [resamples].

    Two models' cosines lie on scales of their own, so what is exchanged is each score's standing within its model.
    """
    one = np.ones((1, len(gold)))
    if of is pearson:
        old, new = ((x - x.mean()) / max(float(x.std()), 1e-12) for x in (old, new))
    else:
        old, new = (_ranks(x, one)[0] for x in (old, new))
    found = []
    for signs in _signs(groups, resamples, rng):
        first, second = np.where(signs > 0, new, old), np.where(signs > 0, old, new)
        if of in (pearson, spearman):  # correlations of standings need no ranking anew
            wanted = np.broadcast_to(gold if of is pearson else _ranks(gold, one)[0], signs.shape)
            ones = np.ones_like(signs)
            found.append(_weighted(wanted, first, ones) - _weighted(wanted, second, ones))
        else:
            found.append(np.array([of(gold, a, None)[0] - of(gold, b, None)[0] for a, b in zip(first, second, strict=True)]))
    return np.concatenate(found)


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected for being several (Holm 1979): the k-th smallest times the number of those not smaller, made monotone."""
    adjusted, highest = [0.0] * len(values), 0.0
    for position, index in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
        highest = max(highest, min(1.0, (len(values) - position) * values[index]))
        adjusted[index] = highest
    return adjusted


def minimum_detectable_effect(measured: Measurement, metric: str, correlation: float = 0.8) -> float:
    """The smallest true difference that a comparison on these items detects at 5 % significance with 80 % power.

    (z(0.975) + z(0.8)) · sd · √(2 (1 - correlation) / n), n groups: `correlation` of two models' per-item results, about 0.8 for
    a model and one trained from it. For correlations sd is that of Fisher's z, transformed back. NaN for curves (ap, auc, f1).
    """
    z = 1.959964 + 0.841621
    if metric in measured.items:
        values = np.asarray(measured.items[metric])
        groups = len(np.unique(_groups(measured)))
        return float(z * values.std() * np.sqrt(2 * (1 - correlation) / max(1, groups)))
    if metric in CORRELATIONS:
        n = len(measured.items["gold"])
        return float(z * (1 - measured.metrics[metric] ** 2) * np.sqrt(2 * (1 - correlation) / max(1, n - 3)))
    return float("nan")
