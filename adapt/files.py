"""Read and write records in users' formats: .txt, .jsonl, .csv, .tsv, .parquet (also .gz), BEIR folders, the hub."""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

from adapt.errors import UserError, did_you_mean, gathered
from adapt.records import Pair, ScoredPair, Text, Triplet

SUFFIXES = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")
NLI_ENTAILMENT = {"entailment", "0", 0}


# ---------------------------------------------------------------------------------------------- rows of a file


def format_of(path: Path) -> str:
    """The data format by name, with `.gz` set aside; raises UserError for one that is not known."""
    name = path.name.removesuffix(".gz")
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise UserError(f"{path}: unknown file format. Known: {', '.join(SUFFIXES)} (each also .gz), a BEIR folder, hf://...")


def rows(source: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a data source as (where it stands, {column: value}).

    A BEIR folder gives its `corpus.jsonl`; `hf://owner/name[:config]/split` is loaded with the `datasets` library.
    Values keep their text: `NA` and `0012` in a CSV stay strings. Raises UserError where the source can't be read.
    """
    if str(source).startswith("hf://"):
        yield from _hub_rows(str(source))
        return
    path = Path(source)
    if path.is_dir():
        found = [path / n for n in ("corpus.jsonl", "corpus.jsonl.gz") if (path / n).is_file()]
        if not found:
            raise UserError(f"{path}: is a folder without corpus.jsonl; give a file, or a BEIR folder")
        path = found[0]
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*")] if path.parent.is_dir() else []
        raise UserError(f"{path}: no such file.{did_you_mean(path.name, near, tell_all=False)}")
    suffix = format_of(path)
    if suffix == ".parquet":
        import pyarrow.parquet as parquet

        for number, row in enumerate(parquet.read_table(path).to_pylist(), 1):
            yield f"{path} row {number}", row
        return
    try:
        with _open_text(path) as file:
            yield from _text_rows(path, suffix, file)
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError) as error:
        raise UserError(f"{path}: can't be read as UTF-8 text ({error}). Save it as UTF-8.") from None


def _open_text(path: Path) -> io.TextIOBase:
    opener: Callable[..., Any] = gzip.open if path.name.endswith(".gz") else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _text_rows(path: Path, suffix: str, file: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    if suffix == ".txt":
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"{path} line {number}", {"text": line.strip()}
    elif suffix == ".jsonl":
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                row = f"is not JSON ({error.msg}, column {error.colno})"
            yield f"{path} line {number}", row if isinstance(row, dict) else {"": row}
    else:
        csv.field_size_limit(1 << 30)
        reader = csv.DictReader(file, delimiter="\t" if suffix == ".tsv" else ",")
        for row in reader:
            yield f"{path} line {reader.line_num}", row


def _hub_rows(source: str) -> Iterator[tuple[str, dict[str, Any]]]:
    name, _, split = source.removeprefix("hf://").rpartition("/")
    name, _, config = name.partition(":")
    if name.count("/") != 1 or not split:
        raise UserError(f"{source}: write hf://owner/name/split or hf://owner/name:config/split")
    try:
        from datasets import load_dataset

        table = load_dataset(name, config or None, split=split)
    except Exception as error:  # the hub's client raises many kinds; all of them mean "could not be loaded"
        raise UserError(f"{source}: could not be loaded from the hub ({type(error).__name__}: {error})") from None
    for number, row in enumerate(table, 1):
        yield f"{source} row {number}", dict(row)


# ---------------------------------------------------------------------------------------------- records of a kind


class _Bad(Exception):
    """A row that can't become a record; the message says why."""


def _string(row: dict[str, Any], *names: str) -> str:
    for name in names:
        value = row.get(name)
        if value is None:
            continue
        if not isinstance(value, str):
            raise _Bad(f"column '{name}' holds {type(value).__name__}, expected text")
        if value.strip():
            return value.strip()
        raise _Bad(f"column '{name}' is empty")
    if isinstance(row.get(""), str):
        raise _Bad(row[""])
    raise _Bad(f"no column '{names[0]}'.{did_you_mean(names[0], [str(k) for k in row if k])}")


def _score(row: dict[str, Any]) -> float:
    value = row.get("score", row.get("label"))
    if value is None:
        raise _Bad(f"no column 'score'.{did_you_mean('score', [str(k) for k in row if k])}")
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise _Bad(f"score {value!r} is not a number") from None
    if not math.isfinite(score):
        raise _Bad(f"score {value!r} is not a finite number")
    if not 0 <= score <= 1:
        raise _Bad(f"score {score:g} is outside 0 to 1; divide by the scale's maximum (5 for STS)")
    return score


def _optional(row: dict[str, Any], *names: str) -> str:
    return next((str(row[n]) for n in names if row.get(n) not in (None, "")), "")


def _as_text(row: dict[str, Any], number: int) -> Text:
    title = row.get("title")
    text = _string(row, "text")
    joined = f"{title.strip()} {text}" if isinstance(title, str) and title.strip() else text
    return Text(_optional(row, "_id", "id") or str(number), joined, _optional(row, "group", "topic"), _optional(row, "origin"))


def _as_pair(row: dict[str, Any], number: int) -> Pair | None:
    if "premise" in row and "hypothesis" in row:
        if row.get("label") not in NLI_ENTAILMENT:
            return None
        return Pair(_string(row, "premise"), _string(row, "hypothesis"), origin="entailment")
    return Pair(
        _string(row, "anchor"), _string(row, "positive"), _optional(row, "group", "topic", "focus"), _optional(row, "origin")
    )


def _as_scored(row: dict[str, Any], number: int) -> ScoredPair:
    if "premise" in row and "hypothesis" in row:
        score = 1.0 if row.get("label") in NLI_ENTAILMENT else 0.0
        return ScoredPair(_string(row, "premise"), _string(row, "hypothesis"), score, "nli")
    first, second = _string(row, "sentence1"), _string(row, "sentence2")
    return ScoredPair(first, second, _score(row), _optional(row, "origin"))


def _as_triplet(row: dict[str, Any], number: int) -> Triplet:
    names = sorted((n for n in row if str(n).startswith("negative") and row[n]), key=lambda n: (len(n), n))
    if not names:
        raise _Bad(f"no column 'negative'.{did_you_mean('negative', [str(k) for k in row if k])}")
    negatives = tuple(_string(row, name) for name in names)
    return Triplet(_string(row, "anchor"), _string(row, "positive"), negatives, _optional(row, "origin"))


MAKERS: dict[str, Callable[[dict[str, Any], int], Any]] = {
    "texts": _as_text,
    "pairs": _as_pair,
    "scored": _as_scored,
    "triplets": _as_triplet,
}


def read(source: str | Path, kind: str) -> list[Any]:
    """All records of one kind (`texts`, `pairs`, `scored`, `triplets`, or several words: the first that the columns fit).

    Raises UserError with every bad row of the file at once.
    """
    problems: list[str] = []
    records: list[Any] = []
    maker: Callable[[dict[str, Any], int], Any] | None = None
    for number, (where, row) in enumerate(rows(source), 1):
        if maker is None:
            maker = MAKERS[_kind_of(row, kind.split())]
        try:
            record = maker(row, number)
        except _Bad as bad:
            problems.append(f"{where}: {bad}")
            continue
        if record is not None:
            records.append(record)
    if problems:
        raise UserError(gathered(problems))
    if not records:
        raise UserError(f"{source}: holds no {kind.split()[0]}; expected {COLUMNS[kind.split()[0]]}")
    return records


COLUMNS = {
    "texts": "a column 'text'",
    "pairs": "columns 'anchor, positive' or 'premise, hypothesis, label'",
    "scored": "columns 'sentence1, sentence2, score'",
    "triplets": "columns 'anchor, positive, negative'",
}


def _kind_of(row: dict[str, Any], kinds: list[str]) -> str:
    if "scored" in kinds and "sentence1" in row:
        return "scored"
    if "triplets" in kinds and any(str(name).startswith("negative") for name in row):
        return "triplets"
    return kinds[0]


def count_rows(source: str | Path) -> int | None:
    """How many rows a local file holds, without parsing them (quoted line breaks in a CSV count); None where unknown."""
    path = Path(source)
    path = path / "corpus.jsonl" if path.is_dir() else path
    if str(source).startswith("hf://") or not path.is_file():
        return None
    suffix = format_of(path)
    if suffix == ".parquet":
        import pyarrow.parquet as parquet

        return int(parquet.ParquetFile(path).metadata.num_rows)
    with _open_text(path) as file:
        if suffix in (".csv", ".tsv"):
            return sum(1 for _ in csv.reader(file, delimiter="\t" if suffix == ".tsv" else ",")) - 1
        return sum(1 for line in file if line.strip())


# ---------------------------------------------------------------------------------------------- writing


def as_row(record: Any) -> dict[str, Any]:
    """A record as {column: value}, in the columns that sentence-transformers reads; empty extras are left out."""
    row = {name: value for name, value in asdict(record).items() if value != ""}
    negatives = row.pop("negatives", None)
    if negatives is not None:
        origin = row.pop("origin", None)
        names = ["negative"] if len(negatives) == 1 else [f"negative_{i}" for i in range(1, len(negatives) + 1)]
        row.update(zip(names, negatives, strict=True))
        if origin:
            row["origin"] = origin
    return row


def write(records: Collection[Any], target: str | Path) -> Path:
    """Write records in the format that the name asks for; the file appears whole, by one rename.

    `records` may be any collection that can be gone through twice; it is never held in memory as a whole.
    """
    path = Path(target)
    suffix = format_of(path)
    columns = list(dict.fromkeys(name for record in records for name in as_row(record)))
    table = (as_row(record) for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    if suffix == ".parquet":
        _write_parquet(table, columns, aside)
    else:
        opener: Callable[..., Any] = gzip.open if path.name.endswith(".gz") else open
        with opener(aside, "wt", encoding="utf-8", newline="") as file:
            if suffix == ".jsonl":
                file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
            elif suffix == ".txt":
                file.writelines(" ".join(str(row["text"]).split()) + "\n" for row in table)
            else:
                writer = csv.DictWriter(file, columns, delimiter="\t" if suffix == ".tsv" else ",", lineterminator="\n")
                writer.writeheader()
                writer.writerows(table)
    os.replace(aside, path)
    return path


def _write_parquet(table: Iterator[dict[str, Any]], columns: Sequence[str], path: Path, chunk: int = 20_000) -> None:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    writer = None
    while rows := list(islice(table, chunk)):
        part = arrow.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows])
        if writer is None:
            # A column that is empty so far is a string: all that may be missing from a row is text.
            kinds = [f.with_type(arrow.string()) if arrow.types.is_null(f.type) else f for f in part.schema]
            writer = parquet.ParquetWriter(path, arrow.schema(kinds))
        writer.write_table(part.cast(writer.schema))
    if writer is None:
        writer = parquet.ParquetWriter(path, arrow.schema([(name, arrow.string()) for name in columns]))
    writer.close()
