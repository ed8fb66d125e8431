"""What a run found out, as rows for tables and files: dev after every step, test at the end, one verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from adapt import checks
from adapt.checks import Measurement
from adapt.checks.statistics import Delta
from adapt.measure import deltas, value
from adapt.recipe import Recipe


def dev_rows(recipe: Recipe, models: Sequence[tuple[str, bool, Mapping[str, Measurement]]]) -> list[dict[str, Any]]:
    """A row for each (name, is it an encoder, measurements), with its change against the encoder that its step started from."""
    rows: list[dict[str, Any]] = []
    before = models[0][2]
    for number, (name, encoder, measured) in enumerate(models):
        row: dict[str, Any] = {"after": name, "kind": "encoder" if encoder else "cross-encoder", "deltas": {}}
        row["metrics"] = {check: dict(m.metrics) for check, m in measured.items()}
        if number and encoder:
            found = deltas(before, measured, recipe.seed, lambda metric: is_shown(recipe, metric))
            row["deltas"] = {metric: as_row(delta) for metric, delta in found.items()}
        if name.startswith("gate-") or (recipe.gate is None and encoder):
            before = measured
        rows.append(row)
    return rows


def compared(
    base: Mapping[str, Measurement], final: Mapping[str, Measurement], roles: Mapping[str, str], seed: int = 0
) -> list[dict[str, Any]]:
    """A row for each metric of each check: both values and the paired difference with its interval."""
    return [
        {
            "metric": metric,
            "role": roles.get(metric.partition(".")[0], ""),
            "base": value(base, metric),
            "final": value(final, metric),
            **as_row(delta),
        }
        for metric, delta in deltas(base, final, seed).items()
    ]


def is_shown(recipe: Recipe, metric: str) -> bool:
    """Whether a metric is its check's main one, or one that the gate decides by."""
    check, _, name = metric.partition(".")
    gated = recipe.gate is not None and metric in (recipe.gate.target, *recipe.gate.guard)
    return gated or name == checks.find(recipe.checks[check].kind).main


def verdict(recipe: Recipe, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """One word and one sentence on the whole run, from its test rows."""
    target = recipe.gate.target if recipe.gate else None
    targets = [r for r in rows if r["role"] == "target" and is_shown(recipe, r["metric"])]
    row = next((r for r in rows if r["metric"] == target), targets[0] if targets else None)
    if row is None:
        return {"word": "unmeasured", "sentence": "No target was measured on test data."}
    guards = [r for r in rows if r["role"] == "guard" and is_shown(recipe, r["metric"])]
    change = f"{100 * row['delta']:+.1f} points, 95 % interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
    kept = ", ".join(f"{r['metric']} {100 * r['delta']:+.1f} points" for r in guards)
    sentence = (
        f"{row['metric']} on test data went from {100 * row['base']:.1f} to {100 * row['final']:.1f}: {change}"
        f"{'; guards: ' + kept if kept else ''}."
    )
    return {"word": row["verdict"], "sentence": sentence}


def spread(tests: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each test metric: its change with every seed, the mean and the standard deviation (n - 1)."""
    rows = []
    for first in next(iter(tests.values())):
        deltas = {seed: next(r["delta"] for r in found if r["metric"] == first["metric"]) for seed, found in tests.items()}
        values = list(deltas.values())
        sd = stdev(values) if len(values) > 1 else 0.0
        rows.append({"metric": first["metric"], "role": first["role"], "deltas": deltas, "mean": mean(values), "sd": sd})
    return rows


def as_row(delta: Delta) -> dict[str, Any]:
    """A difference as JSON holds it."""
    return {"delta": delta.value, "low": delta.low, "high": delta.high, "p": delta.p, "verdict": delta.verdict()}
