"""Parse the sections `gate` and `sweep` of a recipe."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from itertools import product
from math import prod

from pydantic import ValidationError

from adapt import checks
from adapt.errors import did_you_mean
from adapt.recipe.problems import Problems
from adapt.recipe.spec import CheckSpec, GateSpec, Step
from adapt.recipe.values import format_value, validate
from adapt.stages import Stage

MAX_COMBINATIONS = 100  # of a sweep, where the recipe does not set max_combinations
Sweep = dict[tuple[str, str], Sequence[object]]  # (step, setting) → values


def parse_gate(raw: Mapping[str, object], specs: Mapping[str, CheckSpec], problems: Problems) -> GateSpec | None:
    """The gate, or None. Each of its metrics belongs to a check that has dev data and is not golden."""
    section = raw.get("gate")
    if section is None:
        return None
    if not isinstance(section, dict):
        problems.add(("gate",), f"'gate' must be a mapping, {{target: check.metric, ...}} (got {format_value(section)})")
        return None
    try:
        found = validate(GateSpec, section)
    except ValidationError as error:
        problems.add_validation_error(("gate",), error, GateSpec)
        return None
    for metric, path in found.metrics().items():
        check = metric.partition(".")[0]
        if check not in specs:
            raw_checks = raw.get("checks")
            if not isinstance(raw_checks, dict) or raw_checks.get(check) is not None:
                continue  # reported by `parse_checks`
            problems.add(path, f"'{metric}' names no check of this recipe; write check.metric.{did_you_mean(check, specs)}")
            continue
        example = f"{check}.{checks.find(specs[check].kind).main_metric}"
        if not metric.partition(".")[2]:
            problems.add(path, f"'{metric}' names no metric; write check.metric, for example {example}")
        elif "[" in metric and not re.fullmatch(r"[^\[\]]+\[.+\]", metric):
            problems.add(path, f"'{metric}': write a topic in brackets, as in {example}[cardiology]")
        elif specs[check].role == "golden":
            problems.add(path, f"'{metric}': check '{check}' is golden, which only `adapt compare --promote` uses")
        elif specs[check].dev is None:
            problems.add(path, f"'{metric}': the gate uses dev data, but check '{check}' has none")
    return found


def check_deferred(steps: Sequence[Step], gate: GateSpec | None, problems: Problems, refused: Container[str] = ()) -> None:
    """Check the steps whose decision is deferred: each makes an encoder, comes before the step that it is judged after, and is
    not an explicit input of any step.

    `refused`: ids of steps with problems of their own.
    """
    order = [step.id for step in steps]
    for first, second in (gate.later if gate else {}).items():
        path = ("gate", "later", first)
        for name in (first, second):
            if name not in order and name not in refused:
                problems.add(path, f"the recipe has no step '{name}'.{did_you_mean(name, order)}")
        if first not in order or second not in order:
            continue
        if order.index(first) >= order.index(second):
            problems.add(path, f"'{first}' must come before '{second}', the step that it is judged after")
        kinds = {step.id: step.stage.output_kind() for step in steps}
        if {kinds[first], kinds[second]} != {"encoder"}:
            problems.add(path, "a step that is judged later, and the step that it is judged after, must both make an encoder")
        for step in steps:
            if any(first in names for names in step.inputs.values()):
                problems.add(path, f"'{first}' can't be judged later: it is an explicit input of step '{step.id}'")


def parse_sweep(
    raw: Mapping[str, object], steps: Sequence[Step], gate: GateSpec | None, problems: Problems, refused: Container[str] = ()
) -> Sweep:
    """{(step, setting): values} of `sweep: {step: {setting: [values]}}`, every combination validated like a recipe.

    `max_combinations` bounds their number before any is built. `refused`: ids of steps with problems of their own.
    """
    most = raw.get("max_combinations", MAX_COMBINATIONS)
    if type(most) is not int or most < 1:
        problems.add(("max_combinations",), f"'max_combinations' must be a whole number of 1 or more (got {format_value(most)})")
        return {}
    section = raw.get("sweep")
    if section is None:
        return {}
    if gate.target is None if gate else raw.get("gate") is None:  # an invalid gate may have a target
        problems.add(("sweep",), "a sweep selects by the gate's target on dev data; add gate: {target: check.metric}")
    if not isinstance(section, dict) or not all(isinstance(part, dict) for part in section.values()):
        problems.add(("sweep",), "'sweep' must be {step: {setting: [values to try]}}")
        return {}
    known = {step.id: step for step in steps}
    found: Sweep = {}
    for step_id, settings in section.items():
        if step_id not in known and step_id in refused:
            continue
        if step_id not in known:
            problems.add(("sweep", step_id), f"the recipe has no step '{step_id}'.{did_you_mean(step_id, known)}")
            continue
        stage = type(known[step_id].stage)
        for name, values in settings.items():
            path, setting = ("sweep", step_id, name), name.replace("-", "_")
            if not stage.has_setting(setting):
                every = [*stage.model_fields, *(".".join(option.path) for option in stage.options())]
                problems.add(path, f"step '{step_id}' has no setting '{name}'.{did_you_mean(setting, every)}")
            elif not isinstance(values, list) or not values:
                problems.add(path, f"expected a list of values to try (got {format_value(values)})")
            elif (step_id, setting) in found:
                problems.add(path, f"duplicate key '{name}', once with - and once with _")
            else:
                found[step_id, setting] = values
    count = prod(len(values) for values in found.values())
    if count > most:
        sizes = " × ".join(f"{name} {len(values)}" for (_, name), values in found.items())
        problems.add(
            ("sweep",),
            f"{count:,} combinations ({sizes}) are more than {most:,}; remove values, or raise max_combinations",
        )
        return {}
    return _validate_sweep(found, known, problems, refused)


def _validate_sweep(swept: Sweep, steps: Mapping[str, Step], problems: Problems, refused: Container[str]) -> Sweep:
    """The values as the stages store them; invalid values, and combinations that a stage refuses, are added to `problems`."""
    valid: Sweep = {}
    for (step_id, setting), values in swept.items():
        stage, path, accepted = steps[step_id].stage, ("sweep", step_id, setting), []
        for value in values:
            try:
                accepted.append(_swept_value(stage, setting, value))
            except ValidationError as error:
                problems.add_validation_error(path[:-1], error, type(stage), f"step '{step_id}': ")
        if len(accepted) > len({repr(value) for value in accepted}):
            problems.add(path, f"duplicate value (got {format_value(values)})")
        valid[step_id, setting] = accepted
    for step_id in dict.fromkeys(step_id for step_id, _ in valid):
        if step_id in refused:
            continue  # its other problems are reported already
        step, own = steps[step_id], {setting: values for (of, setting), values in valid.items() if of == step_id}
        for combination in product(*own.values()):
            settings = dict(zip(own, combination, strict=True))
            stage = step.stage
            for name, value in settings.items():
                stage = stage.with_setting(name, value)
            combination_text = ", ".join(f"{name} {format_value(value)}" for name, value in settings.items())
            for problem in stage.problems(step.kinds):
                problems.add(("sweep", step_id), f"step '{step_id}' with {combination_text}: {problem}")
    return valid


def _swept_value(stage: Stage, setting: str, value: object) -> object:
    """A value as the setting stores it; raises pydantic's ValidationError for an invalid one."""
    if setting not in type(stage).model_fields and "." not in setting:  # the method itself: see `PretrainingStage.with_setting`
        stage.with_setting(setting, value)
        return value
    found = validate(type(stage), stage.values_with(setting, value)).value_at(setting)
    return value if isinstance(found, dict) else found
