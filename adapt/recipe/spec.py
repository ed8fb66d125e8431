"""A recipe as a value: the base model, the data, the steps, the checks and the gate. `loading` makes it from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Gt, Le
from pydantic import BaseModel, ConfigDict, NonNegativeFloat

from adapt.files.options import ReadOptions
from adapt.stages import Stage

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
