"""A whole run as one value: what `adapt.run` returns, and `results.json` holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError

from adapt.errors import UserError
from adapt.results.values import (
    CheckInfo,
    Comparison,
    DeferredDecision,
    DevMeasurement,
    Fraction,
    GateDecision,
    InputReport,
    Lock,
    SeedSpread,
    Speed,
    StepResult,
    SweepTrial,
    TopicComparison,
    Value,
    Verdict,
)
from adapt.storage import digests

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 1  # raised when a field is renamed, removed or changes its meaning
FILE = "results.json"


class RunResult(Value):
    """A whole run: `results.json`, and what `adapt.run` returns."""

    schema_version: Literal[1] = 1
    recipe: str
    description: str = ""
    model: str
    seed: int
    final: str  # key of the final model
    changed: bool  # whether the final model is another than the base
    verdict: Verdict
    warnings: tuple[str, ...] = ()
    test: tuple[Comparison, ...] = ()
    topics: tuple[TopicComparison, ...] = ()
    seeds: tuple[SeedSpread, ...] = ()  # of a run with several seeds
    dev: tuple[DevMeasurement, ...] = ()
    gates: tuple[GateDecision, ...] = ()
    deferred: tuple[DeferredDecision, ...] = ()
    sweep: tuple[SweepTrial, ...] = ()
    steps: tuple[StepResult, ...] = ()
    checks: dict[str, CheckInfo] = Field(default_factory=dict)  # without golden ones
    minimum_detectable_effect: dict[str, Fraction] = Field(default_factory=dict)  # on test data, at 80 % power, by metric
    health: dict[str, dict[str, Fraction]] = Field(default_factory=dict)  # {base or step: {name: value}}, see adapt.checks.health
    inputs: tuple[InputReport, ...] = ()
    speed: Speed | None = None
    environment: dict[str, str | int] = Field(default_factory=dict)
    lock: Lock
    seconds: float = 0.0

    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """The run's folder. Raises UserError for a result that is neither from a run nor loaded from one."""
        if self._folder is None:
            raise UserError("this result belongs to no folder; load one with RunResult.load(folder)")
        return self._folder

    @property
    def model_folder(self) -> Path:
        """The final model, as sentence-transformers loads it."""
        return self.folder / "model"

    def in_folder(self, folder: Path) -> RunResult:
        """This result, with the folder of its run."""
        self._folder = folder
        return self

    def save(self, folder: Path) -> None:
        """Write `results.json`, sealed with a digest of its content, into the run's folder."""
        digests.write_verified(folder / FILE, json.loads(self.model_dump_json()))
        self.in_folder(folder)

    @classmethod
    def load(cls, run: str | Path) -> RunResult:
        """The result in a run's folder, or in its `results.json`.

        Raises UserError where there is none, where the file is damaged or changed, or was written by another version.
        """
        file = Path(run) / FILE if Path(run).is_dir() else Path(run)
        if not file.is_file():
            raise UserError(f"{run}: holds no {FILE}; give the folder of a finished run, for example runs/medical-recipe")
        again = "run the recipe again: finished steps are cached"
        try:
            raw = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{file}: is damaged ({error}); {again}") from None
        version = raw.get("schema_version") if isinstance(raw, Mapping) else None
        if version != SCHEMA_VERSION:
            written = "an earlier version of adapt" if version is None else f"another version of adapt (schema {version})"
            raise UserError(f"{file}: was written by {written}; {again}")
        sealed = digests.read_verified(file)
        if sealed is None:
            raise UserError(f"{file}: has changed since it was written; {again}")
        try:
            return cls.model_validate(sealed).in_folder(file.parent)
        except ValidationError as error:
            raise UserError(f"{file}: is no result of a run ({error.errors()[0]['msg']}); {again}") from None

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON Schema of `results.json`."""
        schema = cls.model_json_schema(mode="serialization")
        schema["properties"][digests.DIGEST_KEY] = {"type": "string", "description": "XXH3-128 of all other content"}
        return schema

    # ------------------------------------------------------------------------------------------------ looking things up

    def step(self, name: str) -> StepResult | None:
        """The step of that id."""
        return next((step for step in self.steps if step.id == name and step.stage), None)

    def gate_of(self, step: str | None) -> GateDecision | None:
        """The gate's decision on a step."""
        return next((gate for gate in self.gates if gate.step == step), None)

    def is_main(self, metric: str) -> bool:
        """Whether `check.metric` is its check's main metric, or one that the gate decides by."""
        check, _, name = metric.partition(".")
        known = self.checks.get(check)
        return (known is not None and known.metric == name) or (self.lock.gate is not None and metric in self.lock.gate.metrics())

    @property
    def target(self) -> Comparison | None:
        """The test row that the verdict is about."""
        return next((row for row in self.test if row.metric == self.verdict.target), None)

    @property
    def leaks_removed(self) -> int:
        """Rows of dev or test data that were removed from training."""
        return sum(step.leaks.total for step in self.steps if step.leaks and step.leaks.action == "removed")

    @property
    def leaks_allowed(self) -> int:
        """Rows of dev or test data that were trained on."""
        return sum(step.leaks.total for step in self.steps if step.leaks and step.leaks.action != "removed")

    def to_pandas(self) -> pandas.DataFrame:
        """The test comparison as a data frame, one row a metric. Raises UserError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UserError("to_pandas() needs pandas: pip install pandas") from None
        columns = ["metric", "role", "base", "final", "delta", "low", "high", "p", "outcome"]
        return pandas.DataFrame([row.model_dump() for row in self.test], columns=columns)

    def __repr__(self) -> str:
        row = self.target
        change = f", {row.metric} {row.base:.4f} → {row.final:.4f} ({100 * row.delta:+.1f} points)" if row else ""
        place = f", model in {self.model_folder}" if self._folder else ""
        return f"<RunResult {self.recipe!r}: {self.verdict.outcome}{change}{place}>"

    __str__ = __repr__
