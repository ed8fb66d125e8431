"""Retrieval: nDCG, MRR, MAP, recall and precision of each query's search in all passages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source
from adapt.checks.groups import clusters
from adapt.checks.health import HealthData
from adapt.checks.ranking import average_precision, ndcg, precision, ranks, recall, reciprocal_rank
from adapt.errors import UserError, limit_problems
from adapt.files import MemoryRows, beir, note, read
from adapt.files import Source as FileSource
from adapt.records import Text
from adapt.text.clean import normalised

# The files of a folder, tried in order: BEIR's layout, then files named by their split.
QUERIES = ("queries.{split}.jsonl", "queries.jsonl")
QRELS = ("qrels/{split}.tsv", "qrels.{split}.tsv", "qrels.tsv", "qrels/{split}.txt", "qrels.{split}.txt", "qrels.txt")
CORPUS = ("corpus.jsonl",)
DEPTH = 1_000  # ranks that MAP takes into account, as BEIR's evaluation does


@dataclass(frozen=True)
class RetrievalData:
    """Queries, the passages that they search, and the relevance judgements {query id: {passage id: grade}}."""

    queries: list[Text]
    corpus: list[Text]
    relevant: Mapping[str, Mapping[str, float]]
    at: tuple[int, ...] = ()  # further cutoffs

    def is_itself(self, query: Text, passage: Text) -> bool:
        """Whether a passage is the query: it has the query's id and text, and is not judged relevant to it.

        The id alone does not suffice: queries and passages may have the same numbering.
        """
        if passage.id != query.id or passage.id in self.relevant[query.id]:
            return False
        return normalised(query.text) in (normalised(passage.text), normalised(passage.body))


class Retrieval(Check[RetrievalData]):
    """Retrieval on a BEIR folder (`corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`), or {corpus, queries, qrels, pool, at}.

    Judgements may also be TREC's: `query 0 passage grade`, without a header. nDCG@10, MRR@10, recall@100, precision@10 and
    MAP@1000, 0 to 1, see `adapt.checks.ranking`; with `at: [1, 5]` the first four at these cutoffs, too. Queries that share a
    relevant passage are one cluster of the bootstrap. An irrelevant passage that ties with a relevant one ranks above it.
    """

    main_metric = "ndcg@10"
    parts = ("folder", "corpus", "queries", "qrels", "pool", "at")

    def read(self, source: Source, split: str = "test") -> RetrievalData:
        """`pool`: keep all judged passages and this many others, drawn with a fixed seed. Raises UserError."""
        spec: dict[str, object] = dict(source) if isinstance(source, Mapping) else {"folder": source}
        pool, at = spec.pop("pool", None), _ranks(spec.pop("at", ()))
        if "folder" in spec:
            folder = Path(str(spec["folder"]))
            spec = {part: str(_part(folder, names, split)) for part, names in _PARTS.items()}
        missing = [part for part in _PARTS if part not in spec]
        if missing:
            raise UserError(f"retrieval data needs {', '.join(_PARTS)} (or folder); not given: {', '.join(missing)}")
        judged = replace(_judged({part: _file(spec[part]) for part in _PARTS}), at=at)
        return judged if pool is None else _smaller(judged, int(str(pool)))

    def protected_items(self, data: RetrievalData) -> Iterator[ProtectedItem]:
        passages = {text.id: text for text in data.corpus}
        for query in data.queries:
            yield ProtectedItem((query.text,), query.group)
            for passage in (passages[name] for name in data.relevant.get(query.id, ()) if name in passages):
                # Where the corpus names titles, training may contain the body alone.
                texts = (query.text, passage.text, *([passage.body] if passage.title else []))
                yield ProtectedItem(texts, passage.group)

    def health_data(self, data: RetrievalData) -> HealthData:
        place = {text: i for i, text in enumerate(dict.fromkeys(t.text for t in data.corpus))}
        number = {t.id: place[t.text] for t in data.corpus}
        right = [list({number[n]: None for n in data.relevant[query.id] if n in number}) for query in data.queries]
        # A passage without a topic has that of a query that it is relevant to.
        topics = {i: query.topic for query, answers in zip(data.queries, right, strict=True) for i in answers if query.topic}
        topics |= {place[t.text]: t.topic for t in data.corpus if t.topic}
        return HealthData(list(place), [q.text for q in data.queries], right, topics=[topics.get(i, "") for i in range(len(place))])

    def measure(self, data: RetrievalData, model: Model) -> Measurement:
        queries = model.embed([q.text for q in data.queries], "query")
        passages = model.embed([t.text for t in data.corpus], "document")
        place = {text.id: number for number, text in enumerate(data.corpus)}
        # Of passages that tie the less relevant rank first, as irrelevant ones do. A judged passage that is not in the corpus is
        # never found, and counts among the relevant ones.
        judged = [
            sorted(((name, grade) for name, grade in data.relevant[query.id].items() if name in place), key=lambda one: one[1])
            for query in data.queries
        ]
        relevant = [np.array([place[name] for name, _ in grades], dtype=np.int64) for grades in judged]
        itself = _themselves(data, place)
        metrics = METRICS | {f"{name}@{k}": partial(value, k=k) for k in data.at for name, value in CUT.items()}
        items: dict[str, list[float]] = {metric: [] for metric in metrics}
        deepest = min(DEPTH, len(data.corpus))
        for query, of_query, found in zip(data.queries, judged, ranks(queries, passages, relevant, itself), strict=True):
            grades = np.array([grade for _, grade in of_query], dtype=float)
            ideal = np.sort(np.fromiter(data.relevant[query.id].values(), dtype=float))[::-1]
            ranked = np.zeros(min(int(found.max(initial=0)) + 1, deepest))
            seen = found < deepest
            ranked[found[seen]] = grades[seen]
            for metric, value in metrics.items():
                items[metric].append(value(ranked, ideal))
        groups = clusters([data.relevant[query.id] for query in data.queries])
        return Measurement({m: float(np.mean(v)) for m, v in items.items()}, items, len(data.queries), groups, _topics(data))


CUT = {"ndcg": ndcg, "mrr": reciprocal_rank, "recall": recall, "precision": precision}
METRICS = {
    "ndcg@10": ndcg, "mrr@10": reciprocal_rank, "recall@100": recall, "map": average_precision, "precision@10": precision,
}  # fmt: skip
_PARTS = {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS}


def _themselves(data: RetrievalData, place: Mapping[str, int]) -> list[int]:
    """For each query the index of the passage that is the query itself and is not retrieved (as in BEIR), -1 for none."""
    found = [place.get(query.id, -1) for query in data.queries]
    found = [i if i >= 0 and data.is_itself(q, data.corpus[i]) else -1 for i, q in zip(found, data.queries, strict=True)]
    if count := sum(number >= 0 for number in found):
        note(f"{count:,} queries are passages of the corpus, too, and are not retrieved for themselves")
    return found


def _ranks(at: object) -> tuple[int, ...]:
    found = at if isinstance(at, (list, tuple)) else (at,)
    if not all(isinstance(k, int) and 1 <= k <= DEPTH for k in found):
        raise UserError(f"at: {at!r} is not a list of ranks; give whole numbers from 1 to {DEPTH:,}, as in at: [1, 5]")
    return tuple(found)


def _topics(data: RetrievalData) -> Sequence[str]:
    """Each query's topic; where it has none, that of its most relevant passage with a topic."""
    topic_of = {text.id: text.topic for text in data.corpus if text.topic}
    found = []
    for query in data.queries:
        grades = data.relevant[query.id]
        named = (topic_of[name] for name in sorted(grades, key=lambda name: -grades[name]) if name in topic_of)
        found.append(query.topic or next(named, ""))
    return found if any(found) else ()


