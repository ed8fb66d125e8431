"""Check what a recipe says, key by key: gathers every problem with its line, then gives the Recipe or raises them together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapt import stages
from adapt.errors import UserError, did_you_mean, nearest
from adapt.models import lookup
from adapt.recipe import data_spec, gate_spec, overrides, yaml_lines
from adapt.recipe.catalog import find
from adapt.recipe.identifiers import id_problem, name_problem
from adapt.recipe.overrides import split_step
from adapt.recipe.problems import Problems
from adapt.recipe.spec import TOP, Recipe, Step
from adapt.recipe.values import shown, validated
from adapt.recipe.wiring import DATA_KINDS, Scope, joint_kind
from adapt.stages import Stage

LARGEST_SEED = 2**32 - 1
MOST_STEPS = 200
MODELS = ("encoder", "cross-encoder")  # kinds of inputs that may be named by a path or a hub name, too


def load(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read, override (`path.to.setting=value`) and check a recipe; raises UserError with every problem at once."""
    file = find(name)
    raw, lines = yaml_lines.load(file)
    return _Reader(file, raw, lines).read(changes)


class _Reader:
    """One reading of one recipe: gathers problems as it goes, raises them together."""

    def __init__(self, file: Path, raw: Any, lines: Mapping[tuple[Any, ...], int]):
        self.file, self.raw = file, raw
        self.problems = Problems(file, lines)
        # What only follows from another problem is no problem of its own: ids of refused steps, and whether a name that nothing
        # here is like may stand for anything.
        self.refused: set[str] = set()
        self.anything = self.any_step = False

    def read(self, changes: Sequence[str]) -> Recipe:
        if not isinstance(self.raw, dict):
            raise UserError(f"{self.file}: a recipe is a mapping with the keys {', '.join(TOP)}")
        for override in changes:
            overrides.apply(override, self.raw, self.problems)
        for key in self.raw:
            if key not in TOP:
                self.problems.say((key,), f"unknown key '{key}'.{did_you_mean(key, TOP)}")
        model, seed = self.raw.get("model"), self.raw.get("seed", 13)
        name, description = self.raw.get("name", self.file.stem), self.raw.get("description", "")
        if not isinstance(model, str) or not model:
            self.problems.say(("model",), "'model' must name the base model, for example all-MiniLM-L6-v2")
        if type(seed) is not int or seed < 0:
            self.problems.say(("seed",), f"'seed' must be a whole number of 0 or more (got {shown(seed)})")
        elif seed > LARGEST_SEED:
            self.problems.say(("seed",), f"'seed' must be {LARGEST_SEED} or less (got {shown(seed)})")
        if wrong := name_problem(name):
            self.problems.say(("name",), f"'name' {wrong}")
        if description is not None and not isinstance(description, str):
            self.problems.say(("description",), f"'description' must be a text (got {shown(description)})")
        data, limit, leaks = data_spec.data(self.raw, self.file, self.problems)
        reading = data_spec.read_settings(self.raw, self.problems)
        specs = data_spec.check_specs(self.raw, self.file, self.problems)
        gate = gate_spec.gate(self.raw, specs, self.problems)
        # Without data every step would lack something: one problem is enough.
        steps = self._steps(data) if isinstance(self.raw.get("data"), dict) else []
        refused = _Everything() if self.any_step else self.refused
        gate_spec.later(steps, gate, self.problems, refused)
        sweep = gate_spec.sweep(self.raw, steps, gate, self.problems, refused)
        self.problems.raise_if_any()
        return Recipe(
            self.file, str(name), description or "", str(model), int(seed), data, limit, specs, gate, steps, sweep, leaks, self.raw,
            reading,
        )  # fmt: skip

    def _steps(self, data: Mapping[str, str]) -> list[Step]:
        section = self.raw.get("stages")
        if not isinstance(section, list) or not section:
            self.problems.say(("stages",), "'stages' must be a list of steps, for example: - tsdae: {epochs: 1}")
            return []
        if len(section) > MOST_STEPS:
            self.problems.say(("stages",), f"{len(section):,} steps are more than {MOST_STEPS}, the most of one recipe")
            return []
        names = [name for name, place in self.raw["data"].items() if name in DATA_KINDS and place is not None]
        for name in self.raw["data"]:
            if name not in data_spec.KEYS:
                near = nearest(str(name), data_spec.KEYS)
                self.anything = self.anything or near is None
                names += [near] if near in DATA_KINDS else []
        scope = Scope(dict.fromkeys(names), None)
        steps: list[Step] = []
        for number, item in enumerate(section):
            before = len(self.problems.found)
            step = self._step(number, item, scope, {s.id for s in steps})
            if step:
                steps.append(step)
                self.refused |= {step.id} if len(self.problems.found) > before else set()
                scope.define(step.id, type(step.stage), None)
            else:
                self._define_refused(item, scope)
        return steps

    def _define_refused(self, item: Any, scope: Scope[None]) -> None:
        """Add what a refused step was meant to make, so that no problem is reported of the steps that use it."""
        word, settings = split_step(item)
        own = settings.get("id") if isinstance(settings, dict) else None
        near = nearest(word, stages.names())
        self.refused |= {name for name in (own, word, near) if isinstance(name, str)}
        if near is None or not isinstance(settings, dict):  # its id, or what it makes, is not known
            self.anything = self.any_step = True
        if near is not None:
            stage = stages.find(near)
            scope.define(own if isinstance(own, str) else _default_id(stage), stage, None)

    def _step(self, number: int, item: Any, scope: Scope[None], used: set[str]) -> Step | None:
        word, settings = split_step(item)
        path = ("stages", number, word)
        if word not in stages.names():
            self.problems.say(path, f"unknown stage '{word}'.{did_you_mean(word, stages.names())}")
            return None
        if not isinstance(settings, dict):
            self.problems.say(path, f"the settings of '{word}' must be a mapping, for example {{epochs: 1}}")
            return None
        stage_class = stages.find(word)
        names = {i.name for i in stage_class.inputs()}
        given: dict[str, Any] = {}
        for key, value in settings.items():
            if key.replace("-", "_") in given:
                self.problems.say((*path, key), f"'{key}' stands twice, once with - and once with _")
            given[key.replace("-", "_")] = value
        step_id = given.pop("id", _default_id(stage_class))
        if wrong := id_problem(step_id, {name for name in scope if name in DATA_KINDS}):
            self.problems.say((*path, "id"), f"a step's id {wrong}")
            return None
        if step_id in used:
            self.problems.say(path, f"two steps are called '{step_id}'; give one an id of its own: {{id: ...}}")
        before = len(self.problems.found)  # of this step none yet, except that its id is taken
        known = [*names, *stage_class.model_fields, "id"]
        unknown = [key for key in settings if key.replace("-", "_") not in known]
        for key in unknown:
            hint = did_you_mean(key.replace("-", "_"), known)
            self.problems.say((*path, key), f"step '{step_id}': unknown setting '{key}'.{hint}")
        for name in names:
            # {pairs: 0.5, pseudo: 0.5}: several sources, each with its share
            if name == "examples" and isinstance(given.get(name), dict) and "shares" in stage_class.model_fields:
                given["shares"] = list(given[name].values())
                if not all(type(share) in (int, float) for share in given["shares"]):
                    problem = f"step '{step_id}': shares of examples: expected a number for each (got {shown(given[name])})"
                    self.problems.say((*path, name), problem)
                    return None
        try:
            stage = validated(stage_class, {k: v for k, v in given.items() if k in stage_class.model_fields})
        except ValidationError as error:
            self.problems.invalid(path, error, stage_class, f"step '{step_id}': ")
            return None
        meant = {nearest(key.replace("-", "_"), known) for key in unknown}
        misspelt = names if None in meant else names & meant
        inputs, kinds, own_models = self._inputs(path, step_id, stage_class, given, scope, misspelt)
        if len(self.problems.found) == before:  # else a setting or an input is not what was meant
            for problem in stage.problems(kinds):
                self.problems.say(path, f"step '{step_id}': {problem}")
        return Step(step_id, stage, inputs, kinds, own_models)

    def _inputs(
        self,
        path,
        step_id: str,
        stage_class: type[Stage],
        given: Mapping[str, Any],
        scope: Scope[None],
        misspelt: Collection[str],
    ):
        """Each input's names: as written, or the first of its own name and its stand-ins that is there and fits.

        `misspelt`: inputs that an unknown setting may stand for.
        """
        found: dict[str, tuple[str, ...]] = {}
        kinds: dict[str, str] = {}
        own_models: dict[str, tuple[str, ...]] = {}
        for want in stage_class.inputs():
            written = given.get(want.name)
            if written is None and want.name in stage_class.explicit_inputs:
                continue
            if written is None:
                chosen = scope.default(want, stage_class)
                if chosen is None:
                    if want.required and want.name not in misspelt and not self.anything:
                        self.problems.say(
                            path, f"step '{step_id}' needs {want.name} ({' or '.join(want.kinds)}), and nothing above makes it"
                        )
                    continue
                found[want.name], kinds[want.name] = (chosen,), str(scope.kind(chosen))
                continue
            names = tuple(written) if isinstance(written, (list, dict)) else (written,)
            is_model = want.kinds[0] in MODELS
            if wrong := self._names_problem(written, names, is_model, want.name == "examples"):
                self.problems.say((*path, want.name), f"step '{step_id}': {want.name} {wrong}")
                continue
            for name in names:
                kind = scope.kind(name)
                if kind is None and is_model and lookup.is_model_name(name, self.file.parent):
                    own_models[name] = (*own_models.get(name, ()), want.kinds[0])
                    kinds[want.name] = want.kinds[0]
                elif kind is None and not self.anything:
                    self.problems.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} '{name}' stands nowhere above.{did_you_mean(name, scope)}",
                    )
                elif kind is not None and kind not in want.kinds:
                    fits = scope.fitting(want)
                    self.problems.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} takes {' or '.join(want.kinds)}, but '{name}' is {kind}."
                        + (f" Fits: {', '.join(sorted(fits))}." if fits else ""),
                    )
                elif kind is not None:
                    kinds[want.name] = joint_kind([kind, kinds.get(want.name, kind)])
            together = {kind for name in names if (kind := scope.kind(name))}
            if len(together) > 1 and together <= set(want.kinds) and together != {"pairs", "triplets"}:
                self.problems.say(
                    (*path, want.name), f"step '{step_id}': {', '.join(names)} are of different kinds and can't be joined"
                )
            found[want.name] = names
        return found, kinds, own_models

    def _names_problem(self, written: Any, names: tuple[Any, ...], is_model: bool, may_have_shares: bool) -> str:
        """What is wrong with how an input is named, whatever the names stand for; "" where nothing is."""
        if not names:
            return "names nothing: leave it out, or give a name"
        if not all(isinstance(name, str) and name for name in names):
            return f"must be a name or a list of names (got {shown(written)})"
        if is_model and isinstance(written, (list, dict)):
            return f"takes one model (got {shown(written)})"
        if isinstance(written, dict) and not may_have_shares:
            return f"must be a name or a list of names (got {shown(written)})"
        if len(set(names)) < len(names):
            return f"names one twice (got {shown(written)})"
        return ""


class _Everything(frozenset[str]):
    """The ids of refused steps where one of them is not known."""

    def __contains__(self, name: object) -> bool:
        return True


def _default_id(stage: type[Stage]) -> str:
    """What a step is called that has no id of its own."""
    # A stage that is called as data are (pairs) goes by what it makes, so that the data keep their name.
    return stage.output_name if stage.name() in DATA_KINDS else stage.name()
