"""Assembles the result of a run from what was computed and measured."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

from adapt import checks
from adapt.checks.statistics import minimum_detectable_effect
from adapt.pipeline import input_report, verdict
from adapt.pipeline.comparison import Measured, compare_models, compare_topics, correct_for_steps, differences, is_main
from adapt.pipeline.executor import Executor
from adapt.pipeline.plan import Plan
from adapt.recipe import Recipe
from adapt.records import Encoder
from adapt.results import (
    FILE,
    CheckInfo,
    DeferredDecision,
    DevMeasurement,
    Difference,
    Lock,
    LockedData,
    LockedStep,
    RunResult,
    Speed,
    SweepTrial,
)
from adapt.storage import digests

PACKAGES = ("torch", "sentence-transformers", "transformers", "numpy", "bm25s", "nltk")  # whose versions the lock names


def assemble(
    executor: Executor,
    final: str,
    test: tuple[Measured, Measured],
    speed: Speed,
    sweep: tuple[SweepTrial, ...],
    deferred: tuple[DeferredDecision, ...],
    seconds: float,
) -> RunResult:
    """The result of a run; `test`: measurements of base and final model, empty where the recipe was not executed to its end."""
    recipe, plan = executor.recipe, executor.plan
    info = check_info(recipe)
    base_on_test, final_on_test = test
    compared = compare_models(base_on_test, final_on_test, {name: check.role for name, check in info.items()}, recipe.seed)
    main = {name: check.metric for name, check in info.items()}
    topics = compare_topics(main, base_on_test, final_on_test, recipe.seed)
    changed = executor.encoder(final).path != executor.encoder(plan.base).path
    return RunResult(
        recipe=recipe.name,
        description=recipe.description,
        model=recipe.model,
        seed=recipe.seed,
        final=final,
        changed=changed,
        verdict=verdict.of_run(recipe, executor.steps, executor.gates, compared, changed),
        warnings=(
            *input_report.warnings(executor.inputs),
            *input_report.same_data_warnings(recipe),
            *verdict.warnings(recipe, info, compared, topics),
        ),
        test=compared,
        topics=topics,
        dev=dev_measurements(executor),
        gates=tuple(executor.gates),
        deferred=deferred,
        sweep=sweep,
        steps=tuple(executor.steps),
        checks=info,
        minimum_detectable_effect={
            f"{name}.{main[name]}": minimum_detectable_effect(measured, main[name]) for name, measured in base_on_test.items()
        },
        health=executor.health,
        inputs=tuple(executor.inputs),
        speed=speed,
        environment=_environment(executor.store.root),
        lock=lock(recipe, plan),
        seconds=seconds,
    )


def check_info(recipe: Recipe) -> dict[str, CheckInfo]:
    """The recipe's checks, without golden ones. Synthetic are those whose folder's `card.json` says so (`adapt hold-out`)."""
    found = {}
    for name, spec in recipe.checks.items():
        if spec.role != "golden":
            cards = [Path(source) / "card.json" for source in spec.sources().values() if isinstance(source, str)]
            synthetic = any(json.loads(card.read_text(encoding="utf-8")).get("synthetic") for card in cards if card.is_file())
            metric = checks.find(spec.kind).main_metric
            found[name] = CheckInfo(kind=spec.kind, role=spec.role, metric=metric, synthetic=synthetic)
    return found


def dev_measurements(executor: Executor) -> tuple[DevMeasurement, ...]:
    """Every model on dev data, each with its change from the encoder that its step started from.

    The target's change after each step is corrected for the number of steps (Holm).
    """
    recipe, plan = executor.recipe, executor.plan
    target = recipe.gate.target if recipe.gate else None
    previous = executor.measured[plan.base]
    found = [DevMeasurement(after=None, metrics=_metrics(previous))]
    for artifact in plan.steps:
        if artifact.key not in executor.measured:
            continue
        measured, gated = executor.measured[artifact.key], artifact.work == "gate"
        encoder = isinstance(executor.outputs[artifact.key], Encoder)
        changes: dict[str, Difference] = {}
        if encoder:
            changes = differences(previous, measured, recipe.seed, lambda metric: is_main(recipe, metric))
        found.append(
            DevMeasurement(
                after=artifact.id, gated=gated, model="encoder" if encoder else "cross-encoder", metrics=_metrics(measured),
                differences=changes,
            )
        )  # fmt: skip
        deferred = recipe.gate is not None and artifact.id in recipe.gate.later
        if gated or (encoder and (recipe.gate is None or deferred)):
            previous = measured
    if target is None:
        return tuple(found)
    corrected = correct_for_steps(
        {one.after: one.differences[target] for one in found if one.after and not one.gated and target in one.differences}
    )
    return tuple(
        one.model_copy(update={"differences": {**one.differences, target: corrected[one.after]}})
        if one.after in corrected and not one.gated
        else one
        for one in found
    )


def _metrics(measured: Measured) -> dict[str, dict[str, float]]:
    return {check: dict(measurement.metrics) for check, measurement in measured.items()}


def lock(recipe: Recipe, plan: Plan) -> Lock:
    """The recipe with every default filled in, keys, and the versions it ran with."""
    return Lock(
        name=recipe.name,
        model=recipe.model,
        model_key=plan.base,
        seed=recipe.seed,
        data={artifact.id: LockedData(rows=artifact.rows, key=artifact.key) for artifact in plan.data},
        steps=tuple(
            LockedStep(id=step.id, stage=step.stage.name(), key=artifact.key, settings=step.stage.model_dump(mode="json"))
            for artifact in plan.steps
            if (step := artifact.step)
        ),
        gate=recipe.gate,
        versions={name: importlib.metadata.version(name) for name in PACKAGES},
    )


def _environment(out: Path) -> dict[str, str | int]:
    """See `adapt.runtime.environment`; where this run computed nothing and has not imported torch, that of the run that did."""
    if "torch" not in sys.modules and (kept := (digests.read_verified(out / FILE) or {}).get("environment")):
        return dict(kept)
    from adapt.runtime.environment import environment

    return environment()
