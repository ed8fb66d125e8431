"""Parse the section `stages` of a recipe: the stage, settings and inputs of every step."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from adapt import aliases, stages
from adapt.errors import closest, did_you_mean
from adapt.models import lookup
from adapt.recipe.data_spec import DATA_KEYS
from adapt.recipe.identifiers import id_problem
from adapt.recipe.overrides import split_step
from adapt.recipe.problems import KeyPath, Problems
from adapt.recipe.spec import Step
from adapt.recipe.values import format_value, validate
from adapt.recipe.wiring import DATA_KINDS, Scope, joint_kind
from adapt.stages import Input, Stage

MAX_STEPS = 200
MODEL_KINDS = ("encoder", "cross-encoder")  # inputs of these kinds may also be a path or a hub name


class RefusedSteps:
    """Ids of steps with problems of their own. What follows from such a problem, in another step or section, is not reported."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.any_id = False  # the id of a refused step is not known

    def __contains__(self, step_id: object) -> bool:
        return self.any_id or step_id in self.ids


class StepParser:
    """Parses the steps of one recipe in order; every step sees the names that the data and the steps before it define."""

    def __init__(self, raw: Mapping[str, object], file: Path, problems: Problems):
        self.raw, self.file, self.problems = raw, file, problems
        self.refused = RefusedSteps()
        self.any_name = False  # a misspelt part of the recipe may define any name: undefined ones are not reported
        self.scope: Scope[None] = Scope({}, None)

    def parse(self) -> list[Step]:
        """The valid steps; errors are added to `problems`."""
        data, section = self.raw.get("data"), self.raw.get("stages")
        if not isinstance(data, dict):
            return []  # reported by `parse_data`; every step would lack an input
        if not isinstance(section, list) or not section:
            self.problems.add(("stages",), "'stages' must be a list of steps, for example: - tsdae: {epochs: 1}")
            return []
        if len(section) > MAX_STEPS:
            self.problems.add(("stages",), f"{len(section):,} steps are more than the maximum of {MAX_STEPS}")
            return []
        self.scope = Scope(dict.fromkeys(self._data_names(data)), None)
        steps: list[Step] = []
        for number, item in enumerate(section):
            before = len(self.problems.messages)
            step = self._step(number, item, {step.id for step in steps})
            if step is None:
                self._define_refused(item)
                continue
            steps.append(step)
            if len(self.problems.messages) > before:
                self.refused.ids.add(step.id)
            self.scope.define(step.id, type(step.stage), None)
        return steps

    def _data_names(self, data: Mapping[str, object]) -> list[str]:
        """The names that the section `data` defines, a misspelt one as the name that it is most similar to."""
        names = [name for name, place in data.items() if name in DATA_KINDS and place is not None]
        for name in data:
            if name not in DATA_KEYS:
                similar = closest(name, DATA_KEYS)
                self.any_name = self.any_name or similar is None
                names += [similar] if similar in DATA_KINDS else []
        return names

    def _define_refused(self, item: object) -> None:
        """Define the output of a step that is refused, so that the steps that use it are not reported, too."""
        word, settings = split_step(item)
        own_id = settings.get("id") if isinstance(settings, dict) else None
        similar = closest(word, stages.names())
        self.refused.ids |= {name for name in (own_id, word, similar) if isinstance(name, str)}
        if similar is None or not isinstance(settings, dict):  # its id, or its output, is not known
            self.any_name = self.refused.any_id = True
        if similar is not None:
            stage = stages.find(similar)
            self.scope.define(own_id if isinstance(own_id, str) else default_id(stage), stage, None)

    def _step(self, number: int, item: object, used_ids: Collection[str]) -> Step | None:
        word, settings = split_step(item)
        path: KeyPath = ("stages", number, word)
        if word not in stages.names():
            self.problems.add(path, f"unknown stage '{word}'.{did_you_mean(word, stages.names())}")
            return None
        if not isinstance(settings, dict):
            self.problems.add(path, f"the settings of '{word}' must be a mapping, for example {{epochs: 1}}")
            return None
        stage_class = stages.find(word)
        input_names = {want.name for want in stage_class.inputs()}
        given: dict[str, object] = {}
        for key, value in settings.items():
            if key.replace("-", "_") in given:
                self.problems.add((*path, key), f"duplicate key '{key}', once with - and once with _")
            given[key.replace("-", "_")] = value
        step_id = given.pop("id", default_id(stage_class))
        if wrong := id_problem(step_id, {name for name in self.scope if name in DATA_KINDS}):
            self.problems.add((*path, "id"), f"a step's id {wrong}")
            return None
        assert isinstance(step_id, str)
        if step_id in used_ids:
            self.problems.add(path, f"duplicate step id '{step_id}'; give one of the steps another: {{id: ...}}")
        before = len(self.problems.messages)  # of this step none yet, except that its id is taken
        known = [*input_names, *stage_class.model_fields, "id"]
        unknown = [key for key in settings if key.replace("-", "_") not in known]
        for key in unknown:
            hint = did_you_mean(key.replace("-", "_"), [*known, *aliases.of_stage(word)])
            self.problems.add((*path, key), f"step '{step_id}': unknown setting '{key}'.{hint}")
        examples = given.get("examples")
        if "examples" in input_names and isinstance(examples, dict) and "shares" in stage_class.model_fields:
            # {pairs: 0.5, pseudo: 0.5}: several sources, each with its share of the batches
            given["shares"] = list(examples.values())
            if not all(type(share) in (int, float) for share in examples.values()):
                problem = f"step '{step_id}': shares of examples: expected a number for each (got {format_value(examples)})"
                self.problems.add((*path, "examples"), problem)
                return None
        try:
            stage = validate(stage_class, {k: v for k, v in given.items() if k in stage_class.model_fields})
        except ValidationError as error:
            self.problems.add_validation_error(path, error, stage_class, f"step '{step_id}': ")
            return None
        similar = {closest(key.replace("-", "_"), known) for key in unknown}
        misspelt = input_names if None in similar else input_names & similar
        step = self._wire(path, step_id, stage, given, misspelt)
        if len(self.problems.messages) == before:  # otherwise a setting or an input is not the intended one
            for problem in stage.problems(step.kinds):
                self.problems.add(path, f"step '{step_id}': {problem}")
        return step

    def _wire(self, path: KeyPath, step_id: str, stage: Stage, given: Mapping[str, object], misspelt: Collection[str]) -> Step:
        """The step with the names of its inputs: those that the recipe gives, else the default.

        `misspelt`: inputs that an unknown setting may be meant for; they are not reported as missing.
        """
        inputs: dict[str, tuple[str, ...]] = {}
        kinds: dict[str, str] = {}
        models: dict[str, tuple[str, ...]] = {}
        for want in stage.inputs():
            written = given.get(want.name)
            if written is not None:
                where: KeyPath = (*path, want.name)
                names = tuple(written) if isinstance(written, (list, dict)) else (written,)
                if wrong := _names_problem(written, names, want):
                    self.problems.add(where, f"step '{step_id}': {want.name} {wrong}")
                    continue
                inputs[want.name] = names
                self._resolve(where, step_id, want, names, kinds, models)
            elif want.name not in stage.explicit_inputs:
                if default := self.scope.default(want, type(stage)):
                    inputs[want.name], kinds[want.name] = (default,), str(self.scope.kind(default))
                elif want.required and want.name not in misspelt and not self.any_name:
                    needed = f"{want.name} ({' or '.join(want.kinds)})"
                    self.problems.add(path, f"step '{step_id}' needs {needed}; no earlier step produces it, and 'data' has none")
        return Step(step_id, stage, inputs, kinds, models)

    def _resolve(
        self,
        where: KeyPath,
        step_id: str,
        want: Input,
        names: tuple[str, ...],
        kinds: dict[str, str],
        models: dict[str, tuple[str, ...]],
    ) -> None:
        """Look up the names that a recipe gives for one input; adds their joint kind to `kinds`, models by path to `models`."""
        prefix = f"step '{step_id}': "
        for name in names:
            kind = self.scope.kind(name)
            if kind is None and want.kinds[0] in MODEL_KINDS and lookup.is_model_name(name, self.file.parent):
                models[name] = (*models.get(name, ()), want.kinds[0])
                kinds[want.name] = want.kinds[0]
            elif kind is None and not self.any_name:
                hint = did_you_mean(name, self.scope)
                self.problems.add(where, f"{prefix}{want.name}: '{name}' is not defined by 'data' or an earlier step.{hint}")
            elif kind is not None and kind not in want.kinds:
                fitting = sorted(self.scope.fitting(want))
                hint = f" Fits: {', '.join(fitting)}." if fitting else ""
                self.problems.add(where, f"{prefix}{want.name} takes {' or '.join(want.kinds)}, but '{name}' is {kind}.{hint}")
            elif kind is not None:
                kinds[want.name] = joint_kind([kind, kinds.get(want.name, kind)])
        together = {kind for name in names if (kind := self.scope.kind(name))}
        if len(together) > 1 and together <= set(want.kinds) and together != {"pairs", "triplets"}:
            self.problems.add(where, f"{prefix}{', '.join(names)} are of different kinds and can't be joined")


def default_id(stage: type[Stage]) -> str:
    """The id of a step that has none of its own: the stage's name, or its output's where data have the stage's name (pairs)."""
    return stage.output_name if stage.name() in DATA_KINDS else stage.name()


def _names_problem(written: object, names: tuple[object, ...], want: Input) -> str:
    """Why an input can't be written so, whatever the names refer to; "" where it can."""
    if not names:
        return "is empty: remove it, or give a name"
    if not all(isinstance(name, str) and name for name in names):
        return f"must be a name or a list of names (got {format_value(written)})"
    if want.kinds[0] in MODEL_KINDS and isinstance(written, (list, dict)):
        return f"takes one model (got {format_value(written)})"
    if isinstance(written, dict) and want.name != "examples":
        return f"must be a name or a list of names (got {format_value(written)})"
    if len(set(names)) < len(names):
        return f"contains a name twice (got {format_value(written)})"
    return ""
