"""Read and write records in users' formats: .txt, .jsonl, .csv, .tsv, .parquet (also .gz), BEIR folders, the hub.

What a file's rows become is decided in one place, the table of `adapt.files.forms`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapt.errors import UserError, gathered
from adapt.files import beir, forms
from adapt.files.columns import Columns, Misfit
from adapt.files.delimited import BadRow
from adapt.files.memory import MemoryRows, Source
from adapt.files.opening import regular
from adapt.files.options import ReadLog, ReadOptions, current, note, reading
from adapt.files.problems import BadRows
from adapt.files.rows import SUFFIXES, count_rows, format_of, output_format, rows
from adapt.files.values import Bad
from adapt.files.writing import as_row, write

__all__ = [
    "SUFFIXES", "BadRow", "BadRows", "MemoryRows", "ReadLog", "ReadOptions", "Source", "as_row", "count_rows", "current",
    "format_of", "note", "output_format", "read", "reading", "regular", "rows", "write",
]  # fmt: skip

MISFITS = 100  # first rows without the columns that are needed, after which none is expected to have them


def read(source: Source, kind: str, left_out: Counter[str] | None = None) -> list[Any]:
    """All records of one kind: `texts`, `pairs`, `scored`, `triplets`, `labelled`, `parallel`; or several words.

    Of several kinds the first row decides: what has negatives is triplets, what has sentence1 is scored, all else is the first
    kind named; of a BEIR folder its training split makes the pairs.

    `left_out` is added to: how many rows made no record, by reason; where it is not given, this is noted. The options
    in force (see `adapt.files.options`) say what becomes of a bad row. Raises UserError with every bad row at once.
    """
    if kind.split()[0] == "pairs" and not isinstance(source, MemoryRows) and beir.is_judged(source):
        return beir.pairs(source)
    counted: Counter[str] = Counter()
    bad, parts = BadRows(source), []
    columns: Columns | None = None
    misfit: Misfit | None = None
    try:
        for number, (where, row) in enumerate(rows(source), 1):
            if isinstance(row, BadRow):
                bad.add(where, row.why, row.raw)
                continue
            try:
                columns = columns or Columns(source, row, kind.split(), where)
                record = columns.form.read(columns(row), number)
            except Misfit as wrong:  # a JSON row may lack what the others have
                misfit = misfit or wrong
                if bad.add(where, str(wrong).partition(": ")[2], row) >= MISFITS:
                    raise misfit from None
                continue
            except Bad as wrong:
                bad.add(where, str(wrong), row)
                continue
            if record is None:
                counted[columns.form.none] += 1
            else:
                parts.append(record)
    except UserError as error:  # of the file as a whole
        raise UserError([*error.problems, *(() if error is misfit else gathered(bad.problems()))]) from None
    if misfit and columns is None:
        raise misfit
    bad.finish()
    found = columns.form.gather(parts, counted) if columns else []
    if not found:
        reasons = "".join(f" Left out: {count:,} {reason}." for reason, count in counted.items()) + bad.said()
        first = kind.split()[0]
        raise UserError(f"{source}: holds no {first}; expected {forms.COLUMNS[first]}.{reasons}")
    if left_out is None:
        for reason, count in counted.items():
            note(f"{source}: {count:,} left out: {reason}")
    else:
        left_out.update(counted)
    return found
