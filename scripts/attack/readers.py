#!/usr/bin/env python
"""Parse mutated data files: every exception other than UserError is a failure, and so is an invalid record.

    python scripts/attack/readers.py --count 20000 --seed 1

The same seed gives the same inputs; a failure is shown with its number, and `--only NUMBER` reads that one again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import resource
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from adapt import files
from adapt.errors import UserError
from adapt.files import beir
from adapt.records import ScoredPair, Text

WORDS = 'fever cough what is the, of a; heart\tlung 39°C naïve 心臓 "quoted" it\'s 0.5 NA null ป้า 😀 - + #'.split(" ")
# Fragments that break parsers: structure, numbers, encodings, names.
PIECES = [
    b'"', b'""', b"'", b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9", b"\xed\xa0\x80",
    b"\\", b"\\ud83d", b"\\u0000", b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 50, b"9" * 5_000, b"[" * 20_000,
    b'{"a":' * 5_000, b"{", b"}", b"]", b"null", b"true", b"{}", b"[]", b'{"text": 1}', b'{"text": null}', b"score", b"label",
    b"text", b"anchor", b"query-id", b"\x1f\x8b", b"PAR1", b"PK\x03\x04", b"\xe2\x80\x8b", b"\xe2\x80\xa8", b"=cmd()", b" " * 300,
]  # fmt: skip
COLUMNS = {
    "texts": ("_id", "text", "title"),
    "pairs": ("query", "answer"),
    "scored": ("sentence1", "sentence2", "score"),
    "triplets": ("anchor", "positive", "negative"),
    "labelled": ("premise", "hypothesis", "label"),
    "parallel": ("en", "fr"),
    "qrels": ("query-id", "corpus-id", "score"),
    "pairs scored triplets labelled": ("query", "pos", "neg"),
}
SUFFIXES = (".csv", ".tsv", ".jsonl", ".txt", ".csv.gz", ".jsonl.gz", ".parquet")


def make(rng: random.Random, kind: str, suffix: str, rows: int = 8) -> bytes:
    """A valid file of that kind, as bytes."""
    names = COLUMNS[kind]
    table = [{name: _value(rng, name) for name in names} for _ in range(rng.randrange(1, rows))]
    plain = suffix.removesuffix(".gz")
    if plain == ".parquet":
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        sink = arrow.BufferOutputStream()
        parquet.write_table(arrow.Table.from_pylist(table), sink)
        return sink.getvalue().to_pybytes()
    if plain == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=rng.random() < 0.5) + "\n" for row in table)
    elif plain == ".txt":
        text = "".join(" ".join(map(str, row.values())) + "\n" for row in table)
    else:
        between = "," if plain == ".csv" else "\t"
        quoted = [["".join(('"', str(v).replace('"', '""'), '"')) for v in row.values()] for row in table]
        text = "\n".join(between.join(fields) for fields in [list(names), *quoted]) + "\n"
    data = text.encode()
    return gzip.compress(data, mtime=0) if suffix.endswith(".gz") and rng.random() < 0.5 else data


def _value(rng: random.Random, name: str) -> str:
    if name == "score":
        return rng.choice(["0", "1", "0.5", "2", "1e-3"])
    if name == "label":
        return rng.choice(["0", "1", "2", "neutral", "-1"])
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 9)))


def mutate(rng: random.Random, data: bytes) -> bytes:
    """The bytes with one to five mutations."""
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 4, 40)))
        change = rng.randrange(8)
        if change == 0:
            data = data[:at]
        elif change == 1:
            data = data[:at] + bytes(rng.randrange(256) for _ in range(end - at)) + data[end:]
        elif change == 2:
            data = data[:at] + data[end:]
        elif change == 3:
            data = data[:at] + data[at:end] * rng.randrange(2, 50) + data[end:]
        elif change == 4:
            lines = data.split(b"\n")
            rng.shuffle(lines)
            data = b"\n".join(lines)
        elif change == 5 and rng.random() < 0.3:
            data = data.decode("utf-8", "replace").encode(rng.choice(["utf-16", "utf-16-le", "latin-1", "utf-8-sig"]), "replace")
        else:
            data = data[:at] + rng.choice(PIECES) + data[at:]
    return data


def settings(rng: random.Random) -> files.ReadOptions:
    """Options of all kinds."""
    return files.ReadOptions(
        on_bad_row=rng.choice(["error", "skip"]),
        max_line_mb=rng.choice([64.0, 0.01]),
        max_cell_mb=rng.choice([16.0, 0.001]),
        score_range=rng.choice([None, (0.0, 5.0)]),
    )


def read(file: Path, kind: str) -> int:
    """Parse a file as the commands do and validate the records; their number."""
    if kind == "qrels":
        texts = [Text(word, word) for word in WORDS]
        found = beir.read_qrels(str(file), texts, texts)
        assert all(0 < grade < float("inf") for grades in found.values() for grade in grades.values()), "a grade that is no grade"
        return len(found)
    files.count_rows(file)
    records = files.read(file, kind)
    for record in records:
        for value in vars(record).values():
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str):
                    text.encode("utf-8")
                    assert "\0" not in text, "a NUL in a text"
        if isinstance(record, ScoredPair):
            assert 0 <= record.score <= 1, "a score outside 0 to 1"
    return len(records)


def attack(count: int, seed: int, only: int | None = None, report: Callable[[str], None] = lambda text: None) -> Counter[str]:
    """Read `count` mutated files: how many were parsed, refused, and failed by kind of exception (`failed: ...`)."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count) if only is None else [only]:
            rng = random.Random(f"{seed}-{number}")
            kind, suffix = rng.choice(list(COLUMNS)), rng.choice(SUFFIXES)
            suffix = ".tsv" if suffix == ".txt" and kind not in ("texts", "qrels") else suffix
            file = Path(folder) / f"data{suffix}"
            file.write_bytes(mutate(rng, make(rng, kind, suffix)))
            try:
                with files.reading(settings(rng)):
                    read(file, kind)
                found["read"] += 1
            except UserError as error:
                found["refused"] += 1
                if "data" not in str(error):
                    found["failed: the error names no file"] += 1
                    report(f"{number}: {kind} {suffix}: {error}")
            except Exception as error:
                found[f"failed: {type(error).__name__}"] += 1
                report(f"{number}: {kind} {suffix}: {''.join(traceback.format_exception(error)[-3:])}")
    return found


def main() -> int:
    """Attack, print the counts, exit with 1 on a failure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int)
    given = parser.parse_args()
    begun = time.monotonic()
    found = attack(given.count, given.seed, given.only, lambda text: print(text, file=sys.stderr))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    output = ", ".join(f"{name} {count:,}" for name, count in sorted(found.items()))
    print(f"{given.count:,} inputs in {time.monotonic() - begun:.0f} s: {output}; peak memory {peak:,.0f} MB")
    return int(any(name.startswith("failed") for name in found))


if __name__ == "__main__":
    sys.exit(main())
