"""Significance of paired differences: bootstrap intervals, randomisation test, Holm's correction, minimum detectable effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from adapt.checks import Measurement
from adapt.metrics import (
    CORRELATIONS,
    PAIR_METRICS,
    Metric,
    bootstrap_counts,
    mean_ranks,
    pearson,
    spearman,
    weighted_correlation,
)

RESAMPLES = 10_000
LEVEL = 0.95  # of the interval
Outcome: TypeAlias = Literal["better", "same", "worse", "unmeasured"]


def without_rounding_noise(scores: np.ndarray) -> np.ndarray:
    """Scores [n], made exactly constant where they agree to six digits: such differences are rounding, and have no ranks."""
    return scores if not len(scores) or not np.ptp(scores) <= 1e-6 else np.full(len(scores), scores[0])


@dataclass(frozen=True)
class Delta:
    """A paired difference of two models, its 95 % bootstrap interval, and the p of the paired randomisation test."""

    value: float
    low: float
    high: float
    p: float

    def outcome(self) -> Outcome:
        """better, worse, same (the interval contains 0, or there is none), or unmeasured where the difference is NaN."""
        if self.value != self.value:
            return "unmeasured"
        return "better" if self.low > 0 else "worse" if self.high < 0 else "same"


def compare(metric: str, before: Measurement, after: Measurement, seed: int = 0, resamples: int = RESAMPLES) -> Delta:
    """The paired difference after - before of one metric; see `compare_all`."""
    return compare_all([metric], before, after, seed, resamples)[metric]


def compare_all(
    metrics: Sequence[str], before: Measurement, after: Measurement, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Delta]:
    """{metric: paired difference after - before}. Metrics that are means of items share their resamples.

    Interval: percentile bootstrap with the same resampled items for both models (Efron & Tibshirani 1993, ch. 13). p: two-sided
    randomisation test in which each item's two results are exchanged at random (Noreen 1989; for correlations and curves the
    models' ranks are exchanged). Both treat items of one group as a cluster: they are drawn, and exchanged, together. A metric
    without items has an interval of NaN.
    """
    groups = _groups(after)
    values = {metric: after.metrics[metric] - before.metrics[metric] for metric in metrics}
    found: dict[str, Delta] = {}
    means = [metric for metric in metrics if metric in after.items]
    if means:
        rng = np.random.default_rng(seed)
        gain = np.stack([np.asarray(after.items[m], dtype=float) - np.asarray(before.items[m], dtype=float) for m in means], axis=1)
        drawn = np.concatenate([counts @ gain / counts.sum(1)[:, None] for counts in bootstrap_counts(groups, resamples, rng)])
        exchanged = np.concatenate([signs @ gain / len(gain) for signs in _signs(groups, resamples, rng)])
        found |= {m: _delta(values[m], drawn[:, i], exchanged[:, i]) for i, m in enumerate(means)}
    for metric in metrics:
        if metric in means:
            continue
        if metric not in PAIR_METRICS or "gold" not in after.items:
            found[metric] = Delta(values[metric], float("nan"), float("nan"), float("nan"))
            continue
        rng = np.random.default_rng(seed)
        gold, old, new = (np.asarray(x) for x in (after.items["gold"], before.items["predicted"], after.items["predicted"]))
        of = PAIR_METRICS[metric]
        drawn = np.concatenate([of(gold, new, c) - of(gold, old, c) for c in bootstrap_counts(groups, resamples, rng)])
        found[metric] = _delta(values[metric], drawn, _exchanged(of, gold, old, new, groups, min(resamples, 1_000), rng))
    return {metric: found[metric] for metric in metrics}


def _delta(value: float, drawn: np.ndarray, exchanged: np.ndarray) -> Delta:
    drawn, exchanged = drawn[~np.isnan(drawn)], exchanged[~np.isnan(exchanged)]  # a resample of one value has no correlation
    if value != value or not len(drawn) or not len(exchanged):
        return Delta(float(value), *[float("nan")] * 3)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = (np.abs(exchanged) >= abs(value) - 1e-12).sum()
    return Delta(float(value), float(low), float(high), float((beyond + 1) / (len(exchanged) + 1)))


def of_topic(measured: Measurement, topic: str) -> Measurement:
    """The measurement of the items of one topic; raises KeyError where there is none."""
    rows = [number for number, name in enumerate(measured.topics) if name == topic]
    if not rows:
        raise KeyError(topic)
    items = {name: [values[i] for i in rows] for name, values in measured.items.items()}
    gold = {name: np.asarray(items[name]) for name in ("gold", "predicted") if name in items}
    metrics = {name: float(np.mean(values)) for name, values in items.items() if name in measured.metrics}
    if len(gold) == 2:
        metrics |= {
            name: float(of(gold["gold"], gold["predicted"], None)[0])
            for name, of in PAIR_METRICS.items()
            if name in measured.metrics
        }
    groups = [measured.groups[i] for i in rows] if len(measured.groups) else ()
    return Measurement(metrics, items, len(rows), groups, topics=[topic] * len(rows))


def _groups(measured: Measurement) -> np.ndarray:
    """The number of each item's group, [items]; each item is a group of its own where none are known."""
    items = len(next(iter(measured.items.values())))
    return np.unique(measured.groups, return_inverse=True)[1] if len(measured.groups) == items else np.arange(items)


def _signs(groups: np.ndarray, resamples: int, rng: np.random.Generator, block: int = 500) -> Iterator[np.ndarray]:
    """+1 or -1 for each item in each resample, [block, items] at a time."""
    for start in range(0, resamples, block):
        yield (2.0 * rng.integers(0, 2, (min(block, resamples - start), int(groups.max()) + 1)) - 1)[:, groups]


def _exchanged(
    of: Metric, gold: np.ndarray, old: np.ndarray, new: np.ndarray, groups: np.ndarray, resamples: int, rng: np.random.Generator
) -> np.ndarray:
    """The metric's difference when the two models' scores are exchanged at random, [resamples].

    The cosines of two models have different scales, so each score's rank within its model (for Pearson's correlation its
    standardised value) is exchanged.
    """
    one = np.ones((1, len(gold)))
    if of is pearson:
        old, new = ((x - x.mean()) / max(float(x.std()), 1e-12) for x in (old, new))
    else:
        old, new = (mean_ranks(x, one)[0] for x in (old, new))
    found = []
    for signs in _signs(groups, resamples, rng):
        first, second = np.where(signs > 0, new, old), np.where(signs > 0, old, new)
        if of in (pearson, spearman):  # the ranks that are exchanged need no ranking again
            wanted = np.broadcast_to(gold if of is pearson else mean_ranks(gold, one)[0], signs.shape)
            ones = np.ones_like(signs)
            found.append(weighted_correlation(wanted, first, ones) - weighted_correlation(wanted, second, ones))
        else:
            found.append(np.array([of(gold, a, None)[0] - of(gold, b, None)[0] for a, b in zip(first, second, strict=True)]))
    return np.concatenate(found)


def holm(values: Sequence[float]) -> list[float]:
    """p-values with Holm's step-down correction (1979): the k-th smallest of n is multiplied by n - k + 1, then made monotone."""
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
