"""What a run folder holds for a report: the result, the per-example comparison, and what stages wrote beside their output."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from adapt import files
from adapt.errors import UserError
from adapt.escaping import unescape_cell
from adapt.results import RunResult, StepResult
from adapt.run_details import PER_EXAMPLE, MiningReport, PerExampleComparison, SilverSummary, TrainingCurve
from adapt.storage import digests

MINED_ROWS = 10  # shown of a table of mined passages
Detail = TypeVar("Detail", bound=BaseModel)


@dataclass(frozen=True)
class MinedRow:
    """A passage that mining found for a query: a hard negative, or a suspected positive. Scores are as the file holds them."""

    query: str
    positive: str
    passage: str
    score: str
    positive_score: str
    source: str  # retriever and rank, `bm25@3`


@dataclass(frozen=True)
class RunFolder:
    """A finished run. A report leaves out what its folder does not hold."""

    result: RunResult
    per_example: PerExampleComparison = field(default_factory=PerExampleComparison)

    @classmethod
    def read(cls, folder: Path) -> RunFolder:
        """Raises UserError where the folder holds no result, or a file in it is damaged."""
        result, file = RunResult.load(folder), folder / PER_EXAMPLE
        comparison = _load(file, PerExampleComparison)
        if comparison is not None and digests.read_verified(file) is None:
            raise UserError(f"{file}: has changed since it was written; run the recipe again: finished steps are cached")
        return cls(result, comparison or PerExampleComparison())

    def step_folder(self, step: StepResult) -> Path:
        return self.result.folder / step.folder

    def training_curve(self, step: StepResult) -> TrainingCurve | None:
        return _load(self.step_folder(step) / "training.json", TrainingCurve)

    def mining_report(self, step: StepResult) -> MiningReport | None:
        """Of a mining step; a stage of another package may use the file's name for something else."""
        return _load(self.step_folder(step) / "analysis.json", MiningReport) if step.stage == "mine" else None

    def silver_summary(self, step: StepResult) -> SilverSummary | None:
        """Of a silver step."""
        return _load(self.step_folder(step) / "summary.json", SilverSummary) if step.stage == "silver" else None

    def mined_rows(self, step: StepResult, table: Literal["hardest", "suspected"]) -> list[MinedRow]:
        """The first rows of a table of mined passages, without the apostrophes that disarm formulas in spreadsheets."""
        file = self.step_folder(step) / f"{table}.csv"
        if not file.is_file():
            return []
        names = ("anchor", "positive", {"hardest": "negative", "suspected": "suspect"}[table], "score", "positive_score", "found")
        rows = (row for _, row in islice(files.rows(file), MINED_ROWS))
        return [MinedRow(*(unescape_cell(str(row.get(name, ""))) for name in names)) for row in rows]


def _load(file: Path, kind: type[Detail]) -> Detail | None:
    """The value that a JSON file holds; None where there is no file."""
    if not file.is_file():
        return None
    try:
        return kind.model_validate(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:  # pydantic's ValidationError is a ValueError
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        raise UserError(f"{file}: is damaged ({reason}); run the recipe again: finished steps are cached") from None
