"""How high the right passages stand when each query searches all passages: nDCG, MRR, MAP, recall, precision."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from adapt.checks import Measurement, Model
from adapt.checks.groups import sharing
from adapt.checks.health import Space
from adapt.checks.ranking import average_precision, ndcg, precision, ranks, recall, reciprocal_rank
from adapt.errors import UserError, gathered
from adapt.files import read, rows
from adapt.records import Text

# Where a folder keeps its parts, tried in order: BEIR's layout, then files named by their split.
QUERIES = ("queries.{split}.jsonl", "queries.jsonl")
QRELS = ("qrels/{split}.tsv", "qrels.{split}.tsv", "qrels.tsv", "qrels/{split}.txt", "qrels.{split}.txt", "qrels.txt")
CORPUS = ("corpus.jsonl",)
DEPTH = 1_000  # MAP looks this deep, as BEIR's evaluation does


@dataclass(frozen=True)
class Judged:
    """Queries, the passages that all of them search, and who is relevant to whom ({query id: {passage id: grade}})."""

    queries: list[Text]
    corpus: list[Text]
    relevant: Mapping[str, Mapping[str, float]]
    at: tuple[int, ...] = ()  # further ranks to cut at


class Retrieval:
    """A BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), or {corpus, queries, qrels, pool, at} by name.

    Judgements may also be TREC's: `query 0 passage grade`, without a header. nDCG@10, MRR@10, recall@100, precision@10 and MAP;
    with `at: [1, 5]` the first four at these ranks, too. Queries that share a relevant passage are one group.
    """

    main = "ndcg@10"
    parts = ("folder", "corpus", "queries", "qrels", "pool", "at")  # keys of data that are given by name

    def read(self, source: Any, split: str = "test") -> Judged:
        """`pool`: keep all judged passages and so many others, drawn with a fixed seed. Raises UserError."""
        spec = dict(source) if isinstance(source, Mapping) else {"folder": source}
        pool, at = spec.pop("pool", None), _ranks(spec.pop("at", ()))
        if "folder" in spec:
            folder = Path(spec["folder"])
            spec = {part: str(_part(folder, names, split)) for part, names in _PARTS.items()}
        missing = [part for part in _PARTS if part not in spec]
        if missing:
            raise UserError(f"retrieval data needs {', '.join(_PARTS)} (or folder); not given: {', '.join(missing)}")
        judged = replace(_judged(spec), at=at)
        return judged if pool is None else _smaller(judged, int(pool))

    def held_out(self, data: Judged) -> list[str]:
        relevant = {name for grades in data.relevant.values() for name in grades}
        return [q.text for q in data.queries] + [t.text for t in data.corpus if t.id in relevant]

    def space(self, data: Judged) -> Space:
        place = {text: i for i, text in enumerate(dict.fromkeys(t.text for t in data.corpus))}
        number = {t.id: place[t.text] for t in data.corpus}
        right = [list({number[name]: None for name in data.relevant[query.id]}) for query in data.queries]
        # A passage without a topic has that of a question that it answers.
        topics = {i: query.topic for query, answers in zip(data.queries, right, strict=True) for i in answers if query.topic}
        topics |= {place[t.text]: t.topic for t in data.corpus if t.topic}
        return Space(list(place), [q.text for q in data.queries], right, topics=[topics.get(i, "") for i in range(len(place))])

    def measure(self, data: Judged, model: Model) -> Measurement:
        queries = model.embed([q.text for q in data.queries], "query")
        passages = model.embed([t.text for t in data.corpus], "document")
        place = {text.id: number for number, text in enumerate(data.corpus)}
        right = [[place[name] for name in data.relevant[query.id]] for query in data.queries]
        itself = [place.get(query.id, -1) for query in data.queries]  # as BEIR: a query never finds itself
        metrics = METRICS | {f"{name}@{k}": partial(value, k=k) for k in data.at for name, value in CUT.items()}
        items: dict[str, list[float]] = {metric: [] for metric in metrics}
        deepest = min(DEPTH, len(data.corpus))
        for query, found in zip(data.queries, ranks(queries, passages, right, itself), strict=True):
            grades = np.fromiter(data.relevant[query.id].values(), dtype=float)
            ranked, ideal = np.zeros(min(int(found.max()) + 1, deepest)), np.sort(grades)[::-1]
            seen = found < deepest
            ranked[found[seen]] = grades[seen]
            for metric, value in metrics.items():
                items[metric].append(value(ranked, ideal))
        groups = sharing([data.relevant[query.id] for query in data.queries])
        return Measurement({m: float(np.mean(v)) for m, v in items.items()}, items, len(data.queries), groups, _topics(data))


CUT = {"ndcg": ndcg, "mrr": reciprocal_rank, "recall": recall, "precision": precision}
METRICS = {
    "ndcg@10": ndcg, "mrr@10": reciprocal_rank, "recall@100": recall, "map": average_precision, "precision@10": precision,
}  # fmt: skip
_PARTS = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}


def _ranks(at: Any) -> tuple[int, ...]:
    found = at if isinstance(at, (list, tuple)) else (at,)
    if not all(isinstance(k, int) and 1 <= k <= DEPTH for k in found):
        raise UserError(f"at: {at!r} is no list of ranks; write whole numbers from 1 to {DEPTH:,}, as in at: [1, 5]")
    return tuple(found)


def _topics(data: Judged) -> Sequence[str]:
    """Each query's topic, or that of its most relevant passage which has one."""
    topic_of = {text.id: text.topic for text in data.corpus if text.topic}
    found = []
    for query in data.queries:
        grades = data.relevant[query.id]
        named = (topic_of[name] for name in sorted(grades, key=lambda name: -grades[name]) if name in topic_of)
        found.append(query.topic or next(named, ""))
    return found if any(found) else ()


