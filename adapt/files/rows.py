"""The rows of a data source, unconverted: {column: value}, each with the place where it was found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapt.errors import UserError, shorten_path
from adapt.files import delimited, json_lines, line_reader, parquet
from adapt.files.delimited import BadRow
from adapt.files.line_reader import UndecodableLine
from adapt.files.memory import MemoryRows, Source
from adapt.files.options import current_log, note
from adapt.files.paths import resolve_path

SUFFIXES = (".txt", ".jsonl", ".csv", ".tsv", ".parquet")
# How to convert an unsupported format.
CONVERSION_HINTS = {
    ".json": "write one object a line: jq -c '.[]' FILE.json > FILE.jsonl",
    ".xlsx": "save the sheet as CSV (UTF-8)",
    ".arrow": "write it with Dataset.to_parquet",
    ".md": 'write one text a line as JSONL: {"text": ...}',
}


def format_of(path: Path) -> str:
    """The format's suffix, without `.gz`. Raises UserError for an unknown format."""
    name = path.name.removesuffix(".gz")
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return suffix
    how = next((f"; {how}" for suffix, how in CONVERSION_HINTS.items() if name.endswith(suffix)), "")
    raise UserError(
        f"{shorten_path(path)}: unknown file format{how}. Known: {', '.join(SUFFIXES)} (each also .gz), a BEIR folder, hf://..."
    )


def output_format(path: Path, kind: str) -> str:
    """The format of an output file, as `format_of`. Raises UserError for one that can't hold records of this kind."""
    suffix = format_of(path)
    if suffix == ".txt" and kind != "texts":
        holding = ", ".join(name for name in SUFFIXES if name != ".txt")
        raise UserError(f"{shorten_path(path)}: .txt holds texts alone; {kind} are written as {holding} (each also .gz)")
    return suffix


def rows(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every row of a data source as (its place, {column: value}); a `BadRow` for what is no row.

    A BEIR folder gives its `corpus.jsonl`; `hf://owner/name[:config]/split` is loaded with the `datasets` library.
    Values keep their text: `NA` and `0012` in a CSV stay strings. Raises UserError where the source can't be read.
    """
    if isinstance(source, MemoryRows):
        yield from source
        return
    if str(source).startswith("hf://"):
        yield from _hub_rows(str(source))
        return
    path = _file(source)
    suffix = format_of(path)
    found = {
        ".txt": lambda: _lines(path),
        ".jsonl": lambda: json_lines.rows(path),
        ".parquet": lambda: parquet.rows(path),
    }.get(suffix, lambda: delimited.rows(path, suffix))()
    word = "row" if suffix == ".parquet" else "line"
    for number, row in found:
        yield f"{shorten_path(path)} {word} {number}", row


def count_rows(source: str | Path) -> int | None:
    """How many rows a source holds, bad ones among them, without parsing JSON; None for one on the hub. Raises UserError."""
    if str(source).startswith("hf://"):
        return None
    path = _file(source, noted=False)
    suffix = format_of(path)
    if suffix == ".parquet":
        return parquet.count(path)
    if suffix in delimited.DELIMITERS:
        return delimited.count(path, suffix)
    counted = 0
    for number, line in line_reader.read_lines(path):
        if isinstance(line, UndecodableLine):  # a bad row
            raise_unless_skipped(f"{shorten_path(path)} line {number}", line)
        counted += bool(line.strip())
    return counted


def raise_unless_skipped(where: str, why: str) -> None:
    """Raise UserError for a bad row, unless the options skip bad rows."""
    if current_log().options.on_bad_row == "error":
        raise UserError(f"{where}: {why}")


def _file(source: str | Path, noted: bool = True) -> Path:
    """The file of a source; of a BEIR folder its corpus, which is noted where `noted`."""
    path = resolve_path(source)
    if path is None or not path.is_dir():
        return line_reader.regular_file(source)
    for name in ("corpus.jsonl", "corpus.jsonl.gz"):
        if (path / name).is_file():
            if noted and (path / "qrels").is_dir():
                note(f"{path}: its corpus is read; its queries and judgements serve as a check (retrieval), or as pairs")
            return path / name
    if (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file():
        raise UserError(f"{path}: was written by datasets' save_to_disk; write it with to_parquet and give that file")
    raise UserError(
        f"{path}: is a folder without corpus.jsonl; give a file, or a BEIR folder. Of a folder of texts make a file with one a line"
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in line_reader.read_lines(path):
        if isinstance(line, UndecodableLine):
            yield number, BadRow(line, line.raw)
        elif line.strip():
            yield number, {"text": line.strip()}


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
