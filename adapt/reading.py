"""Check what a recipe says, key by key: gathers every problem with its line, then gives the Recipe or raises them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adapt import checks, stages, yaml_lines
from adapt.errors import UserError, did_you_mean
from adapt.recipe import DATA, LEAKS, TOP, CheckSpec, GateSpec, Recipe, Step, find, shipped_root
from adapt.stages import Stage


def load(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read, override (`path.to.setting=value`) and check a recipe; raises UserError with every problem at once."""
    file = find(name)
    raw, lines = yaml_lines.load(file)
    return _Reader(file, raw, lines).read(overrides)


class _Reader:
    """One reading of one recipe: gathers problems as it goes, raises them together."""

    def __init__(self, file: Path, raw: Any, lines: Mapping[tuple[Any, ...], int]):
        self.file, self.raw, self.lines = file, raw, lines
        self.problems: list[str] = []
        self.changed: set[tuple[Any, ...]] = set()

    def say(self, path: tuple[Any, ...], text: str) -> None:
        """Note a problem at the nearest line that is known for `path`."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.changed:
                self.problems.append(f"--set {'.'.join(map(str, path[:end]))}: {text}")
                return
            if path[:end] in self.lines:
                self.problems.append(f"{self.file} line {self.lines[path[:end]]}: {text}")
                return
        self.problems.append(f"{self.file}: {text}")

    def read(self, overrides: Sequence[str]) -> Recipe:
        if not isinstance(self.raw, dict):
            raise UserError(f"{self.file}: a recipe is a mapping with the keys {', '.join(TOP)}")
        for override in overrides:
            self._override(override)
        for key in self.raw:
            if key not in TOP:
                self.say((key,), f"unknown key '{key}'.{did_you_mean(key, TOP)}")
        model, seed = self.raw.get("model"), self.raw.get("seed", 13)
        if not isinstance(model, str):
            self.say(("model",), "'model' must name the base model, for example all-MiniLM-L6-v2")
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            self.say(("seed",), f"'seed' must be a whole number of 0 or more (got {seed!r})")
        data, limit, leaks = self._data()
        specs = self._checks()
        gate = self._gate(specs)
        steps = self._steps(data)
        self._later(steps, gate)
        sweep = self._sweep(steps, gate)
        if self.problems:
            raise UserError(self.problems)
        return Recipe(
            self.file, str(self.raw.get("name", self.file.stem)), str(self.raw.get("description", "")), str(model), int(seed), data,
            limit, specs, gate, steps, sweep, leaks, self.raw,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ --set

    def _override(self, override: str) -> None:
        where, equals, text = override.partition("=")
        if not equals or not where:
            self.problems.append(f"--set {override}: write path.to.setting=value")
            return
        value = yaml_lines.parse(text)
        if where.split(".")[0] in ("data", "checks", "model"):
            value = _from_here(value)
        place: Any = self.raw
        path: list[Any] = []
        parts = where.split(".")
        for depth, part in enumerate(parts):
            last = depth == len(parts) - 1
            if isinstance(place, list):
                number = self._step_number(place, part)
                if number is None:
                    self.problems.append(f"--set {where}: no step '{part}'.{did_you_mean(part, self._step_ids(place))}")
                    return
                word, settings = _split(place[number])
                settings = dict(settings) if isinstance(settings, dict) else {}
                place[number] = {word: settings}
                place, path = settings, [*path, number, word]
                continue
            path.append(part)
            if last:
                place[part] = value
                self.changed.add(tuple(path))
            else:
                if not isinstance(place.get(part), (dict, list)):
                    place[part] = {} if place.get(part) is None else {"dev": place[part]}
                place = place[part]

    @staticmethod
    def _step_ids(steps: list[Any]) -> list[str]:
        return [str(s.get("id", w)) if isinstance(s, dict) else w for w, s in map(_split, steps)]

    def _step_number(self, steps: list[Any], name: str) -> int | None:
        ids = self._step_ids(steps)
        if name in ids:
            return ids.index(name)
        return int(name) if name.isdigit() and int(name) < len(steps) else None

    # ------------------------------------------------------------------------------------------ data, checks, gate

    def _path(self, path: tuple[Any, ...], value: Any) -> str | None:
        """Where a data path leads: beside the recipe, or (for `corpora/...`) among what ships."""
        if not isinstance(value, str) or not value:
            self.say(path, f"expected a file or folder (got {value!r})")
            return None
        if value.startswith("hf://"):
            return value
        tried = [self.file.parent / Path(value).expanduser(), shipped_root() / value]
        for candidate in tried[: 2 if value.startswith("corpora/") else 1]:
            if candidate.exists():
                return str(candidate.resolve())
        parent = tried[0].parent
        near = [str(Path(value).parent / p.name) for p in parent.iterdir()] if parent.is_dir() else []
        self.say(path, f"no such file or folder: {value} (looked in {parent}).{did_you_mean(value, near, tell_all=False)}")
        return None

    def _data(self) -> tuple[dict[str, str], int | None, Any]:
        section = self.raw.get("data")
        if not isinstance(section, dict):
            self.say(("data",), "'data' must say where the texts, pairs or gold are")
            return {}, None, "remove"
        found, limit, leaks = {}, None, "remove"
        for name, value in section.items():
            if name == "leaks":
                leaks = value
                if value not in LEAKS:
                    self.say(("data", name), f"'leaks' can't be {value!r}.{did_you_mean(str(value), LEAKS)}")
                continue
            if name == "limit":
                limit = value
                if value is not None and (not isinstance(value, int) or value < 1):
                    self.say(("data", name), f"'limit' must be a whole number of 1 or more (got {value!r})")
            elif name not in DATA:
                self.say(("data", name), f"unknown data '{name}'.{did_you_mean(name, [*DATA, 'limit', 'leaks'])}")
            elif value is not None and (place := self._path(("data", name), value)):
                found[name] = place
        return found, limit, leaks

    def _checks(self) -> dict[str, CheckSpec]:
        section = self.raw.get("checks") or {}
        if not isinstance(section, dict):
            self.say(("checks",), "'checks' must be a mapping of names to {dev: ..., test: ..., role: ...}")
            return {}
        found = {}
        for name, value in section.items():
            path = ("checks", name)
            if value is None:  # `--set checks.sts=null` takes a check out
                continue
            if not isinstance(value, dict):
                self.say(path, f"check '{name}' must be a mapping: {{dev: file, test: file, role: target or guard}}")
                continue
            spec = {"kind": checks.kind_of(name), **value}
            if spec["kind"] not in checks.names():
                word = str(value.get("kind", name))
                self.say(
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
                self.say(path, f"check '{name}' has no data: give dev, test or both")
                continue
            try:
                found[name] = CheckSpec.model_validate(spec)
            except ValidationError as error:
                self._invalid(path, error, CheckSpec)
        return found

    def _gate(self, specs: Mapping[str, CheckSpec]) -> GateSpec | None:
        section = self.raw.get("gate")
        if section is None:
            return None
        try:
            gate = GateSpec.model_validate(section)
        except ValidationError as error:
            self._invalid(("gate",), error, GateSpec)
            return None
        for metric, path in gate.metrics().items():
            check = metric.partition(".")[0]
            if check not in specs:
                raw_checks = self.raw.get("checks") or {}
                if check in raw_checks and raw_checks[check] is not None:
                    continue  # its own problem is reported already
                self.say(path, f"'{metric}' names no check of this recipe; write check.metric.{did_you_mean(check, specs)}")
            elif specs[check].role == "golden":
                self.say(path, f"'{metric}': check '{check}' is golden, kept for `adapt compare --promote` alone")
            elif specs[check].dev is None:
                self.say(path, f"'{metric}': the gate decides on dev data, but check '{check}' has none")
        return gate

    # ------------------------------------------------------------------------------------------ steps

    def _steps(self, data: Mapping[str, str]) -> list[Step]:
        section = self.raw.get("stages")
        if not isinstance(section, list) or not section:
            self.say(("stages",), "'stages' must be a list of steps, for example: - tsdae: {epochs: 1}")
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
        word, settings = _split(item)
        path = ("stages", number, word)
        if word not in stages.names():
            self.say(path, f"unknown stage '{word}'.{did_you_mean(word, stages.names())}")
            return None
        if not isinstance(settings, dict):
            self.say(path, f"the settings of '{word}' must be a mapping, for example {{epochs: 1}}")
            return None
        stage_class = stages.find(word)
        names = {i.name for i in stage_class.inputs()}
        given = {k.replace("-", "_"): v for k, v in settings.items()}
        # A stage that is called as data are (pairs) goes by what it makes, so that the data keep their name.
        step_id = str(given.pop("id", stage_class.product if word in DATA else word))
        if step_id in used:
            self.say(path, f"two steps are called '{step_id}'; give one an id of its own: {{id: ...}}")
        for key in settings:
            plain = key.replace("-", "_")
            if plain not in names | set(stage_class.model_fields) | {"id"}:
                hint = did_you_mean(plain, [*names, *stage_class.model_fields, "id"])
                self.say((*path, key), f"step '{step_id}': unknown setting '{key}'.{hint}")
        for name in names:
            # {pairs: 0.5, pseudo: 0.5}: several sources, each with its share
            if name == "examples" and isinstance(given.get(name), dict) and "shares" in stage_class.model_fields:
                given["shares"] = tuple(given[name].values())
        try:
            stage = stage_class.model_validate({k: v for k, v in given.items() if k in stage_class.model_fields})
        except ValidationError as error:
            self._invalid(path, error, stage_class, f"step '{step_id}': ")
            return None
        inputs, kinds = self._inputs(path, step_id, stage_class, given, scope)
        for problem in stage.problems(kinds):
            self.say(path, f"step '{step_id}': {problem}")
        return Step(step_id, stage, inputs, kinds)

    def _later(self, steps: Sequence[Step], gate: GateSpec | None) -> None:
        """A step that is judged later makes an encoder, stands before the step it is judged after, and is named by no other."""
        order = [step.id for step in steps]
        for first, second in (gate.later if gate else {}).items():
            path = ("gate", "later", first)
            for name in (first, second):
                if name not in order:
                    self.say(path, f"'{name}' is no step of this recipe.{did_you_mean(name, order)}")
            if first not in order or second not in order:
                continue
            if order.index(first) >= order.index(second):
                self.say(path, f"'{first}' is to be judged after '{second}', but stands behind it")
            kinds = {step.id: step.stage.makes() for step in steps}
            if {kinds[first], kinds[second]} != {"encoder"}:
                self.say(path, "a step that is judged, and the one it is judged after, must both make an encoder")
            for step in steps:
                if any(first in names for names in step.inputs.values()):
                    self.say(path, f"'{first}' can't be judged later: step '{step.id}' takes it by name")

    def _sweep(self, steps: Sequence[Step], gate: GateSpec | None) -> dict[tuple[str, str], Sequence[Any]]:
        """{(step, setting): values} of `sweep: {step: {setting: [values]}}`, every value checked as if it stood in the step."""
        section = self.raw.get("sweep")
        if section is None:
            return {}
        if gate is None or gate.target is None:
            self.say(("sweep",), "a sweep is decided by the gate's target on dev data; give gate: {target: check.metric}")
        if not isinstance(section, dict) or not all(isinstance(part, dict) for part in section.values()):
            self.say(("sweep",), "'sweep' must be {step: {setting: [values to try]}}")
            return {}
        found: dict[tuple[str, str], Sequence[Any]] = {}
        known = {step.id: step for step in steps}
        for step_id, settings in section.items():
            if step_id not in known:
                self.say(("sweep", step_id), f"'{step_id}' is no step of this recipe.{did_you_mean(step_id, known)}")
                continue
            stage = known[step_id].stage
            for name, values in settings.items():
                path, setting = ("sweep", step_id, name), name.replace("-", "_")
                if setting not in type(stage).model_fields:
                    self.say(path, f"step '{step_id}' has no setting '{name}'.{did_you_mean(setting, type(stage).model_fields)}")
                elif not isinstance(values, list) or not values:
                    self.say(path, f"give a list of values to try (got {values!r})")
                else:
                    for value in values:
                        try:
                            for problem in stage.with_setting(setting, value).problems(known[step_id].kinds):
                                self.say(path, f"step '{step_id}' with {name} {value}: {problem}")
                        except ValidationError as error:
                            self._invalid(path[:-1], error, type(stage), f"step '{step_id}': ")
                    found[step_id, setting] = values
        return found

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
                        self.say(
                            path, f"step '{step_id}' needs {want.name} ({' or '.join(want.kinds)}), and nothing above makes it"
                        )
                    continue
                found[want.name], kinds[want.name] = (chosen,), scope[chosen]
                continue
            names = tuple(map(str, written)) if isinstance(written, (list, dict)) else (str(written),)
            for name in names:
                kind = scope.get(name)
                if kind is None:
                    self.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} '{name}' stands nowhere above.{did_you_mean(name, scope)}",
                    )
                elif kind not in want.kinds:
                    fits = [n for n, k in scope.items() if k in want.kinds]
                    self.say(
                        (*path, want.name),
                        f"step '{step_id}': {want.name} takes {' or '.join(want.kinds)}, but '{name}' is {kind}."
                        + (f" Fits: {', '.join(sorted(fits))}." if fits else ""),
                    )
                else:
                    kinds[want.name] = min(kind, kinds.get(want.name, kind))  # triplets among pairs are pairs
            if len(together := {scope.get(name) for name in names}) > 1 and together != {"pairs", "triplets"}:
                self.say((*path, want.name), f"step '{step_id}': {', '.join(names)} are of different kinds and can't be joined")
            found[want.name] = names
        return found, kinds

    def _invalid(self, path: tuple[Any, ...], error: ValidationError, model: type[BaseModel], lead: str = "") -> None:
        for problem in error.errors():
            key = str(problem["loc"][0]) if problem["loc"] else ""
            where = (*path, *problem["loc"])
            if problem["type"] == "extra_forbidden":
                self.say(where, f"{lead}unknown key '{key}'.{did_you_mean(key, model.model_fields)}")
            elif problem["type"] == "literal_error":
                options = str(problem["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
                self.say(where, f"{lead}{key} can't be {problem['input']!r}.{did_you_mean(str(problem['input']), options)}")
            else:
                self.say(where, f"{lead}{key}: {problem['msg'][0].lower()}{problem['msg'][1:]} (got {problem['input']!r})")


def _from_here(value: Any) -> Any:
    """A value typed on a command line, with the paths in it that lead somewhere made absolute: they start where the user stands."""
    if isinstance(value, dict):
        return {key: _from_here(part) for key, part in value.items()}
    if isinstance(value, str) and Path(value).expanduser().exists():
        return str(Path(value).expanduser().resolve())
    return value


def _split(item: Any) -> tuple[str, Any]:
    """(stage word, settings) of a list item: `tsdae`, or `tsdae: {...}`."""
    if isinstance(item, dict) and len(item) == 1:
        word, settings = next(iter(item.items()))
        return str(word), {} if settings is None else settings
    return (item, {}) if isinstance(item, str) else (str(item), None)
