"""Variants of a recipe: the combinations of a sweep, the recipe without one step, several seeds.

All are executed by `run_variants`. What variants share is computed once, since artifacts are cached by their keys.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from adapt.errors import UserError
from adapt.job import Event, Listener
from adapt.pipeline import gate, plan
from adapt.pipeline.comparison import Measured, as_difference, difference, differences, is_main, is_undefined, split_metric, value
from adapt.pipeline.executor import Executor
from adapt.recipe import Recipe, combinations, variants, without
from adapt.results import AblationRow, Contribution, DeferredDecision, SweepTrial
from adapt.storage.store import Store

Split = Literal["dev", "test"]
T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """A recipe that differs from the user's in one respect, and how far it is executed (None: to its end)."""

    label: str
    recipe: Recipe
    until: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """Measurements of a variant's base and final model."""

    base: Measured
    final: Measured


def run_variants(items: Sequence[Variant], execute: Callable[[Variant], T], listener: Listener) -> list[T]:
    """Announce and execute each variant; their results in order."""
    found = []
    for variant in items:
        listener(Event("step", variant.label, {"cached": False, "reason": ""}))
        found.append(execute(variant))
    return found


def evaluated(store: Store, listener: Listener, split: Split = "dev") -> Callable[[Variant], Evaluation]:
    """What executes a variant in the run's folder and measures its models on `dev` or `test` data."""

    def execute(variant: Variant) -> Evaluation:
        planned = plan.make(variant.recipe, store, until=variant.until, download=True)
        executor = Executor(variant.recipe, store, planned, listener)
        final = executor.run()
        base, found = executor.measured[planned.base], executor.measured[final]
        return Evaluation(base, executor.evaluator.measure(executor.model(final), "test") if split == "test" else found)

    return execute


def sweep(recipe: Recipe, store: Store, listener: Listener) -> tuple[Recipe, tuple[SweepTrial, ...]]:
    """The combination of a sweep's values with the highest target on dev data, and the trials; test data is not used.

    A tie goes to the combination that is written first.
    """
    if not recipe.sweep:
        return recipe, ()
    assert recipe.gate is not None and recipe.gate.target is not None
    target = recipe.gate.target
    listener(Event("note", f"sweep: {combinations(recipe):,} combinations"))
    expanded = variants(recipe)
    items = [
        Variant("sweep: " + ", ".join(f"{name} {value}" for name, value in settings.items()), one) for settings, one in expanded
    ]
    measured = [found.final for found in run_variants(items, evaluated(store, listener), listener)]
    values = [value(found, target) for found in measured]
    ranked = [float("-inf") if is_undefined(found) else found for found in values]
    best = ranked.index(max(ranked))
    trials = tuple(
        SweepTrial(
            settings=settings, metric=target, value=values[number], chosen=number == best,
            **dict(as_difference(difference(measured[0], measured[number], target, recipe.seed))),
        )
        for number, (settings, _) in enumerate(expanded)
    )  # fmt: skip
    return expanded[best][1], trials


def decide_deferred(recipe: Recipe, store: Store, listener: Listener) -> tuple[Recipe, tuple[DeferredDecision, ...]]:
    """The recipe without the steps that add nothing to a later step, and the decision on each step that is judged so.

    Both variants, with the step and without it, are executed as far as the later step and compared on dev data by the gate's
    rule. The step is kept where it passes and has a net gain.
    """
    decisions: list[DeferredDecision] = []
    for step, after in dict(recipe.gate.later if recipe.gate else {}).items():
        spec = recipe.gate
        assert spec is not None
        shorter = without(recipe, step)[0]
        items = [Variant(f"{word} {step}, as far as {after}", one, after) for word, one in (("with", recipe), ("without", shorter))]
        having, lacking = run_variants(items, evaluated(store, listener), listener)
        trial = gate.judge(spec, lacking.base, lacking.final, having.final, recipe.seed)
        previous = gate.judge(spec, lacking.base, lacking.final, lacking.final, recipe.seed)
        decision = DeferredDecision(step=step, after=after, kept=trial.passes and trial.net_gain > previous.net_gain, trial=trial)
        recipe = recipe if decision.kept else shorter
        decisions.append(decision)
        event = {"outcome": trial.outcome, "explanation": f"after {after}: {trial.explanation}", "action": decision.action}
        listener(Event("verdict", step, event))
    return recipe, tuple(decisions)


def leave_one_out(
    recipe: Recipe, store: Store, only: Sequence[str], split: Split, listener: Listener
) -> tuple[tuple[AblationRow, ...], tuple[str, ...]]:
    """(the contribution of each step, sentences on the steps that can't be left out); raises UserError for unknown steps."""
    ids = [step.id for step in recipe.steps]
    if unknown := [name for name in only if name not in ids]:
        raise UserError(f"--only {unknown[0]}: the recipe has no such step. Its steps: {', '.join(ids)}")
    recipe, _ = sweep(recipe, store, listener)
    execute = evaluated(store, listener, split)
    whole = execute(Variant("", recipe)).final
    shorter = {step: without(recipe, step) for step in ids if not only or step in only}
    possible = {
        tuple(removed): one for one, removed in shorter.values() if any(s.stage.output_kind() == "encoder" for s in one.steps)
    }
    skipped = tuple(
        f"{step}: nothing would be trained without it" for step, (_, removed) in shorter.items() if tuple(removed) not in possible
    )
    items = [Variant(f"without {', '.join(removed)}", one) for removed, one in possible.items()]
    rows = []
    for removed, found in zip(possible, run_variants(items, execute, listener), strict=True):
        changes = differences(found.final, whole, recipe.seed, lambda metric: is_main(recipe, metric))
        rows.append(
            AblationRow(
                without=removed,
                contributions=tuple(
                    Contribution(
                        metric=metric, role=recipe.checks[split_metric(metric)[0]].role, without=value(found.final, metric),
                        final=value(whole, metric), **dict(change),
                    )
                    for metric, change in changes.items()
                ),
            )
        )  # fmt: skip
    return tuple(rows), skipped


def seeds(recipe: Recipe, count: int) -> list[Variant]:
    """The recipe with `count` seeds: its own and those after it."""
    return [Variant(f"seed {seed}", replace(recipe, seed=seed)) for seed in range(recipe.seed, recipe.seed + count)]
