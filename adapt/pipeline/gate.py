"""The gate's rule: after a step, go on with the new model, a blend of the new and the previous one, or the previous one."""

from __future__ import annotations

from collections.abc import Callable

from adapt.errors import did_you_mean
from adapt.pipeline.comparison import Measured, as_difference, difference, is_undefined, split_metric, value
from adapt.recipe import GateSpec
from adapt.results import GateTrial, Outcome

NEGLIGIBLE_LOSS = 0.1  # share of the gain; for smaller guard losses no blends are tried, since each has to be measured


def problems(spec: GateSpec, base: Measured, file: object) -> list[str]:
    """What is wrong with a gate's metrics once the base model is measured: missing, undefined, or of a topic that no row has."""
    found = []
    for metric, path in spec.metrics().items():
        check, name, topic = split_metric(metric)
        known = base[check].metrics
        where = f"{file}: {'.'.join(path)}"
        if name not in known:
            found.append(f"{where}: check '{check}' has no metric '{name}'.{did_you_mean(name, known)}")
        elif topic and topic not in base[check].topics:
            topics = sorted({t for t in base[check].topics if t})
            found.append(f"{where}: no dev row has the topic '{topic}'.{did_you_mean(topic, topics)}")
        elif not topic and is_undefined(known[name]):
            found.append(f"{where}: {check}.{name} is undefined on dev data: its gold scores, or the base's own, do not vary")
    return found


def judge(spec: GateSpec, base: Measured, previous: Measured, model: Measured, seed: int = 0, alpha: float = 1.0) -> GateTrial:
    """The gate's trial of `model`: target and transfer metrics against the previous model, guards against the base model.

    A guard's budget bounds the difference itself, not its interval: the budget is what the user allows to be lost. A model with
    an undefined metric is unmeasured and does not pass.
    """
    compared = {
        "the base": (base, list(spec.guard)),
        "the previous model": (previous, [*spec.transfer, *filter(None, [spec.target])]),
        "this model": (model, list(spec.metrics())),
    }
    undefined = [
        f"{metric} is undefined for {name}"
        for name, (measured, metrics) in compared.items()
        for metric in metrics
        if is_undefined(value(measured, metric))
    ]
    if undefined:
        return GateTrial(
            alpha=alpha, outcome="unmeasured", explanation="; ".join(undefined), passes=False, gain=0.0, guard_loss=0.0
        )
    changes = {metric: value(model, metric) - value(base, metric) for metric in spec.guard}
    exceeded = [
        f"{metric} fell by {-100 * change:.1f} points from the base, {-100 * spec.guard[metric]:.1f} are allowed"
        for metric, change in changes.items()
        if change < spec.guard[metric]
    ]
    gain = sum(weight * (value(model, metric) - value(previous, metric)) for metric, weight in spec.transfer.items())
    outcome: Outcome = "same"
    explanation, p = "no target to judge by", None
    if spec.target:
        change = as_difference(difference(previous, model, spec.target, seed))
        gain += change.delta
        outcome, p = change.outcome, change.p
        explanation = f"{spec.target} {100 * change.delta:+.1f} points ({100 * change.low:+.1f} to {100 * change.high:+.1f})"
    passes = outcome != "worse" and not exceeded
    if exceeded:
        outcome, explanation = "forgetting", "; ".join([*exceeded, explanation])
    guard_loss = sum(max(0.0, -change) for change in changes.values())
    return GateTrial(alpha=alpha, outcome=outcome, explanation=explanation, passes=passes, gain=gain, guard_loss=guard_loss, p=p)


def choose(spec: GateSpec, trial_at: Callable[[float], GateTrial]) -> tuple[float, list[GateTrial]]:
    """(alpha, the share of the step's change to keep; every trial, the whole step's first).

    `blend` keeps the whole step where that passes and loses next to nothing on guards. A step that does not change the target
    significantly is kept or reverted, whichever has the higher net gain. Else every alpha of the grid is tried, and of those that
    pass, the previous model (alpha 0) among them, the one with the highest net gain is kept, of equals the largest. `stop` and
    `revert` go back to the previous model where the whole step fails.
    """
    whole = trial_at(1.0)
    cheap = spec.action != "blend" or spec.target is None or whole.guard_loss <= NEGLIGIBLE_LOSS * whole.gain
    if spec.action == "keep" or (whole.passes and cheap):
        return 1.0, [whole]
    if spec.action != "blend":
        return 0.0, [whole]
    trials = [whole]
    if not whole.passes or whole.outcome != "same":
        trials += [trial_at(alpha) for alpha in spec.grid if alpha < 1]
    previous = trial_at(0.0)
    passing = [(trial.net_gain, trial.alpha) for trial in trials if trial.passes] + [(previous.net_gain, 0.0)]
    return max(passing)[1], trials
