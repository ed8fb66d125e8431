"""What a run folder holds for a report: results, evidence, and the files that stages left beside their products."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from adapt import files
from adapt.errors import UserError
from adapt.escaping import unescape_cell
from adapt.report.bridge import dictionaries
from adapt.results import RunResult
from adapt.storage import digests

TABLE_ROWS = 10  # shown of a table of texts


@dataclass(frozen=True)
class Found:
    """A finished run. What a folder lacks is empty here: a report shows what there is."""

    folder: Path
    results: Mapping[str, Any]
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seeds: list[dict[str, Any]] = field(default_factory=list)

    def folder_of(self, step: Mapping[str, Any]) -> Path:
        """Where a step's artifact stands."""
        return self.folder / f"{step['step']}-{step['key']}"

    def beside(self, step: Mapping[str, Any], name: str) -> Any:
        """A JSON file that a step left (None where it left none): receipt, training, analysis, summary."""
        return _json(self.folder_of(step) / f"{name}.json")

    def table(self, step: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
        """The first rows of a CSV table that a step left, without the apostrophes that keep formulas from spreadsheets."""
        file = self.folder_of(step) / f"{name}.csv"
        if not file.is_file():
            return []
        return [{name: unescape_cell(str(cell)) for name, cell in row.items()} for _, row in islice(files.rows(file), TABLE_ROWS)]


def read(run: Path) -> Found:
    """The run in a folder; raises UserError where it holds no results, or a file of it is damaged."""
    results = _json(run / "results.json", sealed=True)
    if results is None:
        raise UserError(f"{run}: holds no results.json; give the folder of a finished run, for example runs/medical-recipe")
    if isinstance(results, dict) and "schema_version" in results:
        results = dictionaries(RunResult.load(run))
    return Found(run, results, _json(run / "evidence.json", sealed=True) or {}, _json(run / "seeds.json") or [])


def _json(file: Path, sealed: bool = False) -> Any:
    """What a JSON file holds, None without one; of a sealed one, held against its digest where it has one."""
    if not file.is_file():
        return None
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{file}: is damaged ({error}); run the recipe again to have it written anew") from None
    if sealed and isinstance(found, dict) and digests.DIGEST_KEY in found and digests.read_verified(file) is None:
        raise UserError(f"{file}: has changed since it was written; run the recipe again to have it written anew")
    return found
