"""The report in short as GitHub's Markdown, to paste into a pull request; texts of the data show letter by letter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adapt.escaping import escape_markdown, markdown_code
from adapt.report import sections
from adapt.report.formatting import chance, interval, metric, model_name, points, seconds, shown
from adapt.report.run_folder import Found

SHOWN = 3  # of each kind of thing that a page shows in full


def page(found: Found) -> str:
    """The whole report, about a screen and a half, details folded."""
    results = found.results
    said = sections.verdict(found)
    facts = "; ".join(
        f"{escape_markdown(name)} {chance(value) if name == 'p' else escape_markdown(shown(value))}"
        for name, value in said["facts"]
    )
    parts = [
        f"## {escape_markdown(results['recipe'])}: {escape_markdown(said['word'])}",
        escape_markdown(said["sentence"]),
        facts,
        *(f"> **Note** {escape_markdown(warning)}" for warning in said["warnings"]),
    ]
    if rows := [row for row in results.get("test") or [] if sections.is_main(found, row["metric"])]:
        parts.append("### On test data")
        parts.append(
            table(
                ("metric", "role", "base", "final", "change in points", "95 % interval", "p", "verdict"),
                [
                    (
                        r["metric"],
                        r["role"],
                        metric(r["base"]),
                        metric(r["final"]),
                        points(r["delta"]),
                        interval(r),
                        chance(r.get("p")),
                        r["verdict"],
                    )
                    for r in rows
                ],
            )
        )
    parts += _steps(found)
    parts += _topics(results.get("cohorts") or [])
    for name, check in found.evidence.get("checks", {}).items():
        parts += _items(name, check)
    parts += _data(found)
    return "\n\n".join(part for part in parts if part) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A table; its cells are shown letter by letter."""
    lines = ["| " + " | ".join(escape_markdown(name) for name in columns) + " |", "|" + "---|" * len(columns)]
    return "\n".join([*lines, *("| " + " | ".join(escape_markdown(cell, 200) for cell in row) + " |" for row in rows)])


def folded(title: str, *parts: str) -> str:
    """Parts under a line that opens them."""
    return "\n\n".join([f"<details><summary>{escape_markdown(title)}</summary>", *(part for part in parts if part), "</details>"])


def _steps(found: Found) -> list[str]:
    names = list(found.results.get("main", {}))
    rows = []
    for row in sections.after_steps(found):
        cells = [
            ""
            if cell["value"] is None
            else metric(cell["value"]) + (f" ({points(cell['change']['delta'])})" if cell["change"] else "")
            for cell in row["cells"]
        ]
        gate = f"{row['gate']['word']}; {row['gate']['action']}" if row["gate"] else ""
        rows.append([row["after"], *cells, gate])
    if not rows:
        return []
    heads = [f"{name} {found.results['main'][name]}" for name in names]
    return ["### On dev data, after each step", table(["after", *heads, "gate"], rows)]


def _topics(cohorts: Sequence[dict[str, Any]]) -> list[str]:
    if not cohorts:
        return []
    worse = [row for row in cohorts if row["verdict"] == "worse"]
    title = f"{len(cohorts)} topics, {len(worse)} of them significantly worse; the worst and the best"
    rows = sorted(cohorts, key=lambda row: row["delta"])
    rows = rows if len(rows) <= 4 * SHOWN else [*rows[: 2 * SHOWN], *rows[-2 * SHOWN :]]
    cells = [(row.get("topic", ""), row.get("items", ""), points(row["delta"]), interval(row), row["verdict"]) for row in rows]
    return [folded(title, table(("topic", "items", "change in points", "95 % interval", "verdict"), cells))]


def _items(name: str, check: dict[str, Any]) -> list[str]:
    """How many items gained and lost, the ends of the list, and overlaps of cosines."""
    parts = []
    if gains := check.get("gains"):
        counts, rows = gains["counts"], gains["rows"]
        ends = [row for row in [*rows[:SHOWN], *rows[-SHOWN:]] if row["gain"]] if len(rows) > 2 * SHOWN else rows
        changed = f"{counts['better']:,} better, {counts['worse']:,} worse, {counts['same']:,} the same"
        parts.append(
            folded(
                f"{name} {check['metric']}, item by item: {changed}",
                table(
                    ("item", "before", "after", "change in points"),
                    [(" / ".join(row["texts"]), metric(row["before"]), metric(row["after"]), points(row["gain"])) for row in ends],
                ),
            )
        )
    if cosines := check.get("cosines"):
        before, after = cosines["before"], cosines["after"]
        rows = [(series, before["means"].get(series), after["means"].get(series)) for series in cosines["series"]]
        cells = [
            (series, shown(old), shown(new), shown(before["overlap"].get(series)), shown(after["overlap"].get(series)))
            for series, old, new in rows
        ]
        first = cosines["series"][0]
        heads = ("cosines of", "mean before", "mean after", f"overlap with {first} before", "after")
        parts.append(folded(f"{name}: cosines before and after", table(heads, cells)))
    return parts


def _data(found: Found) -> list[str]:
    memory = {row["step"]: row for row in sections.times(found)}
    rows = []
    for row in sections.flow(found):
        spent = memory[row["step"]]
        peak = "" if spent["memory"] is None else f"{spent['memory']:,.0f} MB"
        rows.append((row["step"], row["stage"], shown(row["given"]), shown(row["out"]), seconds(spent["seconds"]), peak))
    flow = table(("step", "stage", "rows in", "rows out", "time", "peak memory"), rows)
    stood = sections.leaks(found)
    leaks = ""
    if stood["rows"]:
        heads = ("also in dev or test", *stood["kinds"], "what was done")
        leaks = table(heads, [(row["step"], *row["counts"], row["mode"]) for row in stood["rows"]])
    results = found.results
    versions = shown(results.get("lock", {}).get("versions") or {})
    made = f"Base {markdown_code(model_name(results['model']))}, seed {results['seed']}, in {seconds(results.get('seconds'))}."
    made += f" Computed on {escape_markdown(shown(results['environment']))}." if results.get("environment") else ""
    return [folded("Data, time and memory of each step", flow, leaks), f"{made} {escape_markdown(versions)}"]
