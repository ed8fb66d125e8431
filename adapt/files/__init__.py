"""Read and write records in users' formats: .txt, .jsonl, .csv, .tsv, .parquet (also .gz), BEIR folders, the hub.

Which columns make which records is defined by the table in `adapt.files.row_formats`.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapt.errors import UserError, limit_problems
from adapt.files import beir, row_formats
from adapt.files.columns import ColumnError, Columns
from adapt.files.delimited import BadRow
from adapt.files.line_reader import regular_file
from adapt.files.memory import MemoryRows, Source
from adapt.files.options import ReadLog, ReadOptions, current_log, note, reading
from adapt.files.problems import BadRowCollector
from adapt.files.rows import SUFFIXES, count_rows, format_of, output_format, rows
from adapt.files.values import RowError
from adapt.files.writing import to_row, write

__all__ = [
    "SUFFIXES", "BadRow", "BadRowCollector", "MemoryRows", "ReadLog", "ReadOptions", "Source", "count_rows", "current_log",
    "format_of", "note", "output_format", "read", "reading", "regular_file", "rows", "to_row", "write",
]  # fmt: skip

MAX_COLUMN_ERRORS = 100  # rows without the required columns, after which reading stops


def read(source: Source, kind: str, left_out: Counter[str] | None = None) -> list[Any]:
    """All records of one kind: `texts`, `pairs`, `scored`, `triplets`, `labelled`, `parallel`; or of several kinds, by spaces.

    Of several kinds, the first row selects one: triplets where it has negatives, scored where it has sentence1, else the first
    kind. Pairs of a BEIR folder come from its training split.

    `left_out` counts rows that make no record, by reason; without it they are noted. The current options (see
    `adapt.files.options`) determine how bad rows are handled. Raises UserError with all bad rows.
    """
    if kind.split()[0] == "pairs" and not isinstance(source, MemoryRows) and beir.is_beir_folder(source):
        return beir.training_pairs(source)
    counted: Counter[str] = Counter()
    bad, parts = BadRowCollector(source), []
    columns: Columns | None = None
    misfit: ColumnError | None = None
    try:
        for number, (where, row) in enumerate(rows(source), 1):
            if isinstance(row, BadRow):
                bad.add(where, row.why, row.raw)
                continue
            try:
                columns = columns or Columns(source, row, kind.split(), where)
                record = columns.form.read(columns(row), number)
            except ColumnError as wrong:  # a JSON row may lack what the others have
                misfit = misfit or wrong
                if bad.add(where, str(wrong).partition(": ")[2], row) >= MAX_COLUMN_ERRORS:
                    raise misfit from None
                continue
            except RowError as wrong:
                bad.add(where, str(wrong), row)
                continue
            if record is None:
                counted[columns.form.none] += 1
            else:
                parts.append(record)
    except UserError as error:  # of the file as a whole
        raise UserError([*error.problems, *(() if error is misfit else limit_problems(bad.problems()))]) from None
    if misfit and columns is None:
        raise misfit
    bad.finish()
    found = columns.form.gather(parts, counted) if columns else []
    if not found:
        reasons = "".join(f" Left out: {count:,} {reason}." for reason, count in counted.items()) + bad.said()
        first = kind.split()[0]
        raise UserError(f"{source}: holds no {first}; expected {row_formats.EXPECTED_COLUMNS[first]}.{reasons}")
    if left_out is None:
        for reason, count in counted.items():
            note(f"{source}: {count:,} left out: {reason}")
    else:
        left_out.update(counted)
    return found
