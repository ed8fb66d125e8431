"""The verdict on a run, warnings beside it, whether a model may replace another; and differences in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapt.pipeline.comparison import is_main, is_undefined, split_metric
from adapt.recipe import Recipe
from adapt.results import (
    CheckInfo,
    Comparison,
    GateDecision,
    Promotion,
    RunResult,
    SeedSpread,
    StepResult,
    TopicComparison,
    Verdict,
)

FAILED = ("worse", "forgetting", "unmeasured")


def of_run(
    recipe: Recipe, steps: Sequence[StepResult], gates: Sequence[GateDecision], test: Sequence[Comparison], changed: bool
) -> Verdict:
    """One word and one sentence on a whole run.

    worse: the gate reverted every step, so that the base model itself is exported, or the target fell on test data. unmeasured:
    the target has no value for one of the two models, or none was measured.
    """
    failed = [gate for gate in gates if gate.trials[0].outcome in FAILED]
    if failed and not changed:
        reasons = "; ".join(f"{gate.step}: {gate.trials[0].explanation}" for gate in failed)
        unmeasured = all(gate.trials[0].outcome == "unmeasured" for gate in failed)
        sentence = f"Every step was reverted, and the base model itself is exported. {reasons}."
        return Verdict(outcome="unmeasured" if unmeasured else "worse", sentence=sentence)
    row = _target(recipe, test)
    if row is None:
        return Verdict(outcome="unmeasured", sentence="No target was measured on test data.")
    leaks = _leaks(recipe, steps)
    if row.outcome == "unmeasured":
        return Verdict(outcome="unmeasured", sentence=f"{undefined(row)} on test data; {leaks}.", target=row.metric)
    guards = ", ".join(
        f"{one.metric} {100 * one.delta:+.1f} points" for one in test if one.role == "guard" and is_main(recipe, one.metric)
    )
    sentence = (
        f"{row.metric} on test data went from {100 * row.base:.1f} to {100 * row.final:.1f}: {change(row)} "
        f"(seed {recipe.seed}); {leaks}{'; guards: ' + guards if guards else ''}."
    )
    return Verdict(outcome=row.outcome, sentence=sentence, target=row.metric)


def _target(recipe: Recipe, test: Sequence[Comparison]) -> Comparison | None:
    """The row of the gate's target; without one, of the first target check's main metric."""
    wanted = recipe.gate.target if recipe.gate else None
    targets = [row for row in test if row.role == "target" and is_main(recipe, row.metric)]
    return next((row for row in test if row.metric == wanted), targets[0] if targets else None)


def _leaks(recipe: Recipe, steps: Sequence[StepResult]) -> str:
    """What was done with rows of dev and test data, in words."""
    leaks = [step.leaks for step in steps if step.leaks]
    if recipe.leaks == "allow":
        allowed = sum(one.total for one in leaks if one.action != "removed")
        return f"{allowed:,} training rows are in dev or test data and were allowed"
    removed = sum(one.total for one in leaks if one.action == "removed")
    return f"{removed:,} rows that are in dev or test data were removed from training"


def over_seeds(result: RunResult, spreads: Sequence[SeedSpread]) -> Verdict:
    """The verdict of a run's own seed with the spread over all; the word is `same` unless every seed's change has its sign."""
    found = result.verdict
    spread = next((one for one in spreads if one.metric == found.target), None)
    if spread is None:
        return found
    deltas = list(spread.deltas.values())
    agreed = all(delta > 0 for delta in deltas) or all(delta < 0 for delta in deltas)
    words = ", ".join(f"{100 * delta:+.1f}" for delta in deltas)
    more = f" Over {len(deltas)} seeds: {100 * spread.mean:+.1f} ± {100 * spread.sd:.1f} points ({words})."
    return Verdict(outcome=found.outcome if agreed else "same", sentence=found.sentence + more, target=found.target)


def warnings(
    recipe: Recipe, info: Mapping[str, CheckInfo], test: Sequence[Comparison], topics: Sequence[TopicComparison]
) -> list[str]:
    """What a reader should know beyond the verdict: a gate without guards, guards that fell, topics that became worse."""
    found = []
    gate = recipe.gate
    guards = {recipe.checks[split_metric(metric)[0]].kind for metric in gate.guard} if gate else set()
    if gate is None:
        found.append("The recipe has no gate: a step that harms the model is kept.")
    elif not {"retrieval", "reranking"} & guards:
        found.append(
            "The gate has no retrieval guard: STS alone does not show what the model forgets. Add a retrieval check of another "
            "domain with role guard."
        )
    elif not {"sts", "pairs"} & guards:
        found.append("The gate has no STS guard: add an sts check of general sentences with role guard.")
    found += [
        f"Check '{name}' is synthetic: its queries are sentences of the texts, no person asked them."
        for name, check in info.items()
        if check.synthetic
    ]
    rows = {row.metric: row for row in test}
    found += [
        f"On test data {metric} fell by {-100 * rows[metric].delta:.1f} points; {-100 * budget:.1f} are allowed."
        for metric, budget in (gate.guard.items() if gate else ())
        if metric in rows and rows[metric].delta < budget
    ]
    found += [
        f"{row.metric} fell on '{row.topic}' by {-100 * row.delta:.1f} points ({row.items} items, "
        f"p {format_p(row.p if row.p_corrected is None else row.p_corrected)} after Holm's correction)."
        for row in topics
        if row.outcome == "worse"
    ]
    return found


def promotion(rows: Sequence[Comparison], main: Mapping[str, str]) -> Promotion:
    """Whether the second of two compared models may replace the first: every check's main metric is known, and none fell
    significantly. `main`: {check: main metric}.
    """
    shown = [row for row in rows if main[split_metric(row.metric)[0]] == row.metric.partition(".")[2]]
    unknown = [undefined(row) for row in shown if row.outcome == "unmeasured"]
    if not shown:
        unknown += [f"{name}.{main[name]} has no items to compare" for name in sorted(main)]
    if unknown:
        return Promotion(promote=False, sentence=f"unmeasured: {'; '.join(unknown)}; do not promote")
    fallen = [row for row in shown if row.outcome == "worse"]
    risen = [row for row in shown if row.outcome == "better"]
    words = "; ".join(f"{row.metric} {change(row)}" for row in fallen or risen or shown)
    if fallen:
        return Promotion(promote=False, sentence=f"do not promote: {words}")
    return Promotion(promote=True, sentence=f"promote: {words if risen else 'nothing fell significantly; ' + words}")


def undefined(row: Comparison) -> str:
    """Which side of a compared metric is undefined, and why that can be."""
    sides = [is_undefined(row.base), is_undefined(row.final)]
    models = "both models" if all(sides) else "the first model" if sides[0] else "the second model"
    return f"{row.metric} is undefined for {models}: gold scores or the model's own do not vary"


def change(row: Comparison) -> str:
    """A difference in words: points, interval, p."""
    interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
    return f"{100 * row.delta:+.1f} points, 95 % interval {interval}, p {format_p(row.p)}"


def format_p(p: float) -> str:
    """A p-value as it is printed."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
