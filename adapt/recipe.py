"""A recipe as a value: what to start from, which steps to take, how to check, when to stop. `adapt.reading` makes it from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from adapt.errors import UserError, did_you_mean
from adapt.stages import Stage

PACKAGE = Path(__file__).parent
DATA = {
    "texts": "texts", "corpus": "texts", "gold": "scored", "scored": "scored", "pairs": "pairs", "triplets": "triplets",
    "labelled": "labelled", "parallel": "parallel", "replay": "pairs",
}  # fmt: skip
TOP = ("name", "description", "model", "seed", "data", "checks", "gate", "stages", "sweep")


class CheckSpec(BaseModel):
    """A check of a recipe: data for it (dev after every step, test once at the end) and its role."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: str
    dev: str | dict[str, Any] | None = None
    test: str | dict[str, Any] | None = None
    role: Literal["target", "guard"] = "target"


class GateSpec(BaseModel):
    """What a step's model must not lose, and what happens if it does.

    `target`: a metric that must not fall significantly below the model before. `guard`: {metric: the most it may lie below
    the base model}. `action` when it fails: blend (half way back to the model before, then a quarter, then none of the step),
    revert, keep (only say so), or stop (exit code 1).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    target: str | None = None
    guard: dict[str, float] = {}
    action: Literal["blend", "revert", "keep", "stop"] = "blend"


@dataclass(frozen=True)
class Step:
    """One line of a recipe: a stage with its settings, and the names of what it takes."""

    id: str
    stage: Stage
    inputs: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str] = field(default_factory=dict)  # of the inputs


@dataclass(frozen=True)
class Recipe:
    """What a user wrote, checked: see `load`."""

    file: Path
    name: str
    description: str
    model: str
    seed: int
    data: Mapping[str, str]
    limit: int | None
    checks: Mapping[str, CheckSpec]
    gate: GateSpec | None
    steps: Sequence[Step]
    sweep: Mapping[tuple[str, str], Sequence[Any]] = field(default_factory=dict)  # (step, setting) → values to try on dev
    raw: Mapping[str, Any] = field(default_factory=dict)


def shipped_root() -> Path:
    """The folder that holds `recipes/` and `corpora/`: inside the package when installed, beside it in a checkout."""
    return PACKAGE if (PACKAGE / "recipes").is_dir() else PACKAGE.parent


def shipped() -> dict[str, Path]:
    """Name → file of every recipe that comes with the package."""
    return {file.stem: file for file in sorted((shipped_root() / "recipes").glob("*.yaml"))}


def find(name: str) -> Path:
    """The file of a recipe: a path, a folder with a recipe.yaml, or the name of one that ships; raises UserError."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if (path / "recipe.yaml").is_file():
        return path / "recipe.yaml"
    if name in shipped():
        return shipped()[name]
    raise UserError(f"recipe '{name}': no such file, and none of that name ships.{did_you_mean(name, shipped())}")


def variants(recipe: Recipe) -> list[tuple[dict[str, Any], Recipe]]:
    """({step.setting: value}, recipe) for every combination of a sweep's values, in the order written; each without a sweep."""
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
