"""The report as one HTML page: no script, nothing loaded from elsewhere, every text of the data escaped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from adapt.escaping import clean
from adapt.report import formatting, plots, sections
from adapt.report.run_folder import Found
from adapt.run_details import MiningReport


def page(found: Found) -> str:
    """The whole page."""
    import jinja2
    import yaml

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined, finalize=_harmless,
    )  # fmt: skip
    environment.filters.update(
        points=formatting.points, metric=formatting.metric, chance=formatting.chance, seconds=formatting.seconds,
        shown=formatting.shown,
        interval=formatting.interval, colour=lambda word: word if word in sections.WORDS else "plain", bar=plots.bar,
        spaced=lambda name: str(name).replace("_", " "),
    )  # fmt: skip
    results = found.results
    lock = yaml.safe_dump(dict(results.get("lock", {})), sort_keys=False, allow_unicode=True)
    return environment.get_template("report.html.j2").render(
        r=results,
        verdict=sections.verdict(found),
        test=_test(found),
        ways=[{**way, "plot": plots.way(way["stops"], _title(way), way["floor"])} for way in sections.ways(found)],
        after=sections.after_steps(found),
        cohorts=_cohorts(results.get("cohorts") or []),
        branches=results.get("branches") or [],
        seeds=found.seeds,
        sweep=results.get("sweep") or [],
        items=[_items(name, check) for name, check in found.evidence.get("checks", {}).items()],
        mined=[mined for step in results["steps"] if (mined := _mined(found, step))],
        silver=[silver for step in results["steps"] if (silver := _silver(found, step))],
        curves=[curve for step in results["steps"] if (curve := _curve(found, step))],
        flow=sections.flow(found),
        lengths=sections.lengths_of_texts(found),
        leaks=sections.leaks(found),
        times=sections.times(found),
        health=sections.health(found),
        speed={name: value for name, value in (results.get("speed") or {}).items() if value is not None},
        environment=results.get("environment") or {},
        lock=Markup("<pre>{}</pre>").format(clean(lock, 100_000)),
    )


def _harmless(value: Any) -> Any:
    """Whatever a template prints: pictures as they are, all else as cleaned text, which is then escaped."""
    return value if isinstance(value, Markup) else clean(str(value))


def _title(way: Mapping[str, Any]) -> str:
    return f"{way['check']} {way['metric']} on dev data after each step"


def _test(found: Found) -> dict[str, Any]:
    rows = found.results.get("test") or []
    main = [row for row in rows if sections.is_main(found, row["metric"])]
    return {"rows": rows, "plot": plots.forest(main, "change of each metric on test data") if main else None}


def _cohorts(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows, worst first, and the plot of the eight worst and the eight best where there are more."""
    rows = sorted(rows, key=lambda row: row["delta"])
    drawn = rows if len(rows) <= 16 else [*rows[:8], *rows[-8:]]
    named = [{**row, "metric": f"{clean(row['topic'], 26)} ({row.get('items', 0):,})"} for row in drawn]
    return {"rows": rows, "drawn": len(drawn), "plot": plots.forest(named, "change in each topic") if named else None}


def _items(name: str, check: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of a check's single items: the sorted gains, the ends of that list, cosines, neighbours."""
    shown = {"check": name, "metric": check["metric"], "gains": None, "cosines": None, "neighbours": check.get("neighbours") or []}
    if gains := check.get("gains"):
        rows = gains["rows"]
        ends = [row for row in [*rows[:6], *rows[-6:]] if row["gain"]] if len(rows) > 12 else [row for row in rows if row["gain"]]
        picture = plots.gains([row["gain"] for row in rows], f"change of {check['metric']} for each item, sorted")
        shown["gains"] = {**gains["counts"], "items": check.get("items", len(rows)), "plot": picture, "ends": ends}
    if cosines := check.get("cosines"):
        shown["cosines"] = _before_and_after(cosines)
    return shown


def _before_and_after(cosines: Mapping[str, Any]) -> dict[str, Any]:
    """Two histograms on the same axes, cut to where there is anything."""
    sides = {side: cosines[side]["counts"] for side in ("before", "after")}
    filled = [i for series in sides.values() for counts in series.values() for i, count in enumerate(counts) if count]
    first, last = max(0, min(filled, default=0) - 1), min(cosines["bins"], max(filled, default=cosines["bins"] - 1) + 2)
    width = (cosines["to"] - cosines["from"]) / cosines["bins"]
    low, high = cosines["from"] + first * width, cosines["from"] + last * width
    cut = {side: {name: counts[first:last] for name, counts in series.items()} for side, series in sides.items()}
    top = plots.highest(*cut.values())
    return {
        "series": cosines["series"],
        "sides": [
            {
                "name": side, "plot": plots.histogram(series, low, high, f"cosines {side}", top),
                "means": cosines[side]["means"], "overlap": cosines[side]["overlap"],
            }
            for side, series in cut.items()
        ],
    }  # fmt: skip


def _mined(found: Found, step: Mapping[str, Any]) -> dict[str, Any] | None:
    """The pictures and tables that a mining step left."""
    held = found.beside(step, "analysis")
    if held is None:
        return None
    report = MiningReport.model_validate(held)
    counts = {name: list(series) for name, series in report.histograms.items()}
    side = {"from": -1.0, "to": 1.0, "bins": len(counts["positives"]), "series": list(counts)}
    one = {"counts": counts, "means": {}, "overlap": report.overlap_with_positives}
    picture = _before_and_after({**side, "before": one, "after": one})["sides"][0]["plot"]
    return {
        "step": step["step"], "plot": picture, "series": list(counts), "overlap": one["overlap"],
        "called": report.cross_encoder_positive_rate,
        "hardest": found.table(step, "hardest"), "suspected": found.table(step, "suspected"),
        "suspects": step.get("counts", {}).get("suspected_positives", 0),
    }  # fmt: skip


def _silver(found: Found, step: Mapping[str, Any]) -> dict[str, Any] | None:
    """Scores of silver pairs beside those of gold ones and of all candidates."""
    summary = found.beside(step, "summary")
    if summary is None or "histogram" not in summary:
        return None
    known = summary["histogram"]
    series = {name: known[name] for name in ("gold", "silver", "candidates") if known.get(name)}
    picture = plots.histogram(series, 0.0, 1.0, "scores of gold pairs, silver pairs and candidates")
    hidden = ("histogram", "distance_before", "distance_after")
    facts = sections.flat({name: value for name, value in summary.items() if name not in hidden})
    return {"step": step["step"], "plot": picture, "series": list(series), "facts": dict(facts)}


def _curve(found: Found, step: Mapping[str, Any]) -> dict[str, Any] | None:
    """A training step's losses."""
    training = found.beside(step, "training")
    if not training or not training.get("losses"):
        return None
    losses, held_out = training["losses"], training.get("held_out") or []
    label = f"loss of {step['step']} over {len(losses):,} steps"
    return {"step": step["step"], "steps": len(losses), "held_out": held_out, "plot": plots.curve(losses, held_out, label)}
