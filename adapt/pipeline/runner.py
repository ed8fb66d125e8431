"""Carry out a recipe as a whole: choose among its variants on dev data, do the steps, compare base and final on test data."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapt import checks
from adapt.checks.statistics import minimum_detectable_effect
from adapt.errors import UserError, WorkFailed
from adapt.inference import embedding_cache
from adapt.job import Event, Job, Listener, ignore_events
from adapt.models import lookup
from adapt.pipeline import gate, input_report, per_example, results, run_folder
from adapt.pipeline import plan as planning
from adapt.pipeline.executor import Steps
from adapt.pipeline.export import hand_over, speed_of
from adapt.recipe import Recipe, combinations, variants, without
from adapt.records import Encoder
from adapt.runtime import process_group
from adapt.storage import digests, published
from adapt.storage.store import Store, cache_key, write_json

Measured = Mapping[str, checks.Measurement]


def run(
    recipe: Recipe, out: Path, *, until: str | None = None, fresh: Sequence[str] = (), listener: Listener = ignore_events
) -> dict[str, Any]:
    """Carry out `recipe` in the folder `out` and return what `results.json` holds.

    Finished steps are not done again. Raises UserError for wrong input, WorkFailed when training diverges or a gate stops.
    """
    run_folder.refuse_foreign(out)
    store = Store(out, process_group.current())
    with store.locked():
        began = time.monotonic()
        _require_room(recipe, store, until, fresh, listener)
        for phrase in published.changes(out) if store.process_group.is_main_process else ():
            listener(Event("note", f"{out}: {phrase}; it is written again"))
        if store.process_group.is_main_process:  # what is damaged is reported now, and not by the run that happens to need it
            embedding_cache.delete_damaged(out / "vectors")
            embedding_cache.report_problems(Job(listener=listener))
        sweep: list[dict[str, Any]] = []
        branches: list[dict[str, Any]] = []
        if until is None:
            recipe, sweep = _sweep(recipe, store, listener)
            recipe, branches = _judge_later(recipe, store, listener)
        else:
            recipe = variants(recipe)[0][1]
        plan = planning.make(recipe, store, until, fresh, download=True)
        store.process_group.barrier()
        listener(Event("plan", data={"plan": plan}))
        steps = Steps(recipe, store, plan, listener)
        final = steps.carry_out()
        whole = until is None and not steps.stopped  # test data is touched here and nowhere else, when the recipe is done
        tests = (steps.measure(plan.base, "test"), steps.measure(final, "test")) if whole else ({}, {})
        found = _results(steps, final, *tests)
        found |= {"sweep": sweep, "branches": branches, "seconds": time.monotonic() - began}
        found = digests.add_digest(found)
        if store.process_group.is_main_process:
            if whole:
                _keep_evidence(steps, final, *tests)
            hand_over(steps, steps.made[final].path, found)
            write_json(store.root / "results.json", found)
            published.record(store.root)
        store.process_group.barrier()
        listener(Event("done", data={"results": found}))
        if steps.stopped:
            raise WorkFailed(steps.stopped)
        return found


def run_seeds(
    recipe: Recipe, out: Path, count: int, listener: Listener = ignore_events
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Carry out a recipe with `count` seeds, the recipe's own and those after it: (its results, rows of the spread).

    The recipe's own seed has its place in `out`, the others in `out/seeds/<seed>`; the rows are kept in `out/seeds.json`, and
    the verdict in `out/results.json` tells of them.
    """
    found = {}
    for seed in range(recipe.seed, recipe.seed + count):
        found[seed] = run(replace(recipe, seed=seed), out if seed == recipe.seed else out / "seeds" / str(seed), listener=listener)
    rows = results.spread({seed: done["test"] for seed, done in found.items()})
    first = found[recipe.seed]
    first = digests.add_digest({**first, "verdict": results.verdict_over_seeds(first, rows)})
    if process_group.current().is_main_process:
        write_json(out / "seeds.json", rows)
        write_json(out / "results.json", first)
        published.record(out)
    return first, rows


