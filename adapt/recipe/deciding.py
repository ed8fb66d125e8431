"""What a recipe decides by: its gate, steps judged after a later one, and sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from adapt.errors import did_you_mean
from adapt.recipe import CheckSpec, GateSpec, Step
from adapt.recipe.problems import Problems


def gate(raw: Mapping[str, Any], specs: Mapping[str, CheckSpec], problems: Problems) -> GateSpec | None:
    """The gate, where there is one: its metrics are of checks that have dev data and are not golden."""
    section = raw.get("gate")
    if section is None:
        return None
    try:
        found = GateSpec.model_validate(section)
    except ValidationError as error:
        problems.invalid(("gate",), error, GateSpec)
        return None
    for metric, path in found.metrics().items():
        check = metric.partition(".")[0]
        if check not in specs:
            raw_checks = raw.get("checks") or {}
            if check in raw_checks and raw_checks[check] is not None:
                continue  # its own problem is reported already
            problems.say(path, f"'{metric}' names no check of this recipe; write check.metric.{did_you_mean(check, specs)}")
        elif specs[check].role == "golden":
            problems.say(path, f"'{metric}': check '{check}' is golden, kept for `adapt compare --promote` alone")
        elif specs[check].dev is None:
            problems.say(path, f"'{metric}': the gate decides on dev data, but check '{check}' has none")
    return found


def later(steps: Sequence[Step], gate: GateSpec | None, problems: Problems) -> None:
    """A step that is judged later makes an encoder, stands before the step it is judged after, and is named by no other."""
    order = [step.id for step in steps]
    for first, second in (gate.later if gate else {}).items():
        path = ("gate", "later", first)
        for name in (first, second):
            if name not in order:
                problems.say(path, f"'{name}' is no step of this recipe.{did_you_mean(name, order)}")
        if first not in order or second not in order:
            continue
        if order.index(first) >= order.index(second):
            problems.say(path, f"'{first}' is to be judged after '{second}', but stands behind it")
        kinds = {step.id: step.stage.makes() for step in steps}
        if {kinds[first], kinds[second]} != {"encoder"}:
            problems.say(path, "a step that is judged, and the one it is judged after, must both make an encoder")
        for step in steps:
            if any(first in names for names in step.inputs.values()):
                problems.say(path, f"'{first}' can't be judged later: step '{step.id}' takes it by name")


def sweep(
    raw: Mapping[str, Any], steps: Sequence[Step], gate: GateSpec | None, problems: Problems
) -> dict[tuple[str, str], Sequence[Any]]:
    """{(step, setting): values} of `sweep: {step: {setting: [values]}}`, every value checked as if it stood in the step."""
    section = raw.get("sweep")
    if section is None:
        return {}
    if gate is None or gate.target is None:
        problems.say(("sweep",), "a sweep is decided by the gate's target on dev data; give gate: {target: check.metric}")
    if not isinstance(section, dict) or not all(isinstance(part, dict) for part in section.values()):
        problems.say(("sweep",), "'sweep' must be {step: {setting: [values to try]}}")
        return {}
    found: dict[tuple[str, str], Sequence[Any]] = {}
    known = {step.id: step for step in steps}
    for step_id, settings in section.items():
        if step_id not in known:
            problems.say(("sweep", step_id), f"'{step_id}' is no step of this recipe.{did_you_mean(step_id, known)}")
            continue
        stage = known[step_id].stage
        for name, values in settings.items():
            path, setting = ("sweep", step_id, name), name.replace("-", "_")
            if setting not in type(stage).model_fields:
                problems.say(path, f"step '{step_id}' has no setting '{name}'.{did_you_mean(setting, type(stage).model_fields)}")
            elif not isinstance(values, list) or not values:
                problems.say(path, f"give a list of values to try (got {values!r})")
            else:
                for value in values:
                    try:
                        for problem in stage.with_setting(setting, value).problems(known[step_id].kinds):
                            problems.say(path, f"step '{step_id}' with {name} {value}: {problem}")
                    except ValidationError as error:
                        problems.invalid(path[:-1], error, type(stage), f"step '{step_id}': ")
                found[step_id, setting] = values
    return found
