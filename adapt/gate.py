"""After the check: go on with the new model, a blend of old and new, or the old one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapt.checks import Measurement
from adapt.checks.statistics import Delta, compare
from adapt.recipe import GateSpec

SHARES = (1.0, 0.5, 0.25)  # of the step's change that a blending gate tries before it goes all the way back


@dataclass(frozen=True)
class Verdict:
    """What a gate says of a model: one word (better, same, worse, forgetting), why, and whether it may pass."""

    word: str
    sentence: str
    passes: bool
    delta: Delta | None = None


def judge(
    spec: GateSpec,
    base: Mapping[str, Measurement],
    before: Mapping[str, Measurement],
    after: Mapping[str, Measurement],
    seed: int = 0,
) -> Verdict:
    """The verdict on `after`: its target against the model before, its guards against the base model.

    A guard's budget bounds the difference itself, not its interval: the budget is what the user allows to be lost.
    """
    fallen = []
    for metric, budget in spec.guard.items():
        check, _, name = metric.partition(".")
        lost = after[check].metrics[name] - base[check].metrics[name]
        if lost < budget:
            fallen.append(f"{metric} fell by {-100 * lost:.1f} points from the base, {-100 * budget:.1f} are allowed")
    delta = None
    word, sentence = "same", "no target to judge by"
    if spec.target:
        check, _, name = spec.target.partition(".")
        delta = compare(name, before[check], after[check], seed)
        word = delta.verdict()
        sentence = f"{spec.target} {100 * delta.value:+.1f} points ({100 * delta.low:+.1f} to {100 * delta.high:+.1f})"
    if fallen:
        return Verdict("forgetting", "; ".join([*fallen, sentence]), False, delta)
    return Verdict(word, sentence, word != "worse", delta)


def choose(spec: GateSpec, verdict_at: Callable[[float], Verdict]) -> tuple[float, list[tuple[float, Verdict]]]:
    """(share of the step's change to keep, every share tried with its verdict). `keep` and `stop` try only the whole step."""
    tried = []
    for share in SHARES if spec.action == "blend" else SHARES[:1]:
        verdict = verdict_at(share)
        tried.append((share, verdict))
        if verdict.passes:
            return share, tried
    return (1.0 if spec.action in ("keep", "stop") else 0.0), tried
