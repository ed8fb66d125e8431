"""Writing of records, atomically, in the format of the file's suffix."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from adapt.escaping import escape_data_cell
from adapt.files.rows import format_of
from adapt.records import Text
from adapt.storage.atomic import atomic_file


def to_row(record: object) -> dict[str, Any]:
    """A record as {column: value}, in the columns that sentence-transformers uses, without empty optional fields.

    A text's title has its own column and `text` holds the body; `read` joins them again.
    """
    row = {name: value for name, value in vars(record).items() if value != "" or name == "text"}
    if isinstance(record, Text):
        row["text"] = record.body
    negatives = row.pop("negatives", None)
    if negatives is not None:
        origin = row.pop("origin", None)
        names = ["negative"] if len(negatives) == 1 else [f"negative_{i}" for i in range(1, len(negatives) + 1)]
        row.update(zip(names, negatives, strict=True))
        if origin:
            row["origin"] = origin
    return row


def write(records: Collection[object], target: str | Path) -> Path:
    """Write records in the format of the suffix, atomically; returns the path. Raises UserError and OSError.

    `records` is iterated twice and never copied, so that a `LazySequence` takes no memory.
    """
    path = Path(target)
    suffix = format_of(path)
    columns = list(dict.fromkeys(name for record in records for name in to_row(record)))
    table = (to_row(record) for record in records)
    with atomic_file(path) as aside:
        if suffix == ".parquet":
            _write_parquet(table, columns, aside)
        else:
            _write_text(table, columns, aside, suffix)
    return path


def _write_text(table: Iterator[Mapping[str, object]], columns: Sequence[str], path: Path, suffix: str) -> None:
    opener: Callable[..., Any] = gzip.open if path.name.endswith(".gz") else open
    with opener(path, "wt", encoding="utf-8", newline="") as file:
        if suffix == ".jsonl":
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        elif suffix == ".txt":
            file.writelines(" ".join(f"{row.get('title', '')} {row['text']}".split()) + "\n" for row in table)
        else:
            form: dict[str, Any] = {"delimiter": "\t" if suffix == ".tsv" else ",", "lineterminator": "\n"}
            writer = csv.DictWriter(file, columns, **form)
            quoting = csv.DictWriter(file, columns, **form, quoting=csv.QUOTE_ALL)
            writer.writeheader()
            for row in table:
                cells = {name: escape_data_cell(value) if isinstance(value, str) else value for name, value in row.items()}
                # A lone carriage return ends a line when read, and csv does not quote it by default.
                (quoting if any("\r" in str(cell) for cell in cells.values()) else writer).writerow(cells)


def _write_parquet(table: Iterator[Mapping[str, object]], columns: Sequence[str], path: Path, chunk: int = 20_000) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    writer = None
    while rows := list(islice(table, chunk)):
        part = arrow.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows])
        if writer is None:
            # A column without values so far is a string: all optional fields are texts.
            kinds = [f.with_type(arrow.string()) if arrow.types.is_null(f.type) else f for f in part.schema]
            writer = parquet.ParquetWriter(path, arrow.schema(kinds))
        writer.write_table(part.cast(writer.schema))
    if writer is None:
        writer = parquet.ParquetWriter(path, arrow.schema([(name, arrow.string()) for name in columns]))
    writer.close()
