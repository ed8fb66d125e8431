"""Data files that are wrong, and what is right for each of them: what is said, on which line, or which records are read.

Used by the tests and by scripts/attack/inputs.py, which gives every command that reads such data each of these files.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tiny import sentence

Row = dict[str, object]
ROWS = 40
KINDS = ("texts", "pairs", "scored", "triplets", "labelled", "parallel", "topics")  # what may stand in one file
KINDS_BY_NAME = tuple(kind for kind in KINDS if kind != "parallel")  # its two columns may have any name


@dataclass(frozen=True)
class BadFile:
    """One file: its name, the kinds of data that it may stand for, how it is made of good rows, and what is right.

    `words` are all said; with `line`, as "NAME line N". `outcome`: refused (exit code 2), unmeasured (1: an undefined figure),
    noted (0, and the words are said) or read (0). `records`: how many are read, where that is known.
    """

    name: str
    kinds: Sequence[str]
    make: Callable[[list[Row]], bytes] | Callable[[Path, list[Row]], None]
    words: tuple[str, ...] = ()
    line: int | None = None
    outcome: str = "refused"
    records: int | None = None
    on_disk: bool = False  # `make` writes the file itself, from a path
    only: tuple[str, ...] = ()  # commands for which this is right; all that read the kind where empty
    unnamed: bool = False  # the words name the data otherwise: by their key in the recipe, or the check
    path: str = ""  # given to the command in place of the file

    def write(self, folder: Path, kind: str) -> str:
        """Write the file; the path that a command is given."""
        file, rows = folder / self.name, good(kind)
        if self.on_disk:
            self.make(file, rows)  # type: ignore[call-arg, arg-type]
        else:
            file.write_bytes(self.make(rows))  # type: ignore[call-arg, arg-type]
        return self.path or self.name

    def unsaid(self, said: str) -> list[str]:
        """What should be said and is not: the file, the line, the words."""
        named = (self.path or self.name)[:150]
        place = f"{named} line {self.line}" if self.line else named
        wanted = [*([] if self.unnamed else [place]), *self.words]
        return [words for words in wanted if words not in said]


def good(kind: str, seed: int = 3) -> list[Row]:
    """Rows of a sound file."""
    rng = random.Random(f"{kind} {seed}")
    texts = [" ".join(sentence(rng) for _ in range(3)) for _ in range(ROWS)]
    short = [sentence(rng, 6) for _ in range(ROWS)]
    if kind in ("texts", "topics"):
        return [{"text": text, **({"topic": f"topic {i % 2}"} if kind == "topics" else {})} for i, text in enumerate(texts)]
    rows: list[Row] = []
    for i, (first, second) in enumerate(zip(short, texts, strict=True)):
        rows.append({
            "pairs": {"anchor": first, "positive": second},
            "scored": {"sentence1": first, "sentence2": second, "score": i / ROWS},
            "triplets": {"anchor": first, "positive": second, "negative": texts[i - 1]},
            "labelled": {"premise": first, "hypothesis": second, "label": ("entailment", "neutral", "contradiction")[i % 3]},
            "parallel": {"source": first, "target": second},
        }[kind])  # fmt: skip
    return rows


def as_csv(rows: Sequence[Row], header: bool = True) -> bytes:
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def as_jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def as_parquet(rows: Sequence[Row]) -> bytes:
    import pyarrow as arrow
    import pyarrow.parquet as parquet

    sink = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pylist(list(rows)), sink)
    return sink.getvalue().to_pybytes()


def csv_line(change: Callable[[str], str], number: int = 3) -> Callable[[list[Row]], bytes]:
    """The good rows as CSV, with one line changed."""

    def make(rows: list[Row]) -> bytes:
        lines = as_csv(rows).decode().splitlines()
        lines[number - 1] = change(lines[number - 1])
        return "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")

    return make


def json_line(change: Callable[[str], str], number: int = 3) -> Callable[[list[Row]], bytes]:
    """The good rows as JSONL, with one line changed."""

    def make(rows: list[Row]) -> bytes:
        lines = as_jsonl(rows).decode().splitlines()
        lines[number - 1] = change(lines[number - 1])
        return "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")

    return make


def value(found: object, column: str = "", every: bool = False) -> Callable[[list[Row]], bytes]:
    """The good rows as JSONL, with another value in the first column, or in `column`; on line 3, or on every line."""

    def make(rows: list[Row]) -> bytes:
        name = column or next(iter(rows[0]))
        return as_jsonl([{**row, name: found} if every or i == 2 else row for i, row in enumerate(rows)])

    return make


def cell(found: object, column: str) -> Callable[[list[Row]], bytes]:
    """The good rows as CSV, with another cell on line 3."""
    return lambda rows: as_csv([{**row, column: found} if i == 1 else row for i, row in enumerate(rows)])


def bytes_of(data: bytes) -> Callable[[list[Row]], bytes]:
    return lambda rows: data


def more_json(text: str) -> Callable[[list[Row]], bytes]:
    """A further key on line 3."""
    return json_line(lambda line: f"{line[:-1]}, {text}}}")


def _flipped(rows: list[Row]) -> bytes:
    data = bytearray(gzip.compress(as_jsonl(rows), mtime=0))
    for place in range(len(data) // 2, len(data) // 2 + 30):
        data[place] ^= 0xFF
    return bytes(data)


def _long(file: Path, rows: list[Row]) -> None:
    """A line of 100 MB, most of which takes no room on the disk."""
    file.write_bytes(as_jsonl(rows[:2]) + b'{"text": "')
    os.truncate(file, 100 << 20)


def _long_cell(rows: list[Row]) -> bytes:
    return as_jsonl(rows[:2]) + as_jsonl([{**rows[2], next(iter(rows[2])): "fever " * 3_000_000}])


def _bomb(rows: list[Row]) -> bytes:
    line = as_jsonl([{**rows[0], next(iter(rows[0])): "fever " * 100_000}])
    return gzip.compress(line * 130, 1, mtime=0)


def _mode(file: Path, rows: list[Row]) -> None:
    file.write_bytes(as_jsonl(rows))
    file.chmod(0)


def _named(name: str, words: str, make: Callable[[list[Row]], bytes] = as_jsonl) -> BadFile:
    return BadFile(name, KINDS, make, (words,))


GENERAL = [
    # CSV
    BadFile("more-fields.csv", KINDS, csv_line(lambda line: line + ",more"), ("fields, the header",), 3),
    BadFile("fewer-fields.csv", KINDS[1:], csv_line(lambda line: line.rpartition(",")[0]), ("the header",), 3),
    BadFile("open-quote.csv", KINDS, csv_line(lambda line: '"' + line), ("a quote opens here",), 3),
    BadFile("after-quote.csv", KINDS, csv_line(lambda line: '"a" b' + line), ("after its closing quote",), 3),
    BadFile("same-columns.csv", KINDS, csv_line(lambda line: f"{line},{line.split(',')[0]}", 1), ("more than once",), 1),
    BadFile("comma.csv", KINDS, csv_line(lambda line: "what is gout, and how is it treated," + line), ("put quotes around",), 3),
    BadFile("other-columns.csv", KINDS_BY_NAME, csv_line(lambda line: ",".join(f"c{i}{i}" for i in range(line.count(",") + 1)), 1),
            ("columns are", "expected")),
    BadFile("no-header.csv", KINDS_BY_NAME, lambda rows: as_csv(rows, header=False), ("expected",)),
    BadFile("header-only.csv", KINDS, lambda rows: as_csv(rows).split(b"\n")[0] + b"\n", ("holds no",)),
    BadFile("joined.csv", KINDS, lambda rows: as_csv(rows) + b"\xef\xbb\xbf" + as_csv(rows), ("repeats the header",), ROWS + 2),
    BadFile("joined-again.csv", KINDS[1:], lambda rows: as_csv(rows) + as_csv(rows), ("repeats the header",), ROWS + 2),
    BadFile("cut.csv", ("triplets", "labelled"), lambda rows: as_csv(rows)[:-250], ("the header",)),
    BadFile("empty.csv", KINDS, bytes_of(b""), ("holds no",)),
    BadFile("empty.jsonl", KINDS, bytes_of(b""), ("holds no",)),
    BadFile("blank.jsonl", KINDS, bytes_of(b"\n \n\n"), ("holds no",)),
    # Encodings
    BadFile("latin-1.csv", KINDS, csv_line(lambda line: "\udce9" + line), ("byte 0xE9", "is not UTF-8"), 3),
    BadFile("latin-1.jsonl", KINDS, json_line(lambda line: line.replace(': "', ': "\udce9', 1)), ("byte 0xE9",), 3),
    _named("utf-16.csv", "is UTF-16", lambda rows: as_csv(rows).decode().encode("utf-16")),
    _named("utf-16.jsonl", "is UTF-16", lambda rows: as_jsonl(rows).decode().encode("utf-16-be")),
    _named("utf-16-le.csv", "is UTF-16", lambda rows: as_csv(rows).decode().encode("utf-16-le")),
    BadFile("nul.csv", KINDS, csv_line(lambda line: "\0" + line), ("holds a NUL byte",), 3),
    BadFile("nul.jsonl", KINDS, json_line(lambda line: line.replace(': "', ': "\\u0000 ', 1)), ("NUL character",), 3),
    BadFile("mark.jsonl", KINDS, json_line(lambda line: "\ufeff" + line), ("is not JSON",), 3),
    # JSON
    BadFile("nan.jsonl", KINDS, more_json('"more": NaN'), ("holds NaN",), 3),
    BadFile("infinity.jsonl", KINDS, more_json('"more": -Infinity'), ("holds -Infinity",), 3),
    BadFile("1e999.jsonl", KINDS, more_json('"more": 1e999'), ("beyond what a float holds",), 3),
    BadFile("huge.jsonl", KINDS, more_json('"more": ' + "9" * 5_000), ("a whole number of 5,000 digits",), 3),
    BadFile("deep.jsonl", KINDS, more_json('"more": ' + "[" * 50_000), ("nested too deeply",), 3),
    BadFile("surrogate.jsonl", KINDS, json_line(lambda line: line.replace(': "', ': "\\ud83d ', 1)), ("lone surrogate",), 3),
    BadFile("same-keys.jsonl", KINDS, json_line(lambda line: f"{line[:-1]}, {line[1:]}"), ("more than once",), 3),
    BadFile("number.jsonl", KINDS, value(5), ("holds int, expected text",), 3),
    BadFile("object.jsonl", KINDS, value({"a": "b"}), ("expected text",), 3),
    BadFile("null.jsonl", KINDS, value(None), ("is null",), 3),
    BadFile("blank-text.jsonl", KINDS[1:6], value("  "), ("is empty",), 3),
    BadFile("cut.jsonl", KINDS, lambda rows: as_jsonl(rows)[:-20], ("is not JSON",), ROWS),
    BadFile("array.jsonl", KINDS, lambda rows: json.dumps(rows).encode(), ("is a JSON array",)),
    BadFile("word.jsonl", KINDS, json_line(lambda line: '"fever"'), ("holds str, expected",), 3),
    BadFile("all-blank.jsonl", KINDS, value("", every=True), ("empty",)),
    BadFile("invisible.jsonl", KINDS, value("\u200b\u200b\u2060"), ("no visible character",), 3),
    # Files
    _named("cut.jsonl.gz", "is damaged or cut short", lambda rows: gzip.compress(as_jsonl(rows))[:-40]),
    _named("no-gzip.jsonl.gz", "is damaged or cut short"),
    BadFile("flipped.jsonl.gz", KINDS, _flipped, ()),
    _named("packed.csv", "is gzip-compressed", lambda rows: gzip.compress(as_csv(rows))),
    BadFile("bomb.jsonl.gz", ("texts", "pairs"), _bomb, ("raise max_expansion",)),
    _named("no.parquet", "is damaged or no Parquet file"),
    _named("cut.parquet", "is damaged or no Parquet file", lambda rows: as_parquet(rows)[:-60]),
    _named("zeros.parquet", "is damaged", lambda rows: b"PAR1" + bytes(400) + as_parquet(rows)[404:]),
    _named("sheet.csv", "is a zip archive or a spreadsheet", bytes_of(b"PK\x03\x04 xl/worksheets")),
    _named("print.csv", "is a PDF", bytes_of(b"%PDF-1.7\n%\xe2\xe3")),
    _named("data.json", "unknown file format", lambda rows: json.dumps(rows).encode()),
    _named("data.xlsx", "save the sheet as CSV", bytes_of(b"PK\x03\x04")),
    BadFile("folder.csv", KINDS, lambda file, rows: file.mkdir(), ("is a folder",), on_disk=True),
    BadFile("missing.csv", KINDS, lambda file, rows: None, ("no such file",), on_disk=True),
    BadFile("long.csv", KINDS, lambda file, rows: None, ("the path is too long",), on_disk=True, path="x" * 5_000 + ".csv"),
    BadFile("zero.csv", KINDS, lambda file, rows: file.symlink_to("/dev/zero"), ("is a device",), on_disk=True),
    BadFile("pipe.jsonl", KINDS, lambda file, rows: os.mkfifo(file), ("is a named pipe",), on_disk=True),
    BadFile("loop.csv", KINDS, lambda file, rows: file.symlink_to(file), ("can't be read",), on_disk=True),
    BadFile("line-of-100-mb.jsonl", KINDS, _long, ("is longer than 64 MB",), 3, on_disk=True),
    BadFile("cell-of-18-mb.jsonl", KINDS, _long_cell, ("raise max_cell_mb",), 3),
    *([BadFile("closed.jsonl", KINDS, _mode, ("can't be read",), on_disk=True)] if os.geteuid() else []),
    # What may be read
    BadFile("marked.csv", KINDS, lambda rows: b"\xef\xbb\xbf" + as_csv(rows), outcome="read", records=ROWS),
    BadFile("mac.csv", KINDS, lambda rows: as_csv(rows).replace(b"\n", b"\r"), outcome="read", records=ROWS),
    BadFile("windows.jsonl", KINDS, lambda rows: as_jsonl(rows).replace(b"\n", b"\r\n"), outcome="read", records=ROWS),
    BadFile("semicolons.csv", KINDS[1:], lambda rows: as_csv(rows).replace(b",", b";"),
            ("separated by semicolons",), outcome="noted", records=ROWS),
    BadFile("upper.csv", KINDS, csv_line(str.upper, 1), ("reads column",), outcome="noted", records=ROWS),
    BadFile("chinese.jsonl", ("texts", "pairs"), lambda rows: as_jsonl([dict.fromkeys(row, "发烧和咳嗽" * 9 + str(i))
            for i, row in enumerate(rows)]), ("unknown to the model",), outcome="noted",
            only=("embed", "tsdae", "finetune", "run", "dry-run"),
            unnamed=True),
]  # fmt: skip
SCORES = [
    BadFile(f"score-{name}.csv", ("scored",), cell(found, "score"), (words,), 3)
    for name, found, words in (
        ("nan", "nan", "is not a finite number"), ("inf", "inf", "is not a finite number"), ("high", 1.5, "outside 0 to 1"),
        ("negative", -0.2, "outside 0 to 1"), ("word", "high", "is not a number"), ("none", "", "is not a number"),
        ("percent", "50%", "is not a number"), ("comma", "0,5", "is not a number"), ("mixed", 4, "outside 0 to 1"),
    )
]  # fmt: skip
SCORES += [
    BadFile("score-null.jsonl", ("scored",), value(None, "score"), ("column 'score' is null",), 3),
    BadFile("score-true.jsonl", ("scored",), value(True, "score"), ("is True, expected a number",), 3),
    BadFile("score-list.jsonl", ("scored",), value([0.5], "score"), ("is not a number",), 3),
    BadFile("score-0-to-5.jsonl", ("scored",), value(4, "score", every=True), ("declare the range",)),
    BadFile("score-constant.jsonl", ("scored",), value(0.5, "score", every=True), ("undefined",), outcome="unmeasured",
            only=("check --sts", "compare --sts"), unnamed=True),
    BadFile("label-word.csv", ("labelled",), cell("perhaps", "label"), ("label 'perhaps' is none of",), 3),
    BadFile("label-number.jsonl", ("labelled",), value(7, "label"), ("label '7' is none of",), 3),
    BadFile("label-list.jsonl", ("labelled",), value(["neutral"], "label"), ("is none of",), 3),
    BadFile("label-none.csv", ("labelled",), cell("-", "label"), ("1 left out: without a label",),
            outcome="noted", records=ROWS - 1),
    BadFile("label-never.jsonl", ("labelled",), value("-", "label", every=True), ("Left out: 40",)),
    BadFile("negative-null.jsonl", ("triplets",), value(None, "negative"), ("negative",), 3),
    BadFile("negative-none.jsonl", ("triplets",), value([], "negative"), ("negative",), 3),
    BadFile("negative-number.jsonl", ("triplets",), value([5], "negative"), ("expected text",), 3),
    BadFile("unlike.jsonl", ("pairs",), lambda rows: as_jsonl([{**row, "label": int(i > 1)} for i, row in enumerate(rows)]),
            ("2 left out: scored below 0.8",), outcome="noted", records=ROWS - 2),
    BadFile("never-alike.jsonl", ("pairs",), lambda rows: as_jsonl([{**row, "label": 0} for row in rows]), ("Left out: 40",)),
    BadFile("one-side.csv", ("parallel",), lambda rows: as_csv([{"source": row["source"]} for row in rows]),
            ("expected two columns",)),
    BadFile("one-topic.jsonl", ("topics",), value("all", "topic", every=True), ("needs texts of two topics",)),
    BadFile("no-topic.jsonl", ("topics",), value("", "topic", every=True), ("needs texts of two topics",)),
]  # fmt: skip
FILES = [*GENERAL, *SCORES]
