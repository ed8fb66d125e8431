"""The rows of a data source, as they stand: {column: value}, each with the place where it was found."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from adapt.errors import UserError, did_you_mean

SUFFIXES = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")


def format_of(path: Path) -> str:
    """The data format by name, with `.gz` set aside; raises UserError for one that is not known."""
    name = path.name.removesuffix(".gz")
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    raise UserError(f"{path}: unknown file format. Known: {', '.join(SUFFIXES)} (each also .gz), a BEIR folder, hf://...")


def rows(source: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a data source as (where it stands, {column: value}); {"": why} for a line that is no row.

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
                wrong = "" if isinstance(row, dict) else f"holds {type(row).__name__}, expected {{column: value}}"
            except json.JSONDecodeError as error:
                wrong = f"is not JSON ({error.msg}, column {error.colno})"
            yield f"{path} line {number}", {"": wrong} if wrong else row
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
