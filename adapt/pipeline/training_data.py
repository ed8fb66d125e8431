"""A recipe's training data: read, limited, without repeats and without what dev and test data share with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from adapt import files
from adapt.checks import leakage
from adapt.errors import UserError
from adapt.job import Job
from adapt.recipe import Recipe
from adapt.recipe.wiring import DATA_KINDS
from adapt.records import Record
from adapt.results import LeakAction, LeakCounts


@dataclass(frozen=True)
class TrainingData:
    """Records to train on, the notes on reading them, the bad rows that were skipped, and the rows that leaked."""

    records: Sequence[Record]
    notes: Sequence[str] = ()
    skipped: int = 0
    leaks: LeakCounts | None = None


def read(recipe: Recipe, name: str, protected: leakage.ProtectedTexts, job: Job) -> TrainingData:
    """The recipe's data of that name; skipped rows are written to `rejected.jsonl` in the job's folder. Raises UserError."""
    import numpy as np

    source = recipe.data[name]
    left_out: Counter[str] = Counter()
    with files.reading(recipe.read_options(name)) as log:
        rows = files.read(source, DATA_KINDS[name], left_out)
    log.write_rejected(job.out / "rejected.jsonl")
    for text in log.notes:
        job.note(text)
    if log.rejections:
        job.counts["bad_rows_skipped"] = log.rejections
    job.counts.update(left_out)
    for reason, count in left_out.items():
        job.note(f"{source}: {count:,} left out: {reason}")
    numbers = {leakage.sides(record): row for row, record in enumerate(rows, 1)}
    records = list({leakage.sides(record): record for record in rows}.values())
    repeats = len(rows) - len(records)
    if recipe.limit and len(records) > recipe.limit:
        drawn = np.random.default_rng(recipe.seed).permutation(len(records))[: recipe.limit]
        records = [records[i] for i in sorted(drawn)]
    job.counts.update(read=len(rows), repeats=repeats)
    own = [numbers[leakage.sides(record)] for record in records]
    kept, leaks = without_leaks(records, protected, recipe.leaks, str(source), job, own)
    job.note(f"{name}: {len(rows):,} rows read, {len(kept):,} kept; {repeats:,} duplicates")
    if not kept:
        raise UserError(f"{source}: every row is in dev or test data too; give other rows to train on")
    return TrainingData(kept, log.notes, log.rejections, leaks)


def without_leaks(
    records: Sequence[Record],
    protected: leakage.ProtectedTexts,
    mode: leakage.Mode,
    source: str,
    job: Job,
    numbers: Sequence[int] | None = None,
) -> tuple[Sequence[Record], LeakCounts | None]:
    """(the records that may be trained on, the counts of those that leaked); see `leakage.filter_leaks`."""
    filtered = leakage.filter_leaks(records, protected, mode, source, numbers, job)
    if not filtered.counts.total():
        return records, None  # as they are: made on demand, they need not be held in memory
    job.note(f"{source}: {filtered.summary()}")
    action: LeakAction = "removed" if mode != "allow" else "transductive" if filtered.unlabelled else "allowed"
    counts = {kind: count for kind, count in filtered.counts.items() if count}
    return cast("Sequence[Record]", filtered.kept), LeakCounts(action=action, counts=counts)
