"""BEIR folders and filled sheets that are wrong, and what is right for each; see bad_inputs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.files.bad_inputs import good

Parts = dict[str, bytes]  # {file of a folder: its content}
PASSAGES, QUERIES = 20, 10
HEADER = "query-id\tcorpus-id\tscore"
SPLIT = "test"
QRELS = f"qrels/{SPLIT}.tsv"


@dataclass(frozen=True)
class BadFolder:
    """One folder: how the parts of a sound one are changed, and what is right: as in `bad_inputs.BadFile`."""

    name: str
    change: Callable[[Parts], object]
    words: tuple[str, ...]
    outcome: str = "refused"

    def write(self, folder: Path) -> str:
        """Write the folder; its name. Its judgements are those of dev, test and train alike."""
        parts = sound()
        self.change(parts)
        for name, data in parts.items():
            for place in {name, *(name.replace(SPLIT, split) for split in ("dev", "train"))}:
                file = folder / self.name / place
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        (folder / self.name).mkdir(exist_ok=True)
        return self.name

    def unsaid(self, said: str) -> list[str]:
        said = said.replace("qrels/dev", "qrels/test").replace("qrels/train", "qrels/test")
        return [words for words in (self.name, *self.words) if words not in said]


def sound() -> Parts:
    """The parts of a folder whose i-th query is answered by its i-th passage."""
    rows = good("pairs")
    corpus = [{"_id": f"p{i}", "title": "", "text": row["positive"]} for i, row in enumerate(rows[:PASSAGES])]
    queries = [{"_id": f"q{i}", "text": row["anchor"]} for i, row in enumerate(rows[:QUERIES])]
    return {
        "corpus.jsonl": "".join(json.dumps(row) + "\n" for row in corpus).encode(),
        "queries.jsonl": "".join(json.dumps(row) + "\n" for row in queries).encode(),
        QRELS: "\n".join([HEADER, *(f"q{i}\tp{i}\t1" for i in range(QUERIES)), ""]).encode(),
    }


def judged(line: str, number: int | None = 3) -> Callable[[Parts], object]:
    """The judgements with another line of that number, or with one more at the end."""

    def change(parts: Parts) -> None:
        lines = parts[QRELS].decode().splitlines()
        if number is None:
            lines.append(line)
        else:
            lines[number - 1] = line
        parts[QRELS] = "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")

    return change


def part(name: str, change: Callable[[bytes], bytes]) -> Callable[[Parts], object]:
    return lambda parts: parts.update({name: change(parts[name])})


def without(*names: str) -> Callable[[Parts], object]:
    return lambda parts: [parts.pop(name) for name in names]


FOLDERS = [
    BadFolder("grade-nan", judged("q1\tp1\tnan"), (f"{QRELS} line 3", "is not a finite number")),
    BadFolder("grade-infinite", judged("q1\tp1\tinf"), (f"{QRELS} line 3", "is not a finite number")),
    BadFolder("grade-word", judged("q1\tp1\trelevant"), (f"{QRELS} line 3", "grade 'relevant' is not a number")),
    BadFolder("grade-missing", judged("q1\tp1"), (f"{QRELS} line 3", "2 fields")),
    BadFolder("grade-more", judged("q1\tp1\t1\t1"), (f"{QRELS} line 3", "4 fields")),
    BadFolder("grade-differs", judged("q0\tp0\t2"), (f"{QRELS} line 3", "keep one")),
    BadFolder("id-empty", judged("\tp1\t1"), (f"{QRELS} line 3", "has no query id")),
    BadFolder("latin-1", judged("q\udce9\tp1\t1"), (f"{QRELS} line 3", "byte 0xE9")),
    BadFolder("nul", judged("q1\0\tp1\t1"), (f"{QRELS} line 3", "NUL byte")),
    BadFolder("utf-16", part(QRELS, lambda data: data.decode().encode("utf-16")), (QRELS, "is UTF-16")),
    BadFolder("no-columns", judged("a\tb\tc", 1), (QRELS, "expected query-id, corpus-id and score")),
    BadFolder("judgements-empty", part(QRELS, lambda data: b""), (QRELS, "judges none of the queries")),
    BadFolder("header-only", part(QRELS, lambda data: HEADER.encode()), (QRELS, "judges none of the queries")),
    BadFolder("all-unknown", part(QRELS, lambda data: data.replace(b"q", b"x").replace(b"xuery", b"query")),
              (QRELS, "compare the ids")),
    BadFolder("all-missing", part(QRELS, lambda data: data.replace(b"\tp", b"\tx")), (QRELS, "none of the relevant passages")),
    BadFolder("all-nought", part(QRELS, lambda data: data.replace(b"\t1", b"\t0")), (QRELS, "judges none of the queries")),
    BadFolder("ids-twice", part("corpus.jsonl", lambda data: data.replace(b'"p1"', b'"p0"')), ("corpus.jsonl", "id 'p0' occurs 2")),
    BadFolder("queries-cut", part("queries.jsonl", lambda data: data[:-20]), (f"queries.jsonl line {QUERIES}", "is not JSON")),
    BadFolder("queries-empty", part("queries.jsonl", lambda data: b""), ("queries.jsonl", "holds no texts")),
    BadFolder("corpus-null", part("corpus.jsonl", lambda data: data.replace(b'"text": "', b'"text": null, "x": "', 1)),
              ("corpus.jsonl line 1", "is null")),
    BadFolder("no-corpus", without("corpus.jsonl"), ("corpus.jsonl",)),
    BadFolder("no-judgements", without(QRELS), ("qrels",)),
    BadFolder("nothing", without("corpus.jsonl", "queries.jsonl", QRELS), ()),
    BadFolder("negative", judged("q1\tp2\t-1", None), ("1 negative grades count as not relevant", "line 12"), "noted"),
    BadFolder("unknown-query", judged("x\tp1\t1", None), ("1 judgements are of queries that are not among", "line 12"), "noted"),
    BadFolder("unknown-passage", judged("q1\tx\t1", None), ("1 judged passages are not in the corpus", "line 12"), "noted"),
    BadFolder("repeated", judged("q1\tp1\t1", None), ("1 judgements repeat another", "line 12"), "noted"),
]  # fmt: skip


@dataclass(frozen=True)
class BadSheet:
    """A sheet that came back from a person: how the rows that `adapt label` wrote are changed, and what is right."""

    name: str
    change: Callable[[str], bytes | str]
    words: tuple[str, ...]
    outcome: str = "refused"

    def write(self, folder: Path, sheet: str) -> str:
        """Write the sheet, changed from one whose rows have no score yet."""
        changed = self.change(sheet)
        (folder / self.name).write_bytes(changed if isinstance(changed, bytes) else changed.encode())
        return self.name

    def unsaid(self, said: str) -> list[str]:
        return [words for words in (self.name, *self.words) if words not in said]


def scored(change: Callable[[list[dict[str, str]]], object], score: str = "4") -> Callable[[str], str]:
    """The sheet with a score on every row, and then a change."""

    def make(sheet: str) -> str:
        rows = list(csv.DictReader(io.StringIO(sheet.removeprefix("\ufeff"))))
        for row in rows:
            row["score"] = score
        change(rows)
        made = io.StringIO()
        writer = csv.DictWriter(made, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        return made.getvalue()

    return make


def second(**cells: str) -> Callable[[str], str]:
    """Another cell on the second row, which is line 3."""
    return scored(lambda rows: rows[1].update(cells))


WHOLE = scored(lambda rows: None)
SHEETS = [
    BadSheet("unscored.csv", lambda sheet: sheet, ("no row has a score",)),
    BadSheet("word.csv", second(score="alike"), ("row 3", "score 'alike' is not a number")),
    BadSheet("high.csv", second(score="7"), ("row 3", "score '7' is not a number from 0 to 5")),
    BadSheet("nan.csv", second(score="nan"), ("row 3", "score 'nan' is not a number")),
    BadSheet("negative.csv", second(score="-1"), ("row 3", "score '-1' is not a number")),
    BadSheet("changed.csv", second(sentence1="another text"), ("row 3", "the text or the id has changed")),
    BadSheet("again.csv", scored(lambda rows: rows.append(rows[0])), ("is a duplicate of row 2",)),
    BadSheet("no-ids.csv", lambda sheet: WHOLE(sheet).replace("id,", "name,", 1), ("has no column id",)),
    BadSheet("columns-twice.csv", lambda sheet: WHOLE(sheet).replace("origin", "score", 1), ("more than once",)),
    BadSheet("fields.csv", lambda sheet: WHOLE(sheet).replace("\r\n", "\r\n,,,", 2), ("row 3", "fields, the header 5")),
    BadSheet("cut.csv", lambda sheet: WHOLE(sheet)[: len(WHOLE(sheet)) // 2], ()),
    BadSheet("open-quote.csv", lambda sheet: WHOLE(sheet).replace("\r\n", '\r\n"', 2), ("row 2", "after its closing quote")),
    BadSheet("latin-1.csv", lambda sheet: WHOLE(sheet).replace("4", "\xe9", 1).encode("latin-1"), ("UTF-8",)),
    BadSheet("utf-16.csv", lambda sheet: WHOLE(sheet).encode("utf-16"), ("UTF-16",)),
    BadSheet("nul.csv", lambda sheet: WHOLE(sheet).replace("4", "4\0", 1), ("NUL",)),
    BadSheet("empty.csv", lambda sheet: "", ("has no rows",)),
    BadSheet("sheet.csv", lambda sheet: b"PK\x03\x04 xl", ("is a zip archive or a spreadsheet",)),
]  # fmt: skip
