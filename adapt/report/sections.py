"""A run as the rows of a report's sections: what both pages, HTML and Markdown, show; every missing piece has its default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapt.report import lengths
from adapt.report.formatting import interval, points
from adapt.report.plots import Stop
from adapt.report.run_folder import Found

WORDS = ("better", "same", "worse", "forgetting")  # verdicts that have a colour
LEAKED = ("held_out_", "allowed_", "transductive_")  # how the counts of leaking rows begin
# What a step was given, under the first of these names that it counted; what it gave is `rows`.
GIVEN = ("read", "sentences", "candidates", "examples", "pairs", "units")


def verdict(found: Found) -> dict[str, Any]:
    """The word and sentence, the facts beside it [(name, value)], and the guards' rows on test data."""
    results = found.results
    said = results["verdict"]
    row = target_row(found)
    facts: list[tuple[str, Any]] = []
    if row:
        facts += [(f"{row['metric']}, points", points(row["delta"])), ("95 % interval", interval(row)), ("p", row.get("p"))]
    seeds = list(found.seeds[0]["deltas"]) if found.seeds else said.get("seeds") or [results["seed"]]
    facts.append(("seed" if len(seeds) == 1 else "seeds", ", ".join(str(seed) for seed in seeds)))
    removed = sum(sum(row["counts"]) for row in leaks(found)["rows"] if row["mode"] == "left out")
    facts.append(("leaks excluded", said.get("leaks", removed)))
    if said.get("allowed_leaks"):
        facts.append(("leaks allowed", said["allowed_leaks"]))
    target = row["metric"] if row else ""
    if (smallest := (results.get("smallest_gain") or {}).get(target)) is not None:
        facts.append(("smallest gain to be seen", f"{100 * smallest:.1f} points"))
    guards = [r for r in results.get("test") or [] if r.get("role") == "guard" and is_main(found, r["metric"])]
    return {
        "word": said["word"], "sentence": said["sentence"], "facts": facts, "guards": guards,
        "warnings": list(results.get("warnings") or []),
    }  # fmt: skip


def target_row(found: Found) -> Mapping[str, Any] | None:
    """The test row that the verdict speaks of."""
    rows = found.results.get("test") or []
    wanted = (found.results.get("lock", {}).get("gate") or {}).get("target")
    targets = [row for row in rows if row.get("role") == "target" and is_main(found, row["metric"])]
    return next((row for row in rows if row["metric"] == wanted), targets[0] if targets else None)


def is_main(found: Found, metric: str) -> bool:
    """Whether a metric is its check's main one, or one that the gate decides by."""
    gate = found.results.get("lock", {}).get("gate") or {}
    check, _, name = metric.partition(".")
    return found.results.get("main", {}).get(check) == name or metric in (gate.get("target"), *(gate.get("guard") or {}))


def ways(found: Found) -> list[dict[str, Any]]:
    """For each check its main metric after every step, with the gate's doing: {check, metric, role, stops, floor, synthetic}."""
    results = found.results
    gate = results.get("lock", {}).get("gate") or {}
    rows = {row["after"]: row for row in results.get("dev") or [] if row.get("kind") != "cross-encoder"}
    ways = []
    for check, metric in results.get("main", {}).items():
        stops: list[Stop] = []
        for name, row in rows.items():
            left = rows.get(f"gate-{name}", row)
            value, made = (r.get("metrics", {}).get(check, {}).get(metric) for r in (left, row))
            if value is None or (name.startswith("gate-") and name.removeprefix("gate-") in rows):
                continue
            change = left.get("deltas", {}).get(f"{check}.{metric}")
            stops.append(Stop(name, value, made if made is not None and made != value else None, change))
        if stops:
            budget = (gate.get("guard") or {}).get(f"{check}.{metric}")
            ways.append(
                {
                    "check": check, "metric": metric, "role": results.get("roles", {}).get(check, ""), "stops": stops,
                    "floor": stops[0].value + budget if budget is not None and budget > -0.2 else None,
                    "synthetic": check in (results.get("synthetic") or []),
                }
            )  # fmt: skip
    return ways


