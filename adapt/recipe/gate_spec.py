"""What a recipe decides by: its gate, steps judged after a later one, and sweeps."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from pydantic import ValidationError

from adapt import checks
from adapt.errors import did_you_mean
from adapt.recipe.problems import Problems
from adapt.recipe.spec import CheckSpec, GateSpec, Step
from adapt.recipe.values import shown, validated

COMBINATIONS = 100  # of a sweep's values, at the most, where the recipe gives no max_combinations


def gate(raw: Mapping[str, Any], specs: Mapping[str, CheckSpec], problems: Problems) -> GateSpec | None:
    """The gate, where there is one: its metrics are of checks that have dev data and are not golden."""
    section = raw.get("gate")
    if section is None:
        return None
    if not isinstance(section, dict):
        problems.say(("gate",), f"'gate' must be a mapping, {{target: check.metric, ...}} (got {shown(section)})")
        return None
    try:
        found = validated(GateSpec, section)
    except ValidationError as error:
        problems.invalid(("gate",), error, GateSpec)
        return None
    for metric, path in found.metrics().items():
        check = metric.partition(".")[0]
        if check not in specs:
            raw_checks = raw.get("checks")
            if not isinstance(raw_checks, dict) or raw_checks.get(check) is not None:
                continue  # its own problem is reported already
            problems.say(path, f"'{metric}' names no check of this recipe; write check.metric.{did_you_mean(check, specs)}")
        elif not metric.partition(".")[2]:
            problems.say(path, f"'{metric}' names no metric; write check.metric, for example {check}.{_main(specs[check])}")
        elif "[" in metric and not re.fullmatch(r"[^\[\]]+\[.+\]", metric):
            problems.say(path, f"'{metric}': a topic stands in brackets, as in {check}.{_main(specs[check])}[cardiology]")
        elif specs[check].role == "golden":
            problems.say(path, f"'{metric}': check '{check}' is golden, kept for `adapt compare --promote` alone")
        elif specs[check].dev is None:
            problems.say(path, f"'{metric}': the gate decides on dev data, but check '{check}' has none")
    return found


def later(steps: Sequence[Step], gate: GateSpec | None, problems: Problems, refused: Collection[str] = ()) -> None:
    """A step that is judged later makes an encoder, stands before the step it is judged after, and is named by no other.

    `refused`: ids of steps that have problems of their own.
    """
    order = [step.id for step in steps]
    for first, second in (gate.later if gate else {}).items():
        path = ("gate", "later", first)
        for name in (first, second):
            if name not in order and name not in refused:
                problems.say(path, f"'{name}' is no step of this recipe.{did_you_mean(name, order)}")
        if first not in order or second not in order:
            continue
        if order.index(first) >= order.index(second):
            problems.say(path, f"'{first}' is to be judged after '{second}', but stands behind it")
        kinds = {step.id: step.stage.output_kind() for step in steps}
        if {kinds[first], kinds[second]} != {"encoder"}:
            problems.say(path, "a step that is judged, and the one it is judged after, must both make an encoder")
        for step in steps:
            if any(first in names for names in step.inputs.values()):
                problems.say(path, f"'{first}' can't be judged later: step '{step.id}' takes it by name")


def sweep(
    raw: Mapping[str, Any], steps: Sequence[Step], gate: GateSpec | None, problems: Problems, refused: Collection[str] = ()
) -> dict[tuple[str, str], Sequence[Any]]:
    """{(step, setting): values} of `sweep: {step: {setting: [values]}}`, every combination checked as if it stood in the recipe.

    Their number is bounded by `max_combinations`, before any is made. `refused`: ids of steps that have problems of their own.
    """
    most = raw.get("max_combinations", COMBINATIONS)
    if type(most) is not int or most < 1:
        problems.say(("max_combinations",), f"'max_combinations' must be a whole number of 1 or more (got {shown(most)})")
        return {}
    section = raw.get("sweep")
    if section is None:
        return {}
    if gate.target is None if gate else raw.get("gate") is None:  # a gate that is refused may have a target
        problems.say(("sweep",), "a sweep is decided by the gate's target on dev data; give gate: {target: check.metric}")
    if not isinstance(section, dict) or not all(isinstance(part, dict) for part in section.values()):
        problems.say(("sweep",), "'sweep' must be {step: {setting: [values to try]}}")
        return {}
    known = {step.id: step for step in steps}
    found: dict[tuple[str, str], Sequence[Any]] = {}
    for step_id, settings in section.items():
        if step_id not in known and step_id in refused:
            continue
        if step_id not in known:
            problems.say(("sweep", step_id), f"'{step_id}' is no step of this recipe.{did_you_mean(step_id, known)}")
            continue
        fields = type(known[step_id].stage).model_fields
        for name, values in settings.items():
            path, setting = ("sweep", step_id, name), name.replace("-", "_")
            if setting not in fields:
                problems.say(path, f"step '{step_id}' has no setting '{name}'.{did_you_mean(setting, fields)}")
            elif not isinstance(values, list) or not values:
                problems.say(path, f"give a list of values to try (got {shown(values)})")
            elif (step_id, setting) in found:
                problems.say(path, f"'{name}' stands twice, once with - and once with _")
            else:
                found[step_id, setting] = values
    count = prod(len(values) for values in found.values())
    if count > most:
        sizes = " × ".join(f"{name} {len(values)}" for (_, name), values in found.items())
        problems.say(
            ("sweep",),
            f"{count:,} combinations ({sizes}) are more than {most:,}; give fewer values, or raise max_combinations",
        )
        return {}
    return _checked(found, known, problems, refused)


def _checked(
    swept: Mapping[tuple[str, str], Sequence[Any]], steps: Mapping[str, Step], problems: Problems, refused: Collection[str]
) -> dict[tuple[str, str], Sequence[Any]]:
    """The values as settings take them; problems of single values, and of those that do not go together."""
    good: dict[tuple[str, str], Sequence[Any]] = {}
    for (step_id, setting), values in swept.items():
        stage, path, fitted = steps[step_id].stage, ("sweep", step_id, setting), []
        for value in values:
            try:
                fitted.append(getattr(validated(type(stage), {**stage.model_dump(), setting: value}), setting))
            except ValidationError as error:
                problems.invalid(path[:-1], error, type(stage), f"step '{step_id}': ")
        if len(fitted) > len({repr(value) for value in fitted}):
            problems.say(path, f"a value stands twice (got {shown(values)})")
        good[step_id, setting] = fitted
    for step_id in dict.fromkeys(step_id for step_id, _ in good):
        if step_id in refused:
            continue  # what is wrong with it beside its values is said already
        step, own = steps[step_id], {setting: values for (of, setting), values in good.items() if of == step_id}
        for combination in product(*own.values()):
            settings = dict(zip(own, combination, strict=True))
            stage = type(step.stage).model_validate({**step.stage.model_dump(), **settings})
            words = ", ".join(f"{name} {shown(value)}" for name, value in settings.items())
            for problem in stage.problems(step.kinds):
                problems.say(("sweep", step_id), f"step '{step_id}' with {words}: {problem}")
    return good


def _main(spec: CheckSpec) -> str:
    return str(checks.find(spec.kind).main_metric)
