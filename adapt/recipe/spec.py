"""The values of a recipe: base model, data, steps, checks and gate. `loading` makes them from YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Gt, Le
from pydantic import BaseModel, ConfigDict, NonNegativeFloat

from adapt.files.options import ReadOptions
from adapt.stages import Stage

Leaks = Literal["remove", "stop", "allow"]
# The data of a check: a path, or for kinds that have parts (retrieval: folder, pool, at) a mapping of them.
Source = str | dict[str, str | int | list[int] | None]
KEYS = ("name", "description", "model", "seed", "data", "checks", "gate", "stages", "sweep", "max_combinations")


class CheckSpec(BaseModel):
    """A check of a recipe: its data (dev: measured after every step; test: once, at the end) and its role.

    target: the recipe is to improve it; guard: must not fall; golden: only used by `adapt compare --promote`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    kind: str
    dev: Source | None = None
    test: Source | None = None
    role: Literal["target", "guard", "golden"] = "target"

    def sources(self) -> dict[str, Source]:
        """{split: source of its data} of the splits that have data."""
        return {split: source for split, source in (("dev", self.dev), ("test", self.test)) if source is not None}


class GateSpec(BaseModel):
    """The dev metrics that a step must not harm, and the action when it does.

    Metrics are named `check.metric`, or `check.metric[topic]` for the items of one topic. `target` must not fall significantly
    below the model before the step. `guard`: {metric: lower bound of its change against the base model, 0 or less}. `transfer`:
    {metric: weight}, measured on data that shares no row with the training data. `action` when a step fails: blend (interpolate
    the weights with the α of `grid` whose weighted sum of target, transfer and guards is highest), revert, keep (report only),
    or stop (exit code 1). `later`: {step: later step} defers the decision on a step: it is kept if the run with it is better
    after the later step than the run without it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    target: str | None = None
    guard: dict[str, float] = {}
    transfer: dict[str, NonNegativeFloat] = {}
    action: Literal["blend", "revert", "keep", "stop"] = "blend"
    grid: tuple[Annotated[float, Gt(0), Le(1)], ...] = (1.0, 0.75, 0.5, 0.25)
    later: dict[str, str] = {}

    def metrics(self) -> dict[str, tuple[str, ...]]:
        """{metric: the keys where the recipe names it} of every metric that the gate uses."""
        found: dict[str, tuple[str, ...]] = {self.target: ("gate", "target")} if self.target else {}
        found |= {metric: ("gate", "guard", metric) for metric in self.guard}
        return found | {metric: ("gate", "transfer", metric) for metric in self.transfer}


@dataclass(frozen=True)
class Step:
    """One step of a recipe: a stage with its settings, and the names of its inputs."""

    id: str
    stage: Stage
    inputs: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, str] = field(default_factory=dict)  # of the inputs
    models: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # paths and hub names among the inputs → their kinds


@dataclass(frozen=True)
class Recipe:
    """A recipe that has been parsed and checked by `loading.load`."""

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
    sweep: Mapping[tuple[str, str], Sequence[object]] = field(default_factory=dict)  # (step, setting) → values to try
    leaks: Leaks = "remove"  # what to do with training rows that are near-duplicates of dev or test data
    raw: Mapping[str, object] = field(default_factory=dict)
    reading: ReadOptions = field(default_factory=ReadOptions)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # data name → {our column: the file's column}

    def read_options(self, data: str = "") -> ReadOptions:
        """The options for reading one of the data; without a name, those for the checks, whose scores are never rescaled."""
        options = self.reading if data else self.reading.model_copy(update={"score_range": None})
        return options.model_copy(update={"columns": self.columns.get(data, {})})