def ablate(
    recipe: Recipe, out: Path, only: Sequence[str] = (), split: str = "dev", listener: Listener = ignore_events
) -> tuple[list[dict[str, Any]], list[str]]:
    """Leave each step out in turn: (a row for each, sentences on steps that could not be left out).

    A row holds the steps left out and, for the main metric of each check, what the whole recipe gains over the recipe without
    them, with its interval: what the step is worth. Steps that do not depend on what was left out come from the cache. Rows are
    kept in `out/ablation.json`. Raises UserError for unknown steps.
    """
    ids = [step.id for step in recipe.steps]
    if unknown := [name for name in only if name not in ids]:
        raise UserError(f"--only {unknown[0]}: the recipe has no such step. Its steps: {', '.join(ids)}")
    run_folder.refuse_foreign(out)
    store = Store(out, process_group.current())
    rows, left = [], []
    with store.locked():
        recipe, _ = _sweep(recipe, store, listener)
        whole = _measured(recipe, store, split, listener)
        for step in recipe.steps:
            if only and step.id not in only:
                continue
            smaller, gone = without(recipe, step.id)
            if not any(step.stage.output_kind() == "encoder" for step in smaller.steps):
                left.append(f"{step.id}: nothing would be trained without it")
                continue
            listener(Event("step", f"without {', '.join(gone)}", {"cached": False, "why": ""}))
            measured = _measured(smaller, store, split, listener)
            worth = results.compared(measured, whole, {n: c.role for n, c in recipe.checks.items()}, recipe.seed)
            rows.append({"without": gone, "worth": [row for row in worth if results.is_shown(recipe, row["metric"])]})
        write_json(out / "ablation.json", {"recipe": recipe.name, "split": split, "rows": rows})
        published.record(out)
    return rows, left


def _require_room(recipe: Recipe, store: Store, until: str | None, fresh: Sequence[str], listener: Listener) -> None:
    """Say what the run needs on the disk; raises UserError where that is more than is free, before any work."""
    model = lookup.find_model(recipe.model, recipe.file.parent)
    lines = planning.all_lines(recipe, store, until, fresh)
    if store.process_group.is_main_process and any(not line.cached for line in lines):
        listener(Event("note", run_folder.require_room(recipe, model, lines, store.root)))


def _measured(recipe: Recipe, store: Store, split: str, listener: Listener) -> Measured:
    steps = Steps(recipe, store, planning.make(recipe, store, download=True), listener)
    final = steps.carry_out()
    return steps.measured[final] if split == "dev" else steps.measure(final, split)


def _sweep(recipe: Recipe, store: Store, listener: Listener) -> tuple[Recipe, list[dict[str, Any]]]:
    """The variant with the highest target on dev data, and a row for each; what variants share is made once.

    Test data is not touched. A tie goes to the variant that is written first.
    """
    if not recipe.sweep:
        return recipe, []
    assert recipe.gate is not None and recipe.gate.target is not None
    target = recipe.gate.target
    rows, measured = [], []
    listener(Event("note", f"sweep: {combinations(recipe):,} combinations"))
    for settings, variant in variants(recipe):
        words = ", ".join(f"{name} {value}" for name, value in settings.items())
        listener(Event("step", f"sweep: {words}", {"cached": False, "why": ""}))
        measured.append(_measured(variant, store, "dev", listener))
        delta = gate.difference(measured[0], measured[-1], target, recipe.seed)
        value = gate.value(measured[-1], target)
        rows.append({"settings": settings, "metric": target, "value": value, "chosen": False, **results.as_row(delta)})
    values = [row["value"] if row["value"] == row["value"] else float("-inf") for row in rows]
    best = max(range(len(rows)), key=lambda number: (values[number], -number))
    rows[best]["chosen"] = True
    return variants(recipe)[best][1], rows


