"""Recipes derived from a recipe: one for each combination of a sweep's values, and one without a step."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import prod
from typing import Any

from adapt.recipe.spec import Recipe, Step
from adapt.recipe.wiring import Scope, joint_kind


def combinations(recipe: Recipe) -> int:
    """The number of recipes that a sweep expands to; 1 without a sweep."""
    return prod(len(values) for values in recipe.sweep.values())


def variants(recipe: Recipe) -> list[tuple[dict[str, Any], Recipe]]:
    """({step.setting: value}, recipe) for every combination of a sweep's values, in the order written. None has a sweep."""
    names = list(recipe.sweep)
    found = []
    for values in product(*(recipe.sweep[name] for name in names)):
        steps = list(recipe.steps)
        for (step_id, setting), value in zip(names, values, strict=True):
            number = next(i for i, step in enumerate(steps) if step.id == step_id)
            steps[number] = replace(steps[number], stage=steps[number].stage.with_setting(setting, value))
        settings = {f"{step}.{setting}": value for (step, setting), value in zip(names, values, strict=True)}
        found.append((settings, replace(recipe, steps=steps, sweep={})))
    return found


def without(recipe: Recipe, step_id: str) -> tuple[Recipe, list[str]]:
    """The recipe without one step, and the ids of all steps left out: those that can't run without it, too.

    A step with several sources keeps the rest of them; one whose only source is missing takes its default input, as if the
    recipe did not name any.
    """
    scope = Scope(dict.fromkeys(recipe.data), None)
    kept, left_out = [], []
    for step in recipe.steps:
        smaller = None if step.id == step_id else _within(scope, step)
        if smaller is None:
            left_out.append(step.id)
            continue
        kept.append(smaller)
        scope.define(step.id, type(step.stage), None)
    gate = recipe.gate
    if gate is not None:
        gate = gate.model_copy(update={"later": {a: b for a, b in gate.later.items() if a not in left_out and b not in left_out}})
    return replace(recipe, steps=kept, gate=gate), left_out


def _within(scope: Scope[None], step: Step) -> Step | None:
    """The step with only those inputs that are in `scope`; None where it can't run with them."""
    inputs: dict[str, tuple[str, ...]] = {}
    stage = step.stage
    for want in stage.inputs():
        written = step.inputs.get(want.name)
        if written is None:
            continue
        names = tuple(name for name in written if name in scope or name in step.models)
        if not names and (default := scope.default(want, type(stage))):
            names = (default,)
        if names:
            inputs[want.name] = names
        elif want.required:
            return None
        shares = getattr(stage, "shares", None)
        if want.name == "examples" and shares and names != written:
            left = tuple(share for name, share in zip(written, shares, strict=True) if name in names)
            stage = stage.with_setting("shares", tuple(share / sum(left) for share in left) if len(left) > 1 else ())
    kinds = {name: joint_kind(scope.kind(n) or step.kinds[name] for n in names) for name, names in inputs.items()}
    return None if stage.problems(kinds) else replace(step, stage=stage, inputs=inputs, kinds=kinds)
