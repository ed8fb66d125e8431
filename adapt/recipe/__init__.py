"""A recipe as a value: what to start from, which steps to take, how to check, when to stop. `reading` makes it from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le
from pydantic import BaseModel, ConfigDict, NonNegativeFloat

from adapt.errors import UserError, did_you_mean, short
from adapt.files.options import ReadOptions
from adapt.files.paths import existing
from adapt.stages import Stage

PACKAGE = Path(__file__).parent.parent
DATA = {
    "texts": "texts", "corpus": "texts", "gold": "scored", "scored": "scored", "pairs": "pairs", "triplets": "triplets",
    "labelled": "labelled", "parallel": "parallel", "replay": "pairs",
}  # fmt: skip
LEAKS = ("remove", "stop", "allow")
TOP = ("name", "description", "model", "seed", "data", "checks", "gate", "stages", "sweep", "max_combinations")


class CheckSpec(BaseModel):
    """A check of a recipe: data for it (dev after every step, test once at the end) and its role.

    target: what the recipe is to improve; guard: what it must not harm; golden: kept for `adapt compare --promote` alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: str
    dev: str | dict[str, Any] | None = None
    test: str | dict[str, Any] | None = None
    role: Literal["target", "guard", "golden"] = "target"


class GateSpec(BaseModel):
    """What a step's model must not lose, and what happens if it does.

    Metrics are named `check.metric`, or `check.metric[topic]` for the items of one topic. `target` must not fall significantly
    below the model before. `guard`: {metric: the most it may lie below the base model}. `transfer`: {metric: weight}, measured on
    data that no training row comes from. `action` when a step fails: blend (keep the share of its change, out of `grid`, that is
    worth most on target, transfer and guards together), revert, keep (only say so), or stop (exit code 1). `later`: {step: later
    step}: the first is judged after the second, by a run with it and one without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    target: str | None = None
    guard: dict[str, float] = {}
    transfer: dict[str, NonNegativeFloat] = {}
    action: Literal["blend", "revert", "keep", "stop"] = "blend"
    grid: tuple[Annotated[float, Gt(0), Le(1)], ...] = (1.0, 0.75, 0.5, 0.25)
    later: dict[str, str] = {}

    def metrics(self) -> dict[str, tuple[str, ...]]:
        """Every metric the gate looks at → where it is written."""
        found: dict[str, tuple[str, ...]] = {self.target: ("gate", "target")} if self.target else {}
        for part in ("guard", "transfer"):
            found |= {metric: ("gate", part, metric) for metric in getattr(self, part)}
        return found


@dataclass(frozen=True)
class Step:
    """One line of a recipe: a stage with its settings, and the names of what it takes."""

    id: str
    stage: Stage
    inputs: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str] = field(default_factory=dict)  # of the inputs
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # inputs' names that are paths or hub names → their kinds


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
    leaks: Literal["remove", "stop", "allow"] = "remove"  # what becomes of training rows that stand in dev or test data
    raw: Mapping[str, Any] = field(default_factory=dict)
    reading: Mapping[str, Any] = field(default_factory=dict)  # settings of `ReadOptions`; `columns` for each of the data

    def read_options(self, data: str = "") -> ReadOptions:
        """How one of the data is read; without a name, how the checks' are, whose scores are never rescaled."""
        settings = {k: v for k, v in self.reading.items() if k not in ("columns", *(() if data else ("score_range",)))}
        return ReadOptions(**settings, columns=self.reading.get("columns", {}).get(data, {}))


def shipped_root() -> Path:
    """The folder that holds `recipes/` and `corpora/`: inside the package when installed, beside it in a checkout."""
    return PACKAGE if (PACKAGE / "recipes").is_dir() else PACKAGE.parent


def shipped() -> dict[str, Path]:
    """Name → file of every recipe that comes with the package."""
    return {file.stem: file for file in sorted((shipped_root() / "recipes").glob("*.yaml"))}


def find(name: str) -> Path:
    """The file of a recipe: a path, a folder with a recipe.yaml, or the name of one that ships; raises UserError."""
    path = existing(name) if name else None
    if path and path.is_file():
        return path
    if path and path.is_dir() and (inside := existing(path / "recipe.yaml")):
        return inside
    if name in shipped():
        return shipped()[name]
    if path:
        what = "a folder without recipe.yaml" if path.is_dir() else "no regular file"
        raise UserError(f"recipe '{short(name)}': is {what}; give a file, a folder with recipe.yaml, or the name of one that ships")
    raise UserError(f"recipe '{short(name)}': no such file, and none of that name ships.{did_you_mean(name, shipped())}")


def combinations(recipe: Recipe) -> int:
    """How many recipes a sweep stands for; 1 without a sweep."""
    return prod(len(values) for values in recipe.sweep.values())


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


def without(recipe: Recipe, step_id: str) -> tuple[Recipe, list[str]]:
    """The recipe less one step, and the ids of all steps that went: those that can't be carried out without it go too.

    A step that took several inputs goes on with the rest of them; one that took only what is missing takes a stand-in, as if the
    recipe had been written so.
    """
    scope = {name: DATA[name] for name in recipe.data} | {"model": "encoder", "base": "encoder"}
    kept, gone = [], []
    for step in recipe.steps:
        smaller = None if step.id == step_id else _with_what_is_there(step, scope)
        if smaller is None:
            gone.append(step.id)
            continue
        kept.append(smaller)
        scope[step.id] = step.stage.output_kind()
        if step.stage.output_kind() != "encoder":
            scope[step.stage.output_name] = step.stage.output_kind()
    gate = recipe.gate
    if gate is not None:
        gate = gate.model_copy(update={"later": {a: b for a, b in gate.later.items() if a not in gone and b not in gone}})
    return replace(recipe, steps=kept, gate=gate), gone


def _with_what_is_there(step: Step, scope: Mapping[str, str]) -> Step | None:
    """A step that takes only what `scope` holds, or None where it can't."""
    inputs: dict[str, tuple[str, ...]] = {}
    stage = step.stage
    for want in stage.inputs():
        written = step.inputs.get(want.name)
        if written is None:
            continue
        names = tuple(name for name in written if name in scope or name in step.models)
        if not names:
            fitting = (
                n for n in (want.name.replace("_", "-"), *stage.default_inputs.get(want.name, ())) if scope.get(n) in want.kinds
            )
            names = tuple(fitting)[:1]
        if names:
            inputs[want.name] = names
        elif want.required:
            return None
        shares = getattr(stage, "shares", None)
        if want.name == "examples" and shares and names != written:
            left = tuple(share for name, share in zip(written, shares, strict=True) if name in names)
            stage = stage.with_setting("shares", tuple(share / sum(left) for share in left) if len(left) > 1 else None)
    kinds = {name: min(scope.get(n) or step.kinds[name] for n in names) for name, names in inputs.items()}
    return None if stage.problems(kinds) else replace(step, stage=stage, inputs=inputs, kinds=kinds)
