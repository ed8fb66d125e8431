"""What a run returns and `results.json` holds: typed values, the only source of console, report, model card and command line.

Metrics and differences are fractions (0.01 is one point). A metric that is undefined (a correlation with constant scores) is NaN
here and null in JSON.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, PlainSerializer

SCHEMA_VERSION = 1  # raised when a field is renamed, removed or changes its meaning

Role = Literal["target", "guard", "golden"]
Outcome = Literal["better", "same", "worse", "forgetting", "unmeasured"]
Fraction = Annotated[
    float,
    BeforeValidator(lambda value: math.nan if value is None else value),
    PlainSerializer(lambda value: None if math.isnan(value) else value, return_type=float | None, when_used="json"),
]
Metrics = dict[str, dict[str, Fraction]]  # {check: {metric: value}}


class Value(BaseModel):
    """A frozen value that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CheckInfo(Value):
    """A check of the recipe: its kind, its role, and the metric that tables and gates mean when none is named."""

    kind: str
    role: Role
    metric: str
    synthetic: bool = False  # its questions were cut out of the texts (`adapt hold-out`)


class Difference(Value):
    """A paired difference with its 95 % bootstrap interval and p; `outcome`: whether the interval lies above, below or around 0."""

    delta: Fraction
    low: Fraction
    high: Fraction
    p: Fraction
    outcome: Outcome
    p_corrected: Fraction | None = None  # Holm's correction over the family that it belongs to


class LeakCounts(Value):
    """Rows of a step that share something with dev or test data: what was done with them, and how many of each kind."""

    action: Literal["removed", "allowed", "transductive"]
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class StepResult(Value):
    """One artifact of a run: data that was read, or what a stage made."""

    id: str
    kind: Literal["data", "stage"]
    stage: str | None = None
    key: str
    folder: str  # of the artifact, inside the run's folder
    cached: bool
    reason: str = Field(description="why it was computed, in a few words; 'cached' where it was not")
    seconds: float
    wall_seconds: float = 0.0
    counts: dict[str, JsonValue] = {}
    leaks: tuple[LeakCounts, ...] = ()

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
    p: Fraction | None = None


class GateDecision(Value):
    """What the gate did with a step's model."""

    step: str
    key: str
    cached: bool
    action: Literal["kept", "blended", "reverted"]
    alpha: float
    trials: tuple[GateTrial, ...]

    @property
    def trial(self) -> GateTrial:
        """The trial of what was kept; the whole step's where nothing was."""
        return next((trial for trial in self.trials if trial.alpha == self.alpha), self.trials[0])

    @property
    def description(self) -> str:
        """The action in words."""
        return f"blended (α = {self.alpha:g})" if self.action == "blended" else self.action


class DevMeasurement(Value):
    """A model on dev data. `after`: the step that it follows, None for the base; `gated`: as the gate left it."""

    after: str | None
    gated: bool = False
    model: Literal["encoder", "cross-encoder"] = "encoder"
    metrics: Metrics
    differences: dict[str, Difference] = {}  # {check.metric: change from the model that the step started from}


class TestComparison(Difference):
    """One metric (`check.metric`) on test data: the base model's value, the final model's, and their paired difference."""

    __test__ = False  # no test class of pytest's
    metric: str
    role: Role
    base: Fraction
    final: Fraction


class TopicComparison(Difference):
    """The paired difference of a check's main metric on the items of one topic."""

    metric: str
    topic: str
    items: int


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


class SeedSpread(Value):
    """The test differences of one metric over several seeds: mean and standard deviation (n - 1)."""

    metric: str
    role: Role
    deltas: dict[int, Fraction]
    mean: Fraction
    sd: Fraction


class InputReport(Value):
    """What reading one source of data noted, and how the base model's tokenizer covers its texts (shares, 0 to 1)."""

    source: str
    notes: tuple[str, ...] = ()
    skipped: int = 0
    rejected: str = ""  # the file that holds skipped rows
    texts: int | None = None
    sampled: int | None = None
    unknown: float | None = None  # share of tokens that are unknown
    truncated: float | None = None  # share of texts longer than the model reads
    empty: float | None = None
    max_length: int | None = None


class Speed(Value):
    """Encoding speed and size of the final model."""

    latency_ms_p50: float
    latency_ms_p95: float
    texts_per_second: float
    dimensions: int
    device: str
    megabytes: float
    parameters: int


class Verdict(Value):
    """One word and one sentence on a whole run."""

    outcome: Outcome
    sentence: str
    target: str | None = None  # the metric that it speaks of
    p: Fraction | None = None
    seeds: tuple[int, ...] = ()
    leaks_removed: int = 0
    leaks_allowed: int = 0


class RunResult(Value):
    """A whole run: `results.json`, and what `adapt.run` returns."""

    schema_version: Literal[1] = 1
    recipe: str
    description: str = ""
    model: str
    seed: int
    final: str  # key of the final model
    changed: bool  # whether the final model is another than the base
    steps: tuple[StepResult, ...] = ()
    gates: tuple[GateDecision, ...] = ()
    dev: tuple[DevMeasurement, ...] = ()
    test: tuple[TestComparison, ...] = ()
    topics: tuple[TopicComparison, ...] = ()
    sweep: tuple[SweepTrial, ...] = ()
    deferred: tuple[DeferredDecision, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()
    minimum_detectable_effect: dict[str, Fraction] = {}  # at 80 % power, by metric
    health: dict[str, dict[str, Fraction]] = {}  # of each model's embedding space, see adapt.checks.health
    inputs: tuple[InputReport, ...] = ()
    warnings: tuple[str, ...] = ()
    verdict: Verdict
    checks: dict[str, CheckInfo] = {}
    speed: Speed | None = None
    environment: dict[str, JsonValue] = {}
    lock: dict[str, JsonValue] = {}
    seconds: float = 0.0

    def gate_of(self, step: str) -> GateDecision | None:
        return next((gate for gate in self.gates if gate.step == step), None)

    def is_main(self, metric: str) -> bool:
        """Whether `check.metric` is its check's main metric, or one that the gate decides by."""
        check, _, name = metric.partition(".")
        known = self.checks.get(check)
        return (known is not None and known.metric == name) or metric in self.gate_metrics

    @property
    def gate_metrics(self) -> tuple[str, ...]:
        """The metrics that the gate decides by, from the lock."""
        gate = self.lock.get("gate")
        if not isinstance(gate, Mapping):
            return ()
        target, guard = gate.get("target"), gate.get("guard")
        return tuple(str(name) for name in (target, *(guard if isinstance(guard, Mapping) else ())) if name)

    def target_row(self) -> TestComparison | None:
        """The test row that the verdict speaks of."""
        return next((row for row in self.test if row.metric == self.verdict.target), None)
