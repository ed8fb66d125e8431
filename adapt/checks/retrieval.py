"""How high the right passages stand when each query searches all passages: nDCG@10, MRR@10, recall@100, MAP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapt.checks import Measurement, Model
from adapt.checks.ranking import average_precision, ndcg, precision, recall, reciprocal_rank
from adapt.errors import UserError, gathered
from adapt.files import read, rows
from adapt.records import Text

# Where a folder keeps its parts, tried in order: BEIR's layout, then files named by their split.
QUERIES = ("queries.{split}.jsonl", "queries.jsonl")
QRELS = ("qrels/{split}.tsv", "qrels.{split}.tsv", "qrels.tsv")
CORPUS = ("corpus.jsonl",)
DEPTH = 1_000  # MAP looks this deep, as BEIR's evaluation does


@dataclass(frozen=True)
class Judged:
    """Queries, the passages that all of them search, and who is relevant to whom ({query id: {passage id: grade}})."""

    queries: list[Text]
    corpus: list[Text]
    relevant: Mapping[str, Mapping[str, float]]


class Retrieval:
    """A BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), or {corpus, queries, qrels, pool} by name."""

    main = "ndcg@10"

    def read(self, source: Any, split: str = "test") -> Judged:
        """`pool`: keep all judged passages and so many others, drawn with a fixed seed. Raises UserError."""
        spec = dict(source) if isinstance(source, Mapping) else {"folder": source}
        pool = spec.pop("pool", None)
        if "folder" in spec:
            folder = Path(spec["folder"])
            spec = {part: str(_part(folder, names, split)) for part, names in _PARTS.items()}
        missing = [part for part in _PARTS if part not in spec]
        if missing:
            raise UserError(f"retrieval data needs {', '.join(_PARTS)} (or folder); not given: {', '.join(missing)}")
        judged = _judged(spec)
        return judged if pool is None else _smaller(judged, int(pool))

    def held_out(self, data: Judged) -> list[str]:
        relevant = {name for grades in data.relevant.values() for name in grades}
        return [q.text for q in data.queries] + [t.text for t in data.corpus if t.id in relevant]

    def measure(self, data: Judged, model: Model) -> Measurement:
        from adapt.search import dense

        queries = model.embed([q.text for q in data.queries], "query")
        passages = model.embed([t.text for t in data.corpus], "document")
        found, _ = dense.top(queries, passages, DEPTH + 1)
        names = np.array([t.id for t in data.corpus], dtype=object)
        items: dict[str, list[float]] = {metric: [] for metric in METRICS}
        for query, hits in zip(data.queries, found, strict=True):
            grades = data.relevant[query.id]
            ranked = [grades.get(name, 0.0) for name in names[hits] if name != query.id][:DEPTH]  # as BEIR: never itself
            for metric, value in METRICS.items():
                items[metric].append(value(np.array(ranked), np.array(sorted(grades.values(), reverse=True))))
        return Measurement({m: float(np.mean(v)) for m, v in items.items()}, items, len(data.queries))


METRICS = {
    "ndcg@10": ndcg, "mrr@10": reciprocal_rank, "recall@100": recall, "map": average_precision, "precision@10": precision,
}  # fmt: skip
_PARTS = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}


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


def _judged(spec: Mapping[str, str]) -> Judged:
    corpus, queries = read(spec["corpus"], "texts"), read(spec["queries"], "texts")
    ids, known = {t.id for t in corpus}, {q.id for q in queries}
    relevant: dict[str, dict[str, float]] = {}
    problems = []
    for where, row in rows(spec["qrels"]):
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
    return Judged(judged.queries, [t for t in judged.corpus if t.id in kept], judged.relevant)


CHECK = Retrieval()