def _part(folder: Path, names: tuple[str, ...], split: str) -> Path:
    """The file of a folder that plays a part; a folder with one split serves for any."""
    for name in names:
        for ending in ("", ".gz"):
            file = folder / (name.format(split=split) + ending)
            if file.is_file():
                return file
    pattern = names[0].format(split="*")
    others = sorted(folder.glob(pattern))
    if len(others) == 1 and "{split}" in names[0]:
        return others[0]
    there = "; ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder"
    wanted = " or ".join(name.format(split=split) for name in names)
    raise UserError(f"{folder}: has no {wanted} (there: {there}). Expected a BEIR folder: corpus.jsonl, queries.jsonl, qrels/")


def _judgements(source: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of a qrels file: columns by name, or TREC's four without a header."""
    if not _is_trec(source):
        yield from rows(source)
        return
    with _opened(source) as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield (
                    f"{source} line {number}",
                    dict(zip(("query-id", "iteration", "corpus-id", "score"), line.split(), strict=False)),
                )


def _is_trec(source: str) -> bool:
    try:
        with _opened(source) as file:
            first = file.readline(1_000).split()
    except (OSError, UnicodeDecodeError):  # no text file: `rows` knows what it is, or says what is wrong
        return False
    return len(first) == 4 and first[3].lstrip("-").isdigit()


def _opened(source: str) -> IO[str]:
    return (gzip.open if source.endswith(".gz") else open)(source, "rt", encoding="utf-8-sig")


def _judged(spec: Mapping[str, str]) -> Judged:
    corpus, queries = read(spec["corpus"], "texts"), read(spec["queries"], "texts")
    ids, known = {t.id for t in corpus}, {q.id for q in queries}
    relevant: dict[str, dict[str, float]] = {}
    problems = [
        f"{spec[part]}: id '{name}' stands {count} times; an id names one text"
        for part, texts in (("corpus", corpus), ("queries", queries))
        for name, count in Counter(text.id for text in texts).items()
        if count > 1
    ]
    for where, row in _judgements(spec["qrels"]):
        query, passage = row.get("query-id", row.get("query_id")), row.get("corpus-id", row.get("corpus_id"))
        try:
            grade = float(row.get("score", ""))
        except (TypeError, ValueError):
            problems.append(f"{where}: columns must be query-id, corpus-id and score (a number)")
            continue
        if passage not in ids:
            problems.append(f"{where}: passage '{passage}' is not in {spec['corpus']}")
        elif query in known and grade > 0:
            relevant.setdefault(str(query), {})[str(passage)] = grade
    if problems:
        raise UserError(gathered(problems))
    kept = [q for q in queries if q.id in relevant]
    if not kept:
        raise UserError(f"{spec['qrels']}: judges none of the queries in {spec['queries']}; compare the ids")
    return Judged(kept, corpus, relevant)


def _smaller(judged: Judged, pool: int) -> Judged:
    needed = {name for grades in judged.relevant.values() for name in grades}
    others = [t.id for t in judged.corpus if t.id not in needed]
    drawn = np.random.default_rng(0).permutation(len(others))[: max(0, pool)]
    kept = needed | {others[i] for i in drawn}
    return replace(judged, corpus=[t for t in judged.corpus if t.id in kept])


CHECK = Retrieval()
