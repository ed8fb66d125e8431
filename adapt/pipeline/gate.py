"""After the check: go on with the new model, a blend of old and new, or the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from adapt.checks import Measurement
from adapt.checks.statistics import Delta, compare, of_topic
from adapt.errors import did_you_mean
from adapt.recipe import GateSpec

SLIGHT = 0.1  # losses below this share of the gain are not worth the time that trying blends takes

Measured = Mapping[str, Measurement]


@dataclass(frozen=True)
class Verdict:
    """What a gate says of a model: one word (better, same, worse, forgetting, unmeasured), why, and whether it may pass.

    unmeasured: a metric that the gate decides by is undefined for one of the models; such a model does not pass.

    `gained`: the target's gain over the model before plus each transfer metric's times its weight. `lost`: how far guards lie
    below the base model, summed. Both as fractions: 0.01 is a point.
    """

    word: str
    sentence: str
    passes: bool
    delta: Delta | None = None
    gained: float = 0.0
    lost: float = 0.0

    @property
    def worth(self) -> float:
        """What a blend is chosen by: a point lost on a guard costs a point of the target."""
        return self.gained - self.lost


def value(measured: Measured, metric: str) -> float:
    """The value of `check.metric` or `check.metric[topic]`."""
    found, name = _part(measured, metric)
    return found.metrics[name]


def difference(before: Measured, after: Measured, metric: str, seed: int = 0) -> Delta:
    """The paired difference after - before of `check.metric` or `check.metric[topic]`."""
    old, name = _part(before, metric)
    return compare(name, old, _part(after, metric)[0], seed)


def _part(measured: Measured, metric: str) -> tuple[Measurement, str]:
    check, _, name = metric.partition(".")
    name, _, topic = name.partition("[")
    return (of_topic(measured[check], topic.removesuffix("]")) if topic else measured[check]), name


def problems(spec: GateSpec, base: Measured, file: Path) -> list[str]:
    """What is wrong with a gate's metrics, a sentence each, once the base is measured: missing, undefined, or of no row's topic."""
    found = []
    for metric, path in spec.metrics().items():
        check, _, name = metric.partition(".")
        name, _, topic = name.partition("[")
        known = base[check].metrics
        where = f"{file}: {'.'.join(path)}"
        if name in known and not topic and known[name] != known[name]:
            found.append(f"{where}: {check}.{name} is undefined on dev data: its gold scores, or the base's own, do not vary")
        if name not in known:
            found.append(f"{where}: check '{check}' has no metric '{name}'.{did_you_mean(name, known)}")
        elif topic and (topic := topic.removesuffix("]")) not in base[check].topics:
            topics = sorted({t for t in base[check].topics if t})
            found.append(f"{where}: no dev row has the topic '{topic}'.{did_you_mean(topic, topics)}")
    return found


def judge(spec: GateSpec, base: Measured, before: Measured, after: Measured, seed: int = 0) -> Verdict:
    """The verdict on `after`: its target and transfer metrics against the model before, its guards against the base model.

    A guard's budget bounds the difference itself, not its interval: the budget is what the user allows to be lost.
    """
    fallen, lost = [], 0.0
    sides = {"the base": (base, spec.guard), "the model before": (before, [*spec.transfer, *filter(None, [spec.target])])}
    sides["this model"] = (after, spec.metrics())
    undefined = [
        f"{m} is undefined for {name}" for name, (side, wanted) in sides.items() for m in wanted if value(side, m) != value(side, m)
    ]
    if undefined:
        return Verdict("unmeasured", "; ".join(undefined), False)
    for metric, budget in spec.guard.items():
        change = value(after, metric) - value(base, metric)
        lost += max(0.0, -change)
        if change < budget:
            fallen.append(f"{metric} fell by {-100 * change:.1f} points from the base, {-100 * budget:.1f} are allowed")
    gained = sum(weight * (value(after, metric) - value(before, metric)) for metric, weight in spec.transfer.items())
    delta = None
    word, sentence = "same", "no target to judge by"
    if spec.target:
        delta = difference(before, after, spec.target, seed)
        gained += delta.value
        word = delta.verdict()
        sentence = f"{spec.target} {100 * delta.value:+.1f} points ({100 * delta.low:+.1f} to {100 * delta.high:+.1f})"
    if fallen:
        return Verdict("forgetting", "; ".join([*fallen, sentence]), False, delta, gained, lost)
    return Verdict(word, sentence, word != "worse", delta, gained, lost)


def choose(spec: GateSpec, verdict_at: Callable[[float], Verdict]) -> tuple[float, list[tuple[float, Verdict]]]:
    """(share of the step's change to keep, every share tried with its verdict).

    `blend` keeps the whole step where that passes and loses next to nothing. One that changes the target by no more than chance
    is kept or set back, whichever is worth more. Else every share of the grid is tried, and of those that pass, the model before
    (share 0) among them, the one worth most is kept, of equals the largest. `stop` and `revert` go all the way back where the
    whole step fails.
    """
    tried = [(1.0, verdict_at(1.0))]
    whole = tried[0][1]
    cheap = spec.action != "blend" or spec.target is None or whole.lost <= SLIGHT * whole.gained
    if spec.action == "keep" or (whole.passes and cheap):
        return 1.0, tried
    if spec.action != "blend":
        return 0.0, tried
    back = (0.0, verdict_at(0.0))
    if not whole.passes or whole.word != "same":
        tried += [(share, verdict_at(share)) for share in spec.grid if share < 1]
    passing = [(verdict.worth, share) for share, verdict in [*tried, back] if verdict.passes or share == 0]
    return max(passing)[1], tried
