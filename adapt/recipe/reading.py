"""Check what a recipe says, key by key: gathers every problem with its line, then gives the Recipe or raises them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapt import checks, stages
from adapt.errors import UserError, did_you_mean
from adapt.files.opening import exists
from adapt.files.options import ReadOptions
from adapt.recipe import DATA, LEAKS, TOP, CheckSpec, Recipe, Step, deciding, find, overrides, shipped_root, yaml_lines
from adapt.recipe.overrides import split_step
from adapt.recipe.problems import Problems
from adapt.stages import Stage


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

    def read(self, changes: Sequence[str]) -> Recipe:
        if not isinstance(self.raw, dict):
            raise UserError(f"{self.file}: a recipe is a mapping with the keys {', '.join(TOP)}")
        for override in changes:
            overrides.apply(override, self.raw, self.problems)
        for key in self.raw:
            if key not in TOP:
                self.problems.say((key,), f"unknown key '{key}'.{did_you_mean(key, TOP)}")
        model, seed = self.raw.get("model"), self.raw.get("seed", 13)
        if not isinstance(model, str):
            self.problems.say(("model",), "'model' must name the base model, for example all-MiniLM-L6-v2")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            self.problems.say(("seed",), f"'seed' must be a whole number of 0 or more (got {seed!r})")
        data, limit, leaks = self._data()
        reading = self._reading(data)
        specs = self._checks()
        gate = deciding.gate(self.raw, specs, self.problems)
        steps = self._steps(data)
        deciding.later(steps, gate, self.problems)
        sweep = deciding.sweep(self.raw, steps, gate, self.problems)
        if self.problems.found:
            raise UserError(self.problems.found)
        return Recipe(
            self.file, str(self.raw.get("name", self.file.stem)), str(self.raw.get("description", "")), str(model), int(seed), data,
            limit, specs, gate, steps, sweep, leaks, self.raw, reading,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ data, checks

    def _path(self, path: tuple[Any, ...], value: Any) -> str | None:
        """Where a data path leads: beside the recipe, or (for `corpora/...`) among what ships."""
        if not isinstance(value, str) or not value:
            self.problems.say(path, f"expected a file or folder (got {value!r})")
            return None
        if value.startswith("hf://"):
            return value
        tried = [self.file.parent / Path(value).expanduser(), shipped_root() / value]
        for candidate in tried[: 2 if value.startswith("corpora/") else 1]:
            if exists(candidate):
                return str(candidate.resolve())
        parent = tried[0].parent
        near = [str(Path(value).parent / p.name) for p in parent.iterdir()] if exists(parent) and parent.is_dir() else []
        self.problems.say(path, f"no such file or folder: {value} (looked in {parent}).{did_you_mean(value, near, tell_all=False)}")
        return None

    def _data(self) -> tuple[dict[str, str], int | None, Any]:
        section = self.raw.get("data")
        if not isinstance(section, dict):
            self.problems.say(("data",), "'data' must say where the texts, pairs or gold are")
            return {}, None, "remove"
        found, limit, leaks = {}, None, "remove"
        for name, value in section.items():
            if name == "leaks":
                leaks = value
                if value not in LEAKS:
                    self.problems.say(("data", name), f"'leaks' can't be {value!r}.{did_you_mean(str(value), LEAKS)}")
                continue
            if name in ReadOptions.model_fields:  # see `_reading`
                continue
            if name == "limit":
                limit = value
                if value is not None and (not isinstance(value, int) or value < 1):
                    self.problems.say(("data", name), f"'limit' must be a whole number of 1 or more (got {value!r})")
            elif name not in DATA:
                self.problems.say(
                    ("data", name),
                    f"unknown data '{name}'.{did_you_mean(name, [*DATA, 'limit', 'leaks', *ReadOptions.model_fields])}",
                )
            elif value is not None and (place := self._path(("data", name), value)):
                found[name] = place
        return found, limit, leaks

    def _reading(self, data: Mapping[str, str]) -> dict[str, Any]:
        """How the data are read; `columns` is {data: {ours: theirs}}."""
        section = self.raw.get("data")
        found = {k: v for k, v in section.items() if k in ReadOptions.model_fields} if isinstance(section, dict) else {}
        columns: Any = found.get("columns", {})
        if not isinstance(columns, dict) or not all(isinstance(names, dict) for names in columns.values()):
            self.problems.say(("data", "columns"), "'columns' must be {data: {ours: theirs}}, as in {pairs: {anchor: Frage}}")
            columns = {}
        for name in columns:
            if name not in data:
                self.problems.say(("data", "columns", name), f"'{name}' is none of the data.{did_you_mean(str(name), data)}")
        every: list[dict[str, Any]] = [*columns.values()] or [{}]
        for names in every:
            try:
                ReadOptions.model_validate({**found, "columns": names})
            except ValidationError as error:
                self.problems.invalid(("data",), error, ReadOptions)
        return found

    def _checks(self) -> dict[str, CheckSpec]:
        section = self.raw.get("checks") or {}
        if not isinstance(section, dict):
            self.problems.say(("checks",), "'checks' must be a mapping of names to {dev: ..., test: ..., role: ...}")
            return {}
        found = {}
        for name, value in section.items():
            path = ("checks", name)
            if value is None:  # `--set checks.sts=null` takes a check out
                continue
            if not isinstance(value, dict):
                self.problems.say(path, f"check '{name}' must be a mapping: {{dev: file, test: file, role: target or guard}}")
                continue
            spec = {"kind": checks.kind_of(name), **value}
            if spec["kind"] not in checks.names():
                word = str(value.get("kind", name))
                self.problems.say(
                    path, f"check '{name}' is of no known kind; name it ...-KIND or give kind.{did_you_mean(word, checks.names())}"
                )
                continue
            for split in ("dev", "test"):
                source = spec.get(split)
                if isinstance(source, dict):
                    keep = {k: v for k, v in source.items() if k in ("pool", "at")}
                    spec[split] = {k: self._path((*path, split, k), v) for k, v in source.items() if k not in keep} | keep
                elif source is not None:
                    spec[split] = self._path((*path, split), source)
            if value.get("dev") is None and value.get("test") is None:
                self.problems.say(path, f"check '{name}' has no data: give dev, test or both")
                continue
            try:
                found[name] = CheckSpec.model_validate(spec)
            except ValidationError as error:
                self.problems.invalid(path, error, CheckSpec)
        return found

    # ------------------------------------------------------------------------------------------ steps

    def _steps(self, data: Mapping[str, str]) -> list[Step]:
        section = self.raw.get("stages")
        if not isinstance(section, list) or not section:
            self.problems.say(("stages",), "'stages' must be a list of steps, for example: - tsdae: {epochs: 1}")
            return []
        scope = {name: DATA[name] for name in self.raw.get("data") or {} if name in DATA and self.raw["data"][name] is not None}
        scope["model"] = scope["base"] = "encoder"
        steps: list[Step] = []
        for number, item in enumerate(section):
            step = self._step(number, item, scope, {s.id for s in steps})
            if step:
                steps.append(step)
                scope[step.id] = step.stage.makes()
                if step.stage.makes() != "encoder":
                    scope[step.stage.product] = step.stage.makes()
        return steps

    def _step(self, number: int, item: Any, scope: Mapping[str, str], used: set[str]) -> Step | None:
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
        given = {k.replace("-", "_"): v for k, v in settings.items()}
        # A stage that is called as data are (pairs) goes by what it makes, so that the data keep their name.
        step_id = str(given.pop("id", stage_class.product if word in DATA else word))
        if step_id in used:
            self.problems.say(path, f"two steps are called '{step_id}'; give one an id of its own: {{id: ...}}")
        for key in settings:
            plain = key.replace("-", "_")
            if plain not in names | set(stage_class.model_fields) | {"id"}:
                hint = did_you_mean(plain, [*names, *stage_class.model_fields, "id"])
                self.problems.say((*path, key), f"step '{step_id}': unknown setting '{key}'.{hint}")
        for name in names:
            # {pairs: 0.5, pseudo: 0.5}: several sources, each with its share
            if name == "examples" and isinstance(given.get(name), dict) and "shares" in stage_class.model_fields:
                given["shares"] = tuple(given[name].values())
        try:
            stage = stage_class.model_validate({k: v for k, v in given.items() if k in stage_class.model_fields})
        except ValidationError as error:
            self.problems.invalid(path, error, stage_class, f"step '{step_id}': ")
            return None
        inputs, kinds = self._inputs(path, step_id, stage_class, given, scope)
        for problem in stage.problems(kinds):
            self.problems.say(path, f"step '{step_id}': {problem}")
        return Step(step_id, stage, inputs, kinds)

    def _inputs(self, path, step_id: str, stage_class: type[Stage], given: Mapping[str, Any], scope: Mapping[str, str]):
        """Each input's names: as written, or the first of its own name and its stand-ins that is there and fits."""
        found: dict[str, tuple[str, ...]] = {}
        kinds: dict[str, str] = {}
        for want in stage_class.inputs():
            written = given.get(want.name)
            if written is None and want.name in stage_class.on_request:
                continue
            if written is None:
                own = want.name.replace("_", "-")
                chosen = next((n for n in (own, *stage_class.stand_ins.get(want.name, ())) if scope.get(n) in want.kinds), None)
                if chosen is None:
                    if want.required:
                        self.problems.say(
                            path, f"step '{step_id}' needs {want.name} ({' or '.join(want.kinds)}), and nothing above makes it"
                        )
                    continue
                found[want.name], kinds[want.name] = (chosen,), scope[chosen]
                continue
            names = tuple(map(str, written)) if isinstance(written, (list, dict)) else (str(written),)
            for name in names:
                kind = scope.get(name)
                if kind is None:
                    self.problems.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} '{name}' stands nowhere above.{did_you_mean(name, scope)}",
                    )
                elif kind not in want.kinds:
                    fits = [n for n, k in scope.items() if k in want.kinds]
                    self.problems.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} takes {' or '.join(want.kinds)}, but '{name}' is {kind}."
                        + (f" Fits: {', '.join(sorted(fits))}." if fits else ""),
                    )
                else:
                    kinds[want.name] = min(kind, kinds.get(want.name, kind))  # triplets among pairs are pairs
            if len(together := {scope.get(name) for name in names}) > 1 and together != {"pairs", "triplets"}:
                self.problems.say(
                    (*path, want.name), f"step '{step_id}': {', '.join(names)} are of different kinds and can't be joined"
                )
            found[want.name] = names
        return found, kinds
