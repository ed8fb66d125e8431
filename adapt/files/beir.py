"""BEIR folders and other retrieval collections: queries, passages, and relevance judgements (qrels).

Ids of queries and of passages are separate: equal ids have no meaning.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapt.errors import UserError, limit_problems, shorten_path
from adapt.files import line_reader
from adapt.files.columns import join_names
from adapt.files.delimited import BadRow
from adapt.files.line_reader import UndecodableLine, regular_file
from adapt.files.memory import MemoryRows, Source
from adapt.files.options import note
from adapt.files.paths import resolve_path
from adapt.files.problems import BadRowCollector
from adapt.files.rows import rows
from adapt.records import Pair, Text

# Accepted names of the columns of qrels.
QUERY = ("query-id", "query_id", "qid", "queryid", "query")
PASSAGE = ("corpus-id", "corpus_id", "docid", "doc-id", "doc_id", "docno", "pid", "passage-id", "passage_id", "document-id")
GRADE = ("score", "grade", "relevance", "rel", "label")
Qrels = dict[str, dict[str, float]]  # {query id: {passage id: grade}}
UNKNOWN_SHARE_WARNING = 0.2  # share of the judgements that may name no query or passage there is, before this is said loudly


def read_qrels(source: Source, queries: list[Text], corpus: list[Text]) -> Qrels:
    """The grades above 0 of known queries; a relevant passage that the corpus lacks counts as never retrieved, as in trec_eval.

    Unknown ids, repeated rows and negative grades (not relevant) are noted with their number. Raises UserError for bad rows, grades
    that are not finite, and different grades for one query and passage.
    """
    known, there = {query.id for query in queries}, {text.id for text in corpus}
    seen: dict[tuple[str, str], tuple[float, str]] = {}
    counts: Counter[str] = Counter()
    first: dict[str, str] = {}
    bad = BadRowCollector(source)
    for where, row in _rows(source):
        if isinstance(row, BadRow):
            bad.add(where, row.why, row.raw)
            continue
        query, passage, grade = (row[name] for name in ("query", "passage", "grade"))
        why = _wrong(query, passage, grade)
        if not why and (earlier := seen.get((query, passage))) and earlier[0] != float(grade):
            place = earlier[1].removeprefix(f"{shorten_path(source)} ")
            why = f"query '{query}' and passage '{passage}' have grade {float(grade):g}, on {place} {earlier[0]:g}; keep one"
        if why:
            bad.add(where, why, row)
            continue
        for what, is_so in (
            ("judgements repeat another", (query, passage) in seen),
            ("judgements are of queries that are not among the queries, and are passed over", query not in known),
            ("judged passages are not in the corpus, and count as never found", passage not in there and float(grade) > 0),
            ("negative grades count as not relevant", float(grade) < 0),
        ):
            if is_so:
                counts[what] += 1
                first.setdefault(what, where)
        seen.setdefault((query, passage), (float(grade), where))
    bad.finish()
    for what, count in counts.items():
        loud = "WARNING: " if count > UNKNOWN_SHARE_WARNING * len(seen) and "not" in what else ""
        place = first[what].removeprefix(f"{shorten_path(source)} ")
        note(f"{loud}{shorten_path(source)}: {count:,} {what} (the first: {place})")
    found: Qrels = {}
    for (query, passage), (grade, _) in seen.items():
        if query in known and grade > 0:
            found.setdefault(query, {})[passage] = grade
    _refuse_useless(source, found, there)
    return found


def qrels_file(folder: str | Path, split: str) -> Path | None:
    """The qrels file of one split of a BEIR folder; None where there is none."""
    path = resolve_path(folder) or Path(folder)
    return next((f for end in (".tsv", ".tsv.gz") if (f := path / "qrels" / f"{split}{end}").is_file()), None)


def is_beir_folder(folder: str | Path) -> bool:
    """Whether this is a BEIR folder with queries."""
    path = resolve_path(folder)
    return path is not None and path.is_dir() and any((path / f"queries.jsonl{end}").is_file() for end in ("", ".gz"))


def training_pairs(folder: str | Path) -> list[Pair]:
    """The pairs of a BEIR folder's training split: a query and each relevant passage, its title in front. Raises UserError."""
    from adapt.files import read

    file, path = qrels_file(folder, "train"), resolve_path(folder) or Path(folder)
    if file is None:
        named = ", ".join(sorted(p.name for p in (path / "qrels").glob("*"))) or "none"
        raise UserError(
            f"{path}: pairs are made of qrels/train.tsv, which is not there (qrels: {named}; dev and test are for checks)"
        )
    parts = {}
    for name in ("queries", "corpus"):
        there = [place for end in ("", ".gz") if (place := path / f"{name}.jsonl{end}").is_file()]
        if not there:
            raise UserError(f"{path}: has no {name}.jsonl (or {name}.jsonl.gz)")
        parts[name] = there[0]
    queries, corpus = (read(parts[name], "texts") for name in ("queries", "corpus"))
    if problems := duplicate_id_problems({str(parts["corpus"]): corpus, str(parts["queries"]): queries}):
        raise UserError(limit_problems(problems))
    found, passages = read_qrels(str(file), queries, corpus), {text.id: text for text in corpus}
    return [
        Pair(query.text, passages[name].text, passages[name].group, "beir", query.topic or passages[name].topic)
        for query in queries
        for name in found.get(query.id, ())
        if name in passages
    ]


