"""Executes the plan of one recipe: computes what is not cached, measures every model on dev data, applies the gate."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import ConfigDict, Field, JsonValue

from adapt import checks, files
from adapt.checks import Measurement, leakage
from adapt.checks.statistics import minimum_detectable_effect
from adapt.errors import UserError
from adapt.inference import embedding_cache, memory
from adapt.job import Event, Job, Listener
from adapt.models import lookup
from adapt.pipeline import gate, input_report, stage_runner, training_data
from adapt.pipeline.comparison import is_undefined
from adapt.pipeline.evaluation import Evaluator
from adapt.pipeline.plan import Plan, PlannedArtifact
from adapt.recipe import Recipe
from adapt.records import ConcatSequence, CrossEncoder, Encoder, Record
from adapt.results import GateDecision, GateTrial, InputReport, LeakCounts, StepResult
from adapt.results.values import Value
from adapt.runtime.precision import resolve
from adapt.storage.store import Store

FILES = {
    "texts": "texts.jsonl", "pairs": "pairs.jsonl", "scored": "scored.csv", "triplets": "triplets.jsonl",
    "labelled": "labelled.csv", "parallel": "parallel.jsonl",
}  # fmt: skip
Output = Encoder | CrossEncoder | Path  # of a step: a model, or a file of records


class StepReceipt(Value):
    """What the receipt of data or a stage's output holds beside its files."""

    model_config = ConfigDict(extra="ignore")
    seconds: float
    peak_memory_mb: float | None = None
    counts: dict[str, JsonValue] = Field(default_factory=dict)
    leaks: LeakCounts | None = None


class GateReceipt(Value):
    """What the receipt of a gate holds beside its files."""

    model_config = ConfigDict(extra="ignore")
    alpha: float
    trials: tuple[GateTrial, ...]


