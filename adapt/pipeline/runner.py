"""Runs a recipe: chooses among its variants on dev data, executes the steps, compares base and final model on test data."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from adapt.errors import WorkFailed
from adapt.inference import embedding_cache
from adapt.job import Event, Job, Listener, ignore_events
from adapt.models import lookup
from adapt.pipeline import export, per_example, plan, results, run_folder, variants, verdict
from adapt.pipeline.comparison import Measured, spread_over_seeds
from adapt.pipeline.executor import Executor
from adapt.pipeline.variants import Split, Variant
from adapt.recipe import Recipe
from adapt.recipe import variants as combinations_of
from adapt.results import Ablation, RunResult
from adapt.run_details import PER_EXAMPLE, PER_EXAMPLE_VERSION
from adapt.runtime import process_group
from adapt.storage import digests, published
from adapt.storage.store import Store, cache_key, write_json


def run(
    recipe: Recipe, out: Path, *, until: str | None = None, fresh: Sequence[str] = (), listener: Listener = ignore_events
) -> RunResult:
    """Execute `recipe` in the folder `out`. Finished steps are cached.

    `until`: the last step to execute; test data is not used then. `fresh`: steps to execute again. Raises UserError for wrong
    input, WorkFailed when training diverges or a gate stops the run.
    """
    run_folder.refuse_foreign(out)
    store = Store(out, process_group.current())
    with store.locked():
        started = time.monotonic()
        _check_disk(recipe, store, until, fresh, listener)
        _report_damage(store, listener)
        if until is None:
            recipe, sweep = variants.sweep(recipe, store, listener)
            recipe, deferred = variants.decide_deferred(recipe, store, listener)
        else:
            recipe, sweep, deferred = combinations_of(recipe)[0][1], (), ()
        planned = plan.make(recipe, store, until, fresh, download=True)
        store.process_group.barrier()
        listener(Event("plan", data={"plan": planned}))
        executor = Executor(recipe, store, planned, listener)
        final = executor.run()
        finished = until is None and not executor.stopped
        test = _measure_on_test(executor, final) if finished else ({}, {})
        speed = export.speed_of(executor, final)
        result = results.assemble(executor, final, test, speed, sweep, deferred, time.monotonic() - started).in_folder(out)
        if store.process_group.is_main_process:
            if finished:
                _compare_examples(executor, final, *test)
            export.export_model(executor, executor.encoder(final).path, result)
            result.save(out)
            published.record(out)
        store.process_group.barrier()
        listener(Event("done", data={"result": result}))
        if executor.stopped:
            raise WorkFailed(executor.stopped)
        return result


def run_seeds(recipe: Recipe, out: Path, count: int, listener: Listener = ignore_events) -> RunResult:
    """Execute a recipe with `count` seeds, its own and those after it; the result of its own seed, with the spread over all.

    The run of the recipe's own seed is in `out`, the others are in `out/seeds/<seed>`. `out/seeds.json` holds the spread, too.
    """

    def execute(variant: Variant) -> RunResult:
        seed = variant.recipe.seed
        return run(variant.recipe, out if seed == recipe.seed else out / "seeds" / str(seed), listener=listener)

    found = variants.run_variants(variants.seeds(recipe, count), execute, listener)
    spread = spread_over_seeds({result.seed: result.test for result in found})
    first = found[0].model_copy(update={"verdict": verdict.over_seeds(found[0], spread), "seeds": spread}).in_folder(out)
    if process_group.current().is_main_process:
        write_json(out / "seeds.json", [one.model_dump(mode="json") for one in spread])
        first.save(out)
        published.record(out)
    return first


def ablate(
    recipe: Recipe, out: Path, only: Sequence[str] = (), split: Split = "dev", listener: Listener = ignore_events
) -> Ablation:
    """Leave each step out in turn, or only the steps in `only`: their contribution to the main metric of each check.

    Steps that do not depend on what was left out are cached. `out/ablation.json` holds the result, too. Raises UserError for
    unknown steps.
    """
    run_folder.refuse_foreign(out)
    store = Store(out, process_group.current())
    with store.locked():
        rows, skipped = variants.leave_one_out(recipe, store, only, split, listener)
        found = Ablation(recipe=recipe.name, split=split, rows=rows, skipped=skipped)
        write_json(out / "ablation.json", found.model_dump(mode="json"))
        published.record(out)
    return found


def _check_disk(recipe: Recipe, store: Store, until: str | None, fresh: Sequence[str], listener: Listener) -> None:
    """Note the disk space that the run needs; raises UserError where that is more than is free, before any work."""
    model = lookup.find_model(recipe.model, recipe.file.parent)
    artifacts = plan.all_artifacts(recipe, store, until, fresh)
    if store.process_group.is_main_process and any(not artifact.cached for artifact in artifacts):
        listener(Event("note", run_folder.require_room(recipe, model, artifacts, store.root)))


def _report_damage(store: Store, listener: Listener) -> None:
    """Note damaged files at once, not when a later run needs them, and delete damaged embeddings."""
    if not store.process_group.is_main_process:
        return
    for phrase in published.changes(store.root):
        listener(Event("note", f"{store.root}: {phrase}; it is written again"))
    embedding_cache.delete_damaged(store.root / "vectors")
    embedding_cache.report_problems(Job(listener=listener))


def _measure_on_test(executor: Executor, final: str) -> tuple[Measured, Measured]:
    """Base and final model on test data, which is used here and nowhere else, when all choices are made."""
    base, last = executor.encoder(executor.plan.base), executor.encoder(final)
    return executor.evaluator.measure(base, "test"), executor.evaluator.measure(last, "test")


def _compare_examples(executor: Executor, final: str, base_on_test: Measured, final_on_test: Measured) -> None:
    """Write `per_example.json`, the per-example comparison of base and final model; cached for two models and their data."""
    base = executor.plan.base
    file = executor.store.root / PER_EXAMPLE
    key = cache_key({"base": base, "final": final, "data": executor.evaluator.digests, "schema": PER_EXAMPLE_VERSION})
    if (digests.read_verified(file) or {}).get("key") == key:
        return
    found = per_example.compare(
        executor.recipe, executor.evaluator.measurements, executor.encoder(base), executor.encoder(final), base_on_test,
        final_on_test,
    )  # fmt: skip
    digests.write_verified(file, {**found.model_dump(mode="json"), "key": key})
