"""The rows of a report's sections, shared by the HTML and the Markdown page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from adapt.report.formatting import format_interval, format_p, format_points
from adapt.report.lengths import ColumnLengths, text_lengths
from adapt.report.plots import TrajectoryPoint
from adapt.report.run_folder import RunFolder
from adapt.results import Comparison, DevMeasurement, Difference, GateDecision, RunResult, StepResult

# The count that tells how many rows a step took in: the first of these that it has. How many it gave is `rows`.
ROWS_IN = ("read", "sentences", "candidates", "examples", "pairs", "units")
SHOWN_ELSEWHERE = ("rows", "seconds", "histogram")
LOWEST_FLOOR = -0.2  # lower budgets would stretch the axis of a trajectory


def headline(result: RunResult) -> list[tuple[str, str]]:
    """(name, value) of the facts beside the verdict."""
    facts = []
    if row := result.target:
        facts += [
            (f"{row.metric}, points", format_points(row.delta)),
            ("95 % interval", format_interval(row)),
            ("p", format_p(row.p)),
        ]
    seeds = list(result.seeds[0].deltas) if result.seeds else [result.seed]
    facts.append(("seed" if len(seeds) == 1 else "seeds", ", ".join(map(str, seeds))))
    facts.append(("leaking rows removed", f"{result.leaks_removed:,}"))
    if result.leaks_allowed:
        facts.append(("leaking rows allowed", f"{result.leaks_allowed:,}"))
    effect = result.minimum_detectable_effect.get(row.metric) if row else None
    if effect is not None and math.isfinite(effect):
        facts.append(("minimum detectable effect (80 % power)", f"{100 * effect:.1f} points"))
    return facts


def guards(result: RunResult) -> list[Comparison]:
    """The main metrics of the guards on test data."""
    return [row for row in result.test if row.role == "guard" and result.is_main(row.metric)]


@dataclass(frozen=True)
class Trajectory:
    """A check's main metric after every step; `floor` is the lowest value that the gate allows."""

    check: str
    metric: str
    role: str
    points: tuple[TrajectoryPoint, ...]
    floor: float | None
    synthetic: bool


def trajectories(result: RunResult) -> list[Trajectory]:
    """One trajectory for each check that any encoder was measured on."""
    gated = {row.after: row for row in result.dev if row.gated}
    rows = [row for row in result.dev if row.model == "encoder" and not row.gated]
    budgets = result.lock.gate.guard if result.lock.gate else {}
    found = []
    for check, info in result.checks.items():
        metric = f"{check}.{info.metric}"
        points = []
        for row in rows:
            left = gated.get(row.after, row)
            value, ungated = _value(left, check, info.metric), _value(row, check, info.metric)
            if value is not None and math.isfinite(value):
                points.append(TrajectoryPoint(row.name, value, ungated if ungated != value else None, left.differences.get(metric)))
        if points:
            budget = budgets.get(metric, -math.inf)
            floor = points[0].value + budget if budget > LOWEST_FLOOR else None
            found.append(Trajectory(check, info.metric, info.role, tuple(points), floor, info.synthetic))
    return found


def _value(row: DevMeasurement, check: str, metric: str) -> float | None:
    """The value of a metric, None where it was not measured."""
    return row.metrics.get(check, {}).get(metric)


@dataclass(frozen=True)
class DevRow:
    """A model on dev data: (value, change) of each check's main metric, and the gate's decision on it."""

    name: str
    cells: tuple[tuple[float | None, Difference | None], ...]
    gate: GateDecision | None


def dev_rows(result: RunResult) -> list[DevRow]:
    """Every model that was measured on dev data; a gate's decision is beside the model that it left."""
    gated = {row.after for row in result.dev if row.gated}
    rows = []
    for row in result.dev:
        cells = tuple(
            (_value(row, check, info.metric), row.differences.get(f"{check}.{info.metric}"))
            for check, info in result.checks.items()
        )
        rows.append(DevRow(row.name, cells, result.gate_of(row.after) if row.gated or row.after not in gated else None))
    return rows


@dataclass(frozen=True)
class LeakTable:
    """Rows of each step that also occur in dev or test data: counts by kind (exact, near_duplicate ...), and what was done."""

    kinds: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], str], ...]  # (step, counts, action)


def leak_table(result: RunResult) -> LeakTable:
    leaks = [(step.id, step.leaks) for step in result.steps if step.leaks and step.leaks.total]
    kinds = tuple(dict.fromkeys(kind for _, found in leaks for kind in found.counts))
    return LeakTable(
        kinds, tuple((name, tuple(found.counts.get(kind, 0) for kind in kinds), found.action) for name, found in leaks)
    )


@dataclass(frozen=True)
class RowFlow:
    """Rows into and out of a step (None where it did not count them), and its other counts."""

    step: StepResult
    rows_in: int | None
    counted_as: str
    other: Mapping[str, JsonValue]


def row_flow(result: RunResult) -> list[RowFlow]:
    flows = []
    for step in result.steps:
        counts = {name: value for name, value in step.counts.items() if value is not None}
        name, rows_in = next(((n, v) for n in ROWS_IN if isinstance(v := counts.get(n), int)), ("", None))
        hidden = (name, *SHOWN_ELSEWHERE)
        flows.append(RowFlow(step, rows_in, name, {n: v for n, v in counts.items() if n not in hidden}))
    return flows


def step_lengths(run: RunFolder) -> Iterator[tuple[str, ColumnLengths]]:
    """(step, lengths) of each column of texts that a step gave."""
    for step in run.result.steps:
        for lengths in text_lengths(run.step_folder(step), run.result.model_folder):
            yield step.id, lengths


def time_shares(result: RunResult) -> list[tuple[StepResult, float]]:
    """(step, its time as a share of the longest step's)."""
    longest = max((step.seconds for step in result.steps), default=0.0) or 1.0
    return [(step, step.seconds / longest) for step in result.steps]


def health_rows(result: RunResult) -> list[tuple[str, list[float | None]]]:
    """(measure of the embedding space, its value for each model of `result.health`)."""
    names = dict.fromkeys(name for values in result.health.values() for name in values)
    return [(name, [values.get(name) for values in result.health.values()]) for name in names]
