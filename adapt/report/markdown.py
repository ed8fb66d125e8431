"""A short report in GitHub's Markdown, for a pull request; texts of the data appear literally."""

from __future__ import annotations

from collections.abc import Sequence

from adapt.escaping import escape_markdown, markdown_code
from adapt.report import sections
from adapt.report.formatting import (
    MISSING,
    format_duration,
    format_interval,
    format_metric,
    format_p,
    format_points,
    format_value,
    model_name,
)
from adapt.report.run_folder import RunFolder
from adapt.results import RunResult, TopicComparison
from adapt.run_details import CheckComparison

SHOWN = 3  # items of either end of the sorted gains; topics: twice as many


def page(run: RunFolder) -> str:
    """The whole report, about a screen and a half, details folded."""
    result = run.result
    parts = [
        f"## {escape_markdown(result.recipe)}: {result.verdict.outcome}",
        escape_markdown(result.verdict.sentence),
        "; ".join(f"{escape_markdown(name)} {escape_markdown(value)}" for name, value in sections.headline(result)),
        *(f"> **Note** {escape_markdown(warning)}" for warning in result.warnings),
        *_test(result),
        *_steps(result),
        *_topics(result.topics),
    ]
    for name, check in run.per_example.checks.items():
        parts += _items(name, check)
    parts += _data(result)
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table whose cells appear literally."""
    lines = ["| " + " | ".join(escape_markdown(name) for name in columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(escape_markdown(cell, 200) for cell in row) + " |" for row in rows)])


def folded(title: str, *parts: str) -> str:
    """Parts that a click on the title unfolds."""
    return "\n\n".join([f"<details><summary>{escape_markdown(title)}</summary>", *(part for part in parts if part), "</details>"])


def _test(result: RunResult) -> list[str]:
    rows = [
        (
            row.metric, row.role, format_metric(row.base), format_metric(row.final), format_points(row.delta), format_interval(row),
            format_p(row.p), row.outcome,
        )
        for row in result.test
        if result.is_main(row.metric)
    ]  # fmt: skip
    columns = ("metric", "role", "base", "final", "change in points", "95 % interval", "p", "outcome")
    return ["### Test data", table(columns, rows)] if rows else []


def _steps(result: RunResult) -> list[str]:
    rows = []
    for row in sections.dev_rows(result):
        cells = [
            ("" if value is None else format_metric(value)) + (f" ({format_points(change.delta)})" if change else "")
            for value, change in row.cells
        ]
        rows.append([row.name, *cells, f"{row.gate.trial.outcome}; {row.gate.action}" if row.gate else ""])
    columns = ("model after", *(f"{name} {info.metric}" for name, info in result.checks.items()), "gate")
    return ["### Dev data after each step", table(columns, rows)] if rows else []


def _topics(topics: Sequence[TopicComparison]) -> list[str]:
    if not topics:
        return []
    worse = sum(row.outcome == "worse" for row in topics)
    rows = sorted(topics, key=lambda row: row.delta)
    shown = rows if len(rows) <= 4 * SHOWN else [*rows[: 2 * SHOWN], *rows[-2 * SHOWN :]]
    cells = [(row.topic, row.items, format_points(row.delta), format_interval(row), row.outcome) for row in shown]
    title = f"{len(topics)} topics, {worse} of them significantly worse"
    title += "; the worst and the best" if len(shown) < len(rows) else ""
    return [folded(title, table(("topic", "items", "change in points", "95 % interval", "outcome"), cells))]


def _items(name: str, check: CheckComparison) -> list[str]:
    """How many items gained and lost, the largest gains and losses, and the overlap of cosines."""
    parts = []
    if gains := check.gains:
        items = gains.items
        ends = [item for item in [*items[:SHOWN], *items[-SHOWN:]] if item.gain] if len(items) > 2 * SHOWN else items
        cells = [(" / ".join(i.texts), format_metric(i.base), format_metric(i.final), format_points(i.gain)) for i in ends]
        title = f"{name} {check.metric} by item: {gains.better:,} better, {gains.worse:,} worse, {gains.same:,} unchanged"
        parts.append(folded(title, table(("item", "base", "final", "change in points"), cells)))
    if cosines := check.cosines:
        base, final = cosines.base, cosines.final
        rows = [
            [format_value(part.get(series)) for part in (base.means, final.means, base.overlap, final.overlap)]
            for series in cosines.series
        ]
        first = cosines.series[0]
        columns = ("text pairs", "mean cosine, base", "final", f"overlap with {first}, base", "final")
        cells_of = [(series, *row) for series, row in zip(cosines.series, rows, strict=True)]
        parts.append(folded(f"{name}: cosines with the base and the final model", table(columns, cells_of)))
    return parts


def _data(result: RunResult) -> list[str]:
    rows = [
        (
            flow.step.id,
            flow.step.stage or "data",
            format_value(flow.rows_in),
            format_value(flow.step.rows),
            format_duration(flow.step.seconds),
            MISSING if flow.step.peak_memory_mb is None else f"{flow.step.peak_memory_mb:,.0f} MB",
        )
        for flow in sections.row_flow(result)
    ]
    flow = table(("step", "stage", "rows in", "rows out", "time", "peak memory"), rows)
    leaks = sections.leak_table(result)
    columns = ("rows that also occur in dev or test data", *leaks.kinds, "action")
    leaking = table(columns, [(name, *counts, action) for name, counts, action in leaks.rows]) if leaks.rows else ""
    made = f"Base model {markdown_code(model_name(result.model))}, seed {result.seed}, {format_duration(result.seconds)}."
    if result.environment:
        made += f" Computed on {escape_markdown(format_value(result.environment))}."
    versions = escape_markdown(format_value(result.lock.versions))
    return [folded("Data, time and memory of each step", flow, leaking), f"{made} {versions}"]