def after_steps(found: Found) -> list[dict[str, Any]]:
    """Every model that dev data saw: name, the cell of each check (value, change) and what the gate said."""
    results = found.results
    gates = {step["step"]: step for step in results["steps"] if step["stage"] == "gate"}
    table = []
    for row in results.get("dev") or []:
        cells = []
        for check, metric in results.get("main", {}).items():
            change = row.get("deltas", {}).get(f"{check}.{metric}")
            cells.append({"value": row.get("metrics", {}).get(check, {}).get(metric), "change": change})
        said = gates.get(row["after"])
        table.append({"after": row["after"], "cells": cells, "gate": said, "tried": len(said["tried"]) if said else 0})
    return table


def leaks(found: Found) -> dict[str, Any]:
    """Rows that overlap with dev or test data: `kinds` (exact, near_duplicate ...), `rows` of step, mode and counts by kind."""
    known = found.results.get("leaks")
    if known is None:  # of a run that kept no table of its own
        counted = [(step["step"], step.get("counts", {})) for step in found.results["steps"]]
        known = [
            {"step": name, "mode": "left out", "exact": c["held_out_exact"], "near_duplicate": c.get("held_out_near_duplicate", 0)}
            for name, c in counted
            if "held_out_exact" in c
        ]
    kinds = list(dict.fromkeys(name for row in known for name, value in row.items() if type(value) is int))
    rows = [{"step": row["step"], "mode": row["mode"], "counts": [row.get(kind, 0) for kind in kinds]} for row in known]
    return {"kinds": kinds, "rows": rows}


def flow(found: Found) -> list[dict[str, Any]]:
    """Rows into and out of every step (None where it counted none), and whatever else it counted."""
    rows = []
    for step in found.results["steps"]:
        counts = {name: value for name, value in step.get("counts", {}).items() if value is not None}
        given = next((name for name in GIVEN if isinstance(counts.get(name), int)), "")
        if step["stage"] != "gate":
            hidden = {given, "rows", "seconds", "histogram"}  # shown elsewhere, as are the counts of leaks
            hidden |= {name for name, value in counts.items() if name.startswith(LEAKED) and type(value) is int}
            other = {name: value for name, value in counts.items() if name not in hidden}
            row = {"step": step["step"], "stage": step["stage"], "given": counts.get(given), "named": given}
            rows.append({**row, "out": counts.get("rows"), "other": other})
    return rows


def lengths_of_texts(found: Found) -> list[dict[str, Any]]:
    """A row for each column of texts that a step made; read from the steps' folders."""
    steps = [step for step in found.results["steps"] if step["stage"] != "gate"]
    return [{"step": s["step"], **row} for s in steps for row in lengths.measure(found.folder_of(s), found.folder / "model")]


def times(found: Found) -> list[dict[str, Any]]:
    """Seconds and peak memory of each step's own work, when it was done, and its share of the longest."""
    rows = []
    for step in found.results["steps"]:
        if step["stage"] != "gate":
            memory = (found.beside(step, "receipt") or {}).get("peak_memory_mb")
            rows.append({"step": step["step"], "status": step["status"], "seconds": step["seconds"], "memory": memory})
    longest = max((row["seconds"] for row in rows), default=0.0) or 1.0
    return [{**row, "share": row["seconds"] / longest} for row in rows]


def health(found: Found) -> dict[str, Any]:
    """Numbers of each model's space as a table: `models` across, `rows` (name, values) down."""
    known = found.results.get("health") or {}
    numbers_of = {model: dict(flat(numbers)) for model, numbers in known.items()}
    names = dict.fromkeys(name for numbers in numbers_of.values() for name in numbers)
    return {"models": list(numbers_of), "rows": [(name, [numbers.get(name) for numbers in numbers_of.values()]) for name in names]}


def flat(numbers: Mapping[str, Any], before: str = "") -> list[tuple[str, float]]:
    """(name, number) of a table of tables; whatever is no number is left out."""
    found = []
    for name, value in numbers.items():
        whole = f"{before} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            found += flat(value, whole)
        elif isinstance(value, (int, float)):
            found.append((whole, value))
    return found
