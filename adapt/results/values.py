"""The parts of a run's result.

Metrics and differences are fractions (0.01 is one point). A value that is undefined (a correlation with constant scores) is NaN
here and null in JSON.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PlainSerializer

from adapt.models.coverage import Coverage
from adapt.recipe import GateSpec

Role = Literal["target", "guard", "golden", ""]  # "" where models are compared without a recipe
Outcome = Literal["better", "same", "worse", "forgetting", "unmeasured"]
LeakAction = Literal["removed", "allowed", "transductive"]  # transductive: texts without labels were trained on
Fraction = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: None if math.isnan(value) else value, return_type=float | None, when_used="json"),
]
PValue = Annotated[float | None, BeforeValidator(lambda value: None if value is None or math.isnan(value) else value)]
Metrics = dict[str, dict[str, Fraction]]  # {check: {metric: value}}


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckInfo(Value):
    """A check of the recipe: its kind, its role, and its main metric, which is meant where none is named."""

    kind: str
    role: Role
    metric: str
    synthetic: bool = False  # its queries are sentences of the texts themselves (`adapt hold-out`)


class Difference(Value):
    """A paired difference with its 95 % bootstrap interval and p; `outcome`: whether the interval lies above, below or around 0."""

    delta: Fraction
    low: Fraction
    high: Fraction
    p: Fraction
    outcome: Outcome
    p_corrected: PValue = None  # Holm's correction over the family that it belongs to


class Comparison(Difference):
    """One metric (`check.metric`) on the same data: the base model's value, the final model's, and their paired difference."""

    metric: str
    role: Role
    base: Fraction
    final: Fraction


class TopicComparison(Difference):
    """The paired difference of a check's main metric on the items of one topic; `outcome` is by the corrected p."""

    metric: str
    topic: str
    items: int


class LeakCounts(Value):
    """Rows of a step that share something with dev or test data: what was done with them, and how many of each kind."""

    action: LeakAction
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class StepResult(Value):
    """One artifact of a run: data that was read (`stage` is None), or what a stage made."""

    id: str
    stage: str | None = None
    key: str
    folder: str  # of the artifact, inside the run's folder
    cached: bool
    reason: str = Field(description="why it was computed, in a few words; 'cached' where it was not")
    seconds: float  # of the step's own work, when it was done
    wall_seconds: float = 0.0  # of this run, checks included
    peak_memory_mb: float | None = None
    counts: dict[str, JsonValue] = {}
    leaks: LeakCounts | None = None

    @property
    def rows(self) -> int | None:
        found = self.counts.get("rows")
        return found if isinstance(found, int) else None


class GateTrial(Value):
    """The gate's rule at one share `alpha` of a step's change: old + alpha * (new - old)."""

    alpha: float
    outcome: Outcome
    explanation: str
    passes: bool
    gain: float  # of the target over the previous model, plus weighted transfer metrics
    guard_loss: float  # how far guards lie below the base model, summed
    p: PValue = None

    @property
    def net_gain(self) -> float:
        """What blends are chosen by: a point lost on a guard costs a point of the target."""
        return self.gain - self.guard_loss


class GateDecision(Value):
    """What the gate did with a step's model; `alpha` is the share of the step's change that was kept."""

    step: str
    key: str
    cached: bool
    alpha: float
    trials: tuple[GateTrial, ...]  # the first is of the whole step (alpha 1)

    @property
    def trial(self) -> GateTrial:
        """The trial of what was kept; the whole step's where nothing was."""
        return next((trial for trial in self.trials if trial.alpha == self.alpha), self.trials[0])

    @property
    def action(self) -> str:
        """kept, blended (α = ...) or reverted."""
        return "kept" if self.alpha == 1 else "reverted" if self.alpha == 0 else f"blended (α = {self.alpha:g})"


class DevMeasurement(Value):
    """A model on dev data. `after`: the step that it follows, None for the base; `gated`: as the gate left it."""

    after: str | None
    gated: bool = False
    model: Literal["encoder", "cross-encoder"] = "encoder"
    metrics: Metrics
    differences: dict[str, Difference] = {}  # {check.metric: change from the model that the step started from}

    @property
    def name(self) -> str:
        return "base" if self.after is None else f"{self.after}, after the gate" if self.gated else self.after


class SweepTrial(Difference):
    """One combination of a sweep's settings, compared with the first on dev data."""

    settings: dict[str, JsonValue]
    metric: str
    value: Fraction
    chosen: bool


class DeferredDecision(Value):
    """A step judged after a later one: the run with it against the run without it, on dev data."""

    step: str
    after: str
    kept: bool
    trial: GateTrial

    @property
    def action(self) -> str:
        return "kept" if self.kept else "left out"


class SeedSpread(Value):
    """The test differences of one metric over several seeds: mean and standard deviation (n - 1)."""

    metric: str
    role: Role
    deltas: dict[int, Fraction]
    mean: Fraction
    sd: Fraction


class InputReport(Value):
    """What reading one source of data noted, and how the base model's tokenizer covers its texts (None without a tokenizer)."""

    source: str
    notes: tuple[str, ...] = ()
    skipped: int = 0  # bad rows
    rejected: str = ""  # the file inside the run's folder that holds the skipped rows of a check's data
    coverage: Coverage | None = None


class Speed(Value):
    """Encoding speed and size of the final model."""

    latency_ms_p50: float
    latency_ms_p95: float
    texts_per_second: float
    dimensions: int
    device: str
    megabytes: float
    parameters: int | None = None


class Verdict(Value):
    """One word and one sentence on a whole run; `target` is the metric that both are about, where one was measured."""

    outcome: Outcome
    sentence: str
    target: str | None = None


class LockedData(Value):
    rows: int | None
    key: str


class LockedStep(Value):
    id: str
    stage: str
    key: str
    settings: dict[str, JsonValue]


class Lock(Value):
    """What `recipe.lock.yaml` holds: the recipe with every default filled in, keys, and the versions it ran with."""

    name: str
    model: str
    model_key: str
    seed: int
    data: dict[str, LockedData]
    steps: tuple[LockedStep, ...]
    gate: GateSpec | None
    versions: dict[str, str]
