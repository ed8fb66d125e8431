"""A run made visible: one HTML file without anything from elsewhere, and the model's card."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt.errors import UserError


def write_report(run: Path) -> Path:
    """Write `report.html` from the run's `results.json`; raises UserError where there is none."""
    import jinja2

    file = run / "results.json"
    if not file.is_file():
        raise UserError(f"{run}: holds no results.json; give the folder of a finished run, for example runs/medical-recipe")
    results = json.loads(file.read_text(encoding="utf-8"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(points=lambda x: f"{100 * x:+.1f}", value=lambda x: f"{x:.4f}", count=_count)
    text = environment.get_template("report.html.j2").render(r=results, gates=_gates(results))
    target, aside = run / "report.html", run / f".report.{os.getpid()}.html"
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, target)
    return target


def _gates(results: Mapping[str, Any]) -> dict[str, Any]:
    return {step["step"]: step for step in results["steps"] if step["stage"] == "gate"}


def _count(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def model_card(results: Mapping[str, Any]) -> str:
    """A card for the finished model: what it comes from, how it was made, what was measured; no training row is shown."""
    steps = "\n".join(f"{n}. {s['id']}: {s['stage']}" for n, s in enumerate(results["lock"]["steps"], 1))
    rows = "\n".join(
        f"| {r['metric']} | {r['role']} | {r['base']:.4f} | {r['final']:.4f} | {100 * r['delta']:+.1f} "
        f"| {100 * r['low']:+.1f} to {100 * r['high']:+.1f} |"
        for r in results["test"]
    )
    return f"""---
tags: [sentence-transformers, sentence-similarity, feature-extraction]
pipeline_tag: sentence-similarity
library_name: sentence-transformers
---
# {results["recipe"]}

{results["description"]}

`{results["model"]}` adapted to its domain with the recipe `{results["recipe"]}` (seed {results["seed"]}).

    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer("path/to/this/folder")

## How it was made
{steps}

## On test data
| metric | role | base | this model | change in points | 95 % interval |
|---|---|---|---|---|---|
{rows}

{results["verdict"]["word"]}: {results["verdict"]["sentence"]}
"""