def _part(folder: Path, names: tuple[str, ...], split: str) -> Path:
    """The file of a folder for one part; a single split is used for any split."""
    for name in names:
        for ending in ("", ".gz"):
            file = folder / (name.format(split=split) + ending)
            if file.is_file():
                return file
    others = sorted(folder.glob(names[0].format(split="*")))
    if len(others) == 1 and "{split}" in names[0]:
        there = others[0].name.partition(".")[0]
        if (there, split) == ("test", "dev"):  # test data would be used for decisions during the run
            raise UserError(
                f"{folder}: has only {others[0].name} and no judgements for {split}; give the check's {split} its own data"
            )
        prefix = "WARNING: " if split == "test" else ""  # the test results are then not on held-out data
        note(f"{prefix}{others[0]}: used for {split}, which {folder} does not have")
        return others[0]
    there = "; ".join(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder"
    wanted = " or ".join(name.format(split=split) for name in names)
    raise UserError(f"{folder}: has no {wanted} (found: {there}). Expected a BEIR folder: corpus.jsonl, queries.jsonl, qrels/")


def _file(part: object) -> FileSource:
    return part if isinstance(part, MemoryRows) else str(part)


def _judged(spec: Mapping[str, FileSource]) -> RetrievalData:
    corpus, queries = read(spec["corpus"], "texts"), read(spec["queries"], "texts")
    problems = beir.duplicate_id_problems({str(spec["corpus"]): corpus, str(spec["queries"]): queries})
    try:
        relevant = beir.read_qrels(spec["qrels"], queries, corpus)
    except UserError as error:
        problems += error.problems
    if problems:
        raise UserError(limit_problems(problems))
    return RetrievalData([query for query in queries if query.id in relevant], corpus, relevant)


def _smaller(judged: RetrievalData, pool: int) -> RetrievalData:
    needed = {name for grades in judged.relevant.values() for name in grades}
    others = [t.id for t in judged.corpus if t.id not in needed]
    drawn = np.random.default_rng(0).permutation(len(others))[: max(0, pool)]
    kept = needed | {others[i] for i in drawn}
    return replace(judged, corpus=[t for t in judged.corpus if t.id in kept])
