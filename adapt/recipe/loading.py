"""Load a recipe: parse its YAML, apply overrides, check every section, and raise all problems together with their lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from adapt import aliases
from adapt.errors import UserError, did_you_mean
from adapt.recipe import overrides, yaml_lines
from adapt.recipe.catalog import find
from adapt.recipe.data_spec import parse_checks, parse_data
from adapt.recipe.gate_spec import check_deferred, parse_gate, parse_sweep
from adapt.recipe.identifiers import name_problem
from adapt.recipe.problems import KeyPath, Problems
from adapt.recipe.spec import KEYS, Recipe
from adapt.recipe.step_spec import StepParser
from adapt.recipe.values import format_value

MAX_SEED = 2**32 - 1


def load(recipe: str | Mapping[str, object], changes: Sequence[str] = ()) -> Recipe:
    """Parse a recipe, apply overrides (`path.to.setting=value`) and check it; raises UserError with every problem at once.

    `recipe`: a path, the name of one that ships, or a mapping of the form that a file has, whose relative paths start from the
    working directory.
    """
    if isinstance(recipe, Mapping):
        return RecipeParser(Path("recipe"), _plain(recipe), {}).parse(changes)
    file = find(recipe)
    raw, lines = yaml_lines.load(file)
    return RecipeParser(file, raw, lines).parse(changes)


def _plain(value: object) -> object:
    """A copy of a value with the types that YAML gives: dict, list, and paths as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


class RecipeParser:
    """Makes a `Recipe` of the parsed YAML of one file; `lines` maps key paths to line numbers."""

    def __init__(self, file: Path, raw: object, lines: dict[KeyPath, int]):
        if not isinstance(raw, dict):
            raise UserError(f"{file}: a recipe is a mapping with the keys {', '.join(KEYS)}")
        self.file = file
        self.raw: dict[str, object] = raw
        self.problems = Problems(file, lines)

    def parse(self, changes: Sequence[str]) -> Recipe:
        """The recipe with these overrides; raises UserError with every problem."""
        for override in changes:
            overrides.apply(override, self.raw, self.problems)
        for path, text in aliases.rename_in_recipe(self.raw, self.problems.lines, self.problems.overridden):
            self.problems.add(path, text)
        for key in self.raw:
            if key not in KEYS:
                self.problems.add((key,), f"unknown key '{key}'.{did_you_mean(key, KEYS)}")
        model, seed, name, description = self._model(), self._seed(), self._name(), self._description()
        data = parse_data(self.raw, self.file, self.problems)
        checks = parse_checks(self.raw, self.file, self.problems)
        gate = parse_gate(self.raw, checks, self.problems)
        stages = StepParser(self.raw, self.file, self.problems)
        steps = stages.parse()
        check_deferred(steps, gate, self.problems, stages.refused)
        sweep = parse_sweep(self.raw, steps, gate, self.problems, stages.refused)
        self.problems.raise_if_any()
        return Recipe(
            self.file, name, description, model, seed, data.sources, data.limit, checks, gate, steps, sweep, data.leaks, self.raw,
            data.reading, data.columns,
        )  # fmt: skip

    def _model(self) -> str:
        model = self.raw.get("model")
        if isinstance(model, str) and model:
            return model
        self.problems.add(("model",), "'model' must name the base model, for example all-MiniLM-L6-v2")
        return ""

    def _seed(self) -> int:
        seed = self.raw.get("seed", 13)
        if type(seed) is not int or seed < 0:
            self.problems.add(("seed",), f"'seed' must be a whole number of 0 or more (got {format_value(seed)})")
            return 0
        if seed > MAX_SEED:
            self.problems.add(("seed",), f"'seed' must be {MAX_SEED} or less (got {format_value(seed)})")
        return seed

    def _name(self) -> str:
        name = self.raw.get("name", self.file.stem)
        if wrong := name_problem(name):
            self.problems.add(("name",), f"'name' {wrong}")
        return str(name)

    def _description(self) -> str:
        description = self.raw.get("description") or ""
        if isinstance(description, str):
            return description
        self.problems.add(("description",), f"'description' must be a string (got {format_value(description)})")
        return ""