class Executor:
    """The steps of one recipe in one run folder: what was computed, and what was measured of it."""

    def __init__(self, recipe: Recipe, store: Store, plan: Plan, listener: Listener):
        self.recipe, self.store, self.plan, self.listener = recipe, store, plan, listener
        self.job = Job(recipe.seed, store.root, store.root, listener, embedding_cache=store.root / "vectors" / resolve())
        self.evaluator = Evaluator(recipe, store.root, self.job)
        self.outputs: dict[str, Output] = {**plan.other_models, plan.base: Encoder(plan.folder)}  # {key: output}, as below
        self.measured: dict[str, dict[str, Measurement]] = {}  # on dev data
        self.health: dict[str, dict[str, float]] = {}  # {base or step: ...}
        self.steps: list[StepResult] = []
        self.gates: list[GateDecision] = []
        self.inputs: list[InputReport] = []
        self.stopped: str | None = None  # why a gate stopped the run

    def run(self) -> str:
        """Execute the plan; the key of the model after the last step."""
        if not self.plan.is_cached:
            for model in (Encoder(self.plan.folder), *self.plan.other_models.values()):
                lookup.verify_weights(model.path)
            stage_runner.check_base(self.plan.folder, self.recipe, self.job)
        self._make_data()
        self.inputs = self._report_inputs()
        self._measure("base", self.plan.base)
        self._check_gate_on_base()
        final = self.plan.base
        for artifact in self.plan.steps:
            self._announce(artifact)
            if artifact.work == "gate":
                self._apply_gate(artifact)
            else:
                self._make(artifact)
            if artifact.kind == "encoder":
                final = artifact.key
            if self.stopped:
                break
        return final

    def model(self, key: str) -> Encoder | CrossEncoder:
        found = self.outputs[key]
        assert not isinstance(found, Path)
        return found

    def encoder(self, key: str) -> Encoder:
        found = self.outputs[key]
        assert isinstance(found, Encoder)
        return found

    # ------------------------------------------------------------------------------------------------ computing

    def _make_data(self) -> None:
        """Read all data before any work, so that the problems of every file are reported together."""
        problems: list[str] = []
        for artifact in self.plan.data:
            self._announce(artifact)
            try:
                self._make(artifact)
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(dict.fromkeys(problems))

    def _announce(self, artifact: PlannedArtifact) -> None:
        self.listener(Event("step", artifact.name, {"cached": artifact.cached, "reason": artifact.reason}))

    def _make(self, artifact: PlannedArtifact) -> None:
        """Compute data or a step's output unless it is cached, and measure it where it is a model."""
        started = time.monotonic()
        compute = partial(self._compute, artifact)
        receipt = StepReceipt.model_validate(self.store.get_or_make(artifact.name, artifact.entry, compute, artifact.forced))
        folder = self.store.folder(artifact.name, artifact.entry)
        if artifact.is_model:
            model = folder / "model"
            self.outputs[artifact.key] = Encoder(model) if artifact.kind == "encoder" else CrossEncoder(model)
            self._measure(artifact.id, artifact.key)
        else:
            self.outputs[artifact.key] = folder / FILES[artifact.kind]
        embedding_cache.report_problems(self.job)
        self.steps.append(
            StepResult(
                id=artifact.id, stage=artifact.step.stage.name() if artifact.step else None, key=artifact.key, folder=folder.name,
                cached=artifact.cached, reason=artifact.reason, wall_seconds=time.monotonic() - started, **dict(receipt),
            )
        )  # fmt: skip

    def _compute(self, artifact: PlannedArtifact, out: Path, work: Path) -> Mapping[str, JsonValue]:
        """Write data or a step's output to the folder `out`; what its receipt holds."""
        started = time.monotonic()
        job = Job(self.recipe.seed, out, work, self.listener, embedding_cache=self.job.embedding_cache)
        if artifact.step is None:
            made = training_data.read(self.recipe, artifact.id, self.evaluator.protected_texts, job)
        else:
            made = self._run_stage(artifact, job)
        if artifact.kind in FILES:
            files.write(made.records, out / FILES[artifact.kind])
            job.counts["rows"] = len(made.records)
        receipt = StepReceipt(
            seconds=time.monotonic() - started, peak_memory_mb=memory.peak_mb(), counts=job.counts, leaks=made.leaks
        )
        return receipt.model_dump(mode="json") | {"notes": list(made.notes), "skipped": made.skipped}

    def _run_stage(self, artifact: PlannedArtifact, job: Job) -> training_data.TrainingData:
        """Run a stage; the records that it made, without leaks (none where it made a model)."""
        assert artifact.step is not None
        stage = artifact.step.stage
        inputs = {parameter: self._input(keys) for parameter, keys in artifact.inputs.items()}
        made = stage_runner.run(stage, inputs, job, artifact.id)
        precision = getattr(stage, "precision", None)
        if precision is not None:
            job.counts.setdefault("precision", precision if precision == "int8" else resolve(precision))
            memory.release()
        if isinstance(made, (Encoder, CrossEncoder)):
            return training_data.TrainingData(())
        # A long text may hold a short held-out passage and still be unlike it; a pair cut out of it is not.
        mode: leakage.Mode = "allow" if self.recipe.leaks == "allow" else "remove"
        records, leaks = training_data.without_leaks(made, self.evaluator.protected_texts, mode, artifact.id, job)
        return training_data.TrainingData(records, leaks=leaks)

    def _input(self, keys: Sequence[str]) -> Encoder | CrossEncoder | Sequence[Record]:
        """An input as its stage takes it: a model, or the records of one or several files."""
        first = self.outputs[keys[0]]
        if not isinstance(first, Path):
            return first
        paths = [path for key in keys if isinstance(path := self.outputs[key], Path)]
        return ConcatSequence([files.read(path, next(kind for kind, file in FILES.items() if file == path.name)) for path in paths])

    # ------------------------------------------------------------------------------------------------ measuring

    def _report_inputs(self) -> list[InputReport]:
        """Read all texts with the base model's tokenizer, before any work, and warn where it does not cover them."""
        data = {artifact.key: path for artifact in self.plan.data if isinstance(path := self.outputs[artifact.key], Path)}
        reports = input_report.of_run(self.recipe, self.plan, self.store, data, self.evaluator, self.job.note)
        for warning in (*input_report.warnings(reports), *input_report.same_data_warnings(self.recipe)):
            self.job.note(f"WARNING: {warning}")
        return reports

    def _measure(self, name: str, key: str) -> None:
        """Measure a model on dev data, once."""
        if key in self.measured:
            return
        model = self.model(key)
        self.measured[key] = self.evaluator.measure_on_dev(model)
        if isinstance(model, Encoder) and (health := self.evaluator.health(model)) is not None:
            self.health[name] = health
        embedding_cache.report_problems(self.job)
        self.listener(Event("check", name, {"measured": self.measured[key]}))

    def _check_gate_on_base(self) -> None:
        """Note the minimum detectable effects. Raises UserError with every metric of the gate that is missing or undefined."""
        spec, base = self.recipe.gate, self.measured[self.plan.base]
        if problems := gate.problems(spec, base, self.recipe.file) if spec else []:
            raise UserError(problems)
        for name, measured in base.items():
            metric = checks.find(self.recipe.checks[name].kind).main_metric
            effect = minimum_detectable_effect(measured, metric)
            if self.recipe.checks[name].role == "target" and not is_undefined(effect):
                self.job.note(
                    f"{name}: minimum detectable effect at 80 % power with {measured.rows:,} dev rows: "
                    f"{100 * effect:.1f} points of {metric}"
                )

    # ------------------------------------------------------------------------------------------------ the gate

    def _apply_gate(self, artifact: PlannedArtifact) -> None:
        """Choose among the step's model, blends and the previous model; measurements and the choice are cached."""
        spec = self.recipe.gate
        assert spec is not None
        new, previous = artifact.inputs["model"][0], artifact.previous
        measured = {0.0: self.measured[previous], 1.0: self.measured[new]}

        def trial_at(alpha: float, where: Path) -> GateTrial:
            if alpha not in measured:
                from adapt.models.interpolation import interpolate

                folder = where / f"blend-{alpha:g}"
                interpolate(self.encoder(previous).path, self.encoder(new).path, alpha, folder)
                measured[alpha] = self.evaluator.measure(Encoder(folder), "dev")
                self.listener(Event("check", f"{artifact.id} at α = {alpha:g}", {"measured": measured[alpha]}))
            return gate.judge(spec, self.measured[self.plan.base], measured[0.0], measured[alpha], self.recipe.seed, alpha)

        def decide(out: Path, work: Path) -> Mapping[str, JsonValue]:
            alpha, trials = gate.choose(spec, partial(trial_at, where=work))
            if 0 < alpha < 1:
                shutil.move(work / f"blend-{alpha:g}", out / "model")
            return GateReceipt(alpha=alpha, trials=tuple(trials)).model_dump(mode="json")

        receipt = GateReceipt.model_validate(self.store.get_or_make(artifact.name, artifact.entry, decide, artifact.forced))
        if 0 < receipt.alpha < 1:
            model = Encoder(self.store.folder(artifact.name, artifact.entry) / "model")
            self.outputs[artifact.key], self.measured[artifact.key] = model, self.evaluator.measure(model, "dev")
        else:
            chosen = new if receipt.alpha == 1 else previous
            self.outputs[artifact.key], self.measured[artifact.key] = self.outputs[chosen], self.measured[chosen]
        decision = GateDecision(step=artifact.id, key=artifact.key, cached=artifact.cached, **dict(receipt))
        self.gates.append(decision)
        trial, action = decision.trial, decision.action
        event = {"outcome": trial.outcome, "explanation": trial.explanation, "action": action}
        self.listener(Event("verdict", artifact.id, event))
        if spec.action == "stop" and not decision.trials[0].passes:
            self.stopped = f"{artifact.id}: {trial.outcome}: {trial.explanation}"
