"""Two models on the same data: paired differences of their measurements, for every metric and for single topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from statistics import mean, stdev
from typing import cast

from adapt import checks
from adapt.checks import Measurement
from adapt.checks.statistics import LEVEL, Delta, compare, compare_all, holm, of_topic
from adapt.metrics import PAIR_METRICS
from adapt.recipe import Recipe
from adapt.results import Comparison, Difference, Outcome, Role, SeedSpread, TopicComparison

Measured = Mapping[str, Measurement]  # {check: measurement}
MIN_TOPIC_ITEMS = 5  # fewest items of a topic for a difference


def split_metric(metric: str) -> tuple[str, str, str]:
    """(check, metric, topic) of `check.metric` or `check.metric[topic]`; the topic is empty where there is none."""
    check, _, name = metric.partition(".")
    name, _, topic = name.partition("[")
    return check, name, topic.removesuffix("]")


def is_main(recipe: Recipe, metric: str) -> bool:
    """Whether a metric is its check's main metric, or one that the gate decides by."""
    check, name, _ = split_metric(metric)
    gated = recipe.gate is not None and metric in recipe.gate.metrics()
    return gated or name == checks.find(recipe.checks[check].kind).main_metric


def is_undefined(value: float) -> bool:
    """Whether a metric has no value (NaN)."""
    return value != value


def value(measured: Measured, metric: str) -> float:
    """The value of `check.metric` or `check.metric[topic]`."""
    measurement, name = _select(measured, metric)
    return measurement.metrics[name]


def difference(before: Measured, after: Measured, metric: str, seed: int = 0) -> Delta:
    """The paired difference after - before of `check.metric` or `check.metric[topic]`."""
    measurement, name = _select(before, metric)
    return compare(name, measurement, _select(after, metric)[0], seed)


def _select(measured: Measured, metric: str) -> tuple[Measurement, str]:
    check, name, topic = split_metric(metric)
    return (of_topic(measured[check], topic) if topic else measured[check]), name


def as_difference(delta: Delta) -> Difference:
    """A difference as results hold it."""
    outcome = cast("Outcome", delta.outcome())
    return Difference(delta=delta.value, low=delta.low, high=delta.high, p=delta.p, outcome=outcome)


def differences(
    before: Measured, after: Measured, seed: int = 0, only: Callable[[str], bool] = lambda metric: True
) -> dict[str, Difference]:
    """{check.metric: paired difference after - before} for every metric of every check that both have."""
    found: dict[str, Difference] = {}
    for check in after:
        if check in before:
            metrics = after[check].metrics
            wanted = [m for m in metrics if only(f"{check}.{m}") and (m in after[check].items or m in PAIR_METRICS)]
            deltas = compare_all(wanted, before[check], after[check], seed)
            found |= {f"{check}.{metric}": as_difference(delta) for metric, delta in deltas.items()}
    return found


def compare_models(base: Measured, final: Measured, roles: Mapping[str, Role], seed: int = 0) -> tuple[Comparison, ...]:
    """Every metric of every check: both values and their paired difference. `roles`: {check: role}."""
    return tuple(
        Comparison(
            metric=metric, role=roles.get(split_metric(metric)[0], ""), base=value(base, metric), final=value(final, metric),
            **dict(change),
        )
        for metric, change in differences(base, final, seed).items()
    )  # fmt: skip


def compare_topics(main: Mapping[str, str], base: Measured, final: Measured, seed: int = 0) -> tuple[TopicComparison, ...]:
    """Each topic of each check's main metric: its items and the paired difference, p corrected for the number of topics (Holm).

    Topics of fewer than 5 items are left out. `outcome` is by the corrected p: one of many topics falls by chance. `main`: {check:
    main metric}.
    """
    rows: list[TopicComparison] = []
    for check, measured in final.items():
        metric = f"{check}.{main[check]}"
        counts = Counter(topic for topic in measured.topics if topic)
        found = {
            topic: as_difference(difference(base, final, f"{metric}[{topic}]", seed))
            for topic in sorted(counts)
            if counts[topic] >= MIN_TOPIC_ITEMS
        }
        measured_ones = {topic: change for topic, change in found.items() if change.outcome != "unmeasured"}
        corrected = dict(zip(measured_ones, holm([change.p for change in measured_ones.values()]), strict=True))
        for topic in sorted(found, key=lambda topic: topic in measured_ones):  # unmeasured ones first
            change, p = found[topic], corrected.get(topic)
            if p is not None:
                better = "better" if change.delta > 0 else "worse"
                outcome = "same" if p > 1 - LEVEL else better
                change = change.model_copy(update={"p_corrected": p, "outcome": outcome})
            rows.append(TopicComparison(metric=metric, topic=topic, items=counts[topic], **dict(change)))
    return tuple(rows)


def correct_for_steps(changes: Mapping[str, Difference]) -> dict[str, Difference]:
    """The differences with p corrected for their number (Holm); undefined ones stay as they are."""
    measured = {name: change for name, change in changes.items() if change.outcome != "unmeasured"}
    corrected = holm([change.p for change in measured.values()])
    return {
        name: change.model_copy(update={"p_corrected": p}) for (name, change), p in zip(measured.items(), corrected, strict=True)
    }


def spread_over_seeds(tests: Mapping[int, tuple[Comparison, ...]]) -> tuple[SeedSpread, ...]:
    """The change of each test metric with every seed, their mean and standard deviation (n - 1). `tests`: {seed: comparison}."""
    rows = []
    for first in next(iter(tests.values())):
        deltas = {seed: next(row.delta for row in test if row.metric == first.metric) for seed, test in tests.items()}
        values = list(deltas.values())
        sd = stdev(values) if len(values) > 1 else 0.0
        rows.append(SeedSpread(metric=first.metric, role=first.role, deltas=deltas, mean=mean(values), sd=sd))
    return tuple(rows)