def _judge_later(recipe: Recipe, store: Store, listener: Listener) -> tuple[Recipe, list[dict[str, Any]]]:
    """The recipe less the steps that proved to be worth nothing after a later step, and a row for each step so judged.

    Both branches, with the step and without it, are carried out as far as the later step and compared on dev data by the gate's
    rule; the step stays where it passes and is worth more than nothing.
    """
    rows: list[dict[str, Any]] = []
    for first, second in dict(recipe.gate.later if recipe.gate else {}).items():
        assert recipe.gate is not None
        branches = {"with": recipe, "without": without(recipe, first)[0]}
        measured = {}
        for word, branch in branches.items():
            listener(Event("step", f"{word} {first}, as far as {second}", {"cached": False, "why": ""}))
            steps = Steps(branch, store, planning.make(branch, store, until=second, download=True), listener)
            measured[word] = steps.measured[steps.carry_out()]
            base = steps.measured[steps.plan.base]
        found = gate.judge(recipe.gate, base, measured["without"], measured["with"], recipe.seed)
        back = gate.judge(recipe.gate, base, measured["without"], measured["without"], recipe.seed)
        kept = found.passes and found.worth > back.worth
        recipe = recipe if kept else branches["without"]
        action = "kept" if kept else "left out"
        rows.append({"step": first, "after": second, "kept": kept, **results.tried(1.0, found), "action": action})
        listener(Event("verdict", first, {"word": found.word, "sentence": f"after {second}: {found.sentence}", "action": action}))
    return recipe, rows


def _environment(out: Path) -> dict[str, Any]:
    """See `adapt.runtime.environment`; where this run computed nothing and has not loaded torch, that of the run that did."""
    if "torch" not in sys.modules and (kept := (digests.read_verified(out / "results.json") or {}).get("environment")):
        return kept
    from adapt.runtime.environment import environment

    return environment()


def _keep_evidence(steps: Steps, final: str, before: Measured, after: Measured) -> None:
    """`evidence.json`: what base and final make of single test items; gathered once for two models and their data."""
    base = steps.plan.base
    file = steps.store.root / "evidence.json"
    mark = cache_key({"base": base, "final": final, "data": steps.digests})
    if (digests.read_verified(file) or {}).get("of") == mark:
        return
    found = per_example.gather(steps.recipe, steps.measures, steps.made[base], steps.made[final], before, after)
    digests.write_verified(file, {"of": mark, **found})


def _results(steps: Steps, final: str, before: Measured, after: Measured) -> dict[str, Any]:
    """Everything that is known at the end; `before` and `after` are empty where test data were not to be touched."""
    recipe, base = steps.recipe, steps.plan.base
    keys = [("base", base), *((line.name, line.key) for line in steps.plan.lines if line.key in steps.measured)]
    shown = [(name, isinstance(steps.made[key], Encoder), steps.measured[key]) for name, key in keys]
    roles = {name: spec.role for name, spec in recipe.checks.items() if spec.role != "golden"}
    main = {name: checks.find(recipe.checks[name].kind).main_metric for name in roles}
    rows = results.compared(before, after, roles, recipe.seed)
    cohorts = results.cohorts(recipe, before, after)
    found = {
        "recipe": recipe.name,
        "description": recipe.description,
        "model": recipe.model,
        "seed": recipe.seed,
        "final": final,
        "changed": steps.made[final].path != steps.made[base].path,
        "steps": steps.steps,
        "dev": results.dev_rows(recipe, shown),
        "test": rows,
        "cohorts": cohorts,
        "smallest_gain": {
            f"{name}.{main[name]}": minimum_detectable_effect(measured, main[name]) for name, measured in before.items()
        },
        "health": steps.health,
        "synthetic": results.synthetic(recipe),
        "leaks": results.leaks(steps.steps),
        "inputs": steps.inputs,
        "warnings": [
            *input_report.warnings(steps.inputs),
            *input_report.decided_and_judged(recipe),
            *results.warnings(recipe, rows, cohorts),
        ],
        "speed": speed_of(steps, final),
        "environment": _environment(steps.store.root),
        "roles": roles,
        "main": main,
        "lock": planning.lock(recipe, steps.plan),
    }
    return {**found, "verdict": results.verdict(recipe, found)}