def duplicate_id_problems(parts: Mapping[str, list[Text]]) -> list[str]:
    """A sentence for each id that occurs more than once in a file; `parts`: {file: its texts}."""
    return [
        f"{file}: id '{name}' occurs {count} times; an id names one text"
        for file, texts in parts.items()
        for name, count in Counter(text.id for text in texts).items()
        if count > 1
    ]


def _refuse_useless(source: Source, found: Qrels, there: set[str]) -> None:
    if not found:
        raise UserError(f"{source}: judges none of the queries to have a relevant passage; compare the ids of qrels and queries")
    if not any(passage in there for grades in found.values() for passage in grades):
        raise UserError(f"{source}: none of the relevant passages is in the corpus; compare the ids of qrels and corpus")


def _wrong(query: str, passage: str, grade: str) -> str:
    """The problem of a judgement; "" where it is valid."""
    if not query or not passage:
        return f"has no {'passage' if query else 'query'} id"
    try:
        number = float(grade)
    except (ValueError, OverflowError):
        return f"grade {grade[:40]!r} is not a number"
    return "" if math.isfinite(number) else f"grade {grade!r} is not a finite number"


def _rows(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, {query, passage, grade} as text) for each judgement: columns by name, TREC's four or three without a header."""
    if (width := _width_without_header(source)) is None:
        names: dict[str, str] = {}
        for where, row in rows(source):
            if not names and not isinstance(row, BadRow):
                names = _names(source, row)
            yield where, row if isinstance(row, BadRow) else {part: _as_id(row.get(name)) for part, name in names.items()}
        return
    assert not isinstance(source, MemoryRows)
    parts = (0, 2, 3) if width == 4 else (0, 1, 2)
    for number, line in line_reader.read_lines(regular_file(source)):
        fields = _fields(line)
        where = f"{shorten_path(source)} line {number}"
        if isinstance(line, UndecodableLine):
            yield where, BadRow(line, line.raw)
        elif fields and len(fields) != width:
            yield where, BadRow(f"has {len(fields)} fields, the first line {width}", line)
        elif fields:
            yield where, {part: fields[i] for part, i in zip(("query", "passage", "grade"), parts, strict=True)}


def _as_id(value: object) -> str:
    return "" if value is None else str(value).strip()


def _names(source: Source, row: Mapping[str, object]) -> dict[str, str]:
    """Which column is which; raises UserError that shows those there are."""
    plain = {str(name).strip().lower(): name for name in row}
    found = {}
    for part, names in (("query", QUERY), ("passage", PASSAGE), ("grade", GRADE)):
        name = next((plain[name] for name in names if name in plain), None)
        if name is None:
            raise UserError(
                f"{shorten_path(source)}: columns are {join_names(row)}; expected query-id, corpus-id and score in the first line "
                "(or qid, docid and the like; or no header, and lines of TREC's `query 0 passage grade` or `query passage grade`)"
            )
        found[part] = name
    return found


def _width_without_header(source: Source) -> int | None:
    """How many fields each line has where the first one is data already: TREC's four, or three; None where it is a header."""
    if isinstance(source, MemoryRows) or str(source).startswith("hf://"):
        return None
    if not str(source).removesuffix(".gz").endswith((".txt", ".tsv", ".qrels", ".trec")):
        return None
    first = _fields(next((line for _, line in line_reader.read_lines(regular_file(source)) if line.strip()), ""))
    named = any(field.lower() in (*QUERY, *PASSAGE, *GRADE) for field in first)
    return len(first) if len(first) in (3, 4) and not named and _is_number(first[-1]) else None


def _fields(line: str) -> list[str]:
    """What is between tabs, so that an id may hold spaces; between spaces where there are no tabs."""
    return [field.strip() for field in line.split("\t")] if "\t" in line.strip() else line.split()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
