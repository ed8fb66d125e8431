"""Read and write records in users' formats: .txt, .jsonl, .csv, .tsv, .parquet (also .gz), BEIR folders, the hub.

What a file's rows become is decided in one place, the table of `adapt.files.forms`.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from adapt.errors import UserError, gathered
from adapt.files import forms
from adapt.files.rows import SUFFIXES, count_rows, format_of, rows
from adapt.files.writing import as_row, write

__all__ = ["SUFFIXES", "as_row", "count_rows", "format_of", "read", "rows", "write"]


def read(source: str | Path, kind: str, left_out: Counter[str] | None = None) -> list[Any]:
    """All records of one kind: `texts`, `pairs`, `scored`, `triplets`, `labelled`, `parallel`; or several words.

    Of several kinds the first row decides: what has negatives is triplets, what has sentence1 is scored, all else is the first
    kind named. `left_out` is added to: how many rows made no record, by reason. Raises UserError with every bad row at once.
    """
    problems: list[str] = []
    parts: list[Any] = []
    left_out = Counter() if left_out is None else left_out
    form: forms.Form | None = None
    for number, (where, row) in enumerate(rows(source), 1):
        try:
            if set(row) == {""}:
                raise forms.Bad(row[""])
            if form is None:
                form = forms.of(row, kind.split())
            record = form.read(row, number)
        except forms.Bad as bad:
            problems.append(f"{where}: {bad}")
            continue
        if record is None:
            left_out[form.none] += 1
        else:
            parts.append(record)
    if problems:
        raise UserError(gathered(problems))
    found = form.gather(parts, left_out) if form else []
    if not found:
        reasons = "".join(f" Left out: {count:,} {reason}." for reason, count in left_out.items())
        first = kind.split()[0]
        raise UserError(f"{source}: holds no {first}; expected {forms.COLUMNS[first]}.{reasons}")
    return found
