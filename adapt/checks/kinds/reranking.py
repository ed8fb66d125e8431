"""Reranking: MAP, MRR@10 and nDCG@10 of each query's own list of candidates."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source, file_of
from adapt.checks.groups import clusters
from adapt.checks.health import HealthData
from adapt.checks.ranking import average_precision, ndcg, reciprocal_rank
from adapt.checks.topics import topics_of
from adapt.errors import UserError
from adapt.files import BadRow, BadRowCollector, rows

METRICS = {"map": average_precision, "mrr@10": reciprocal_rank, "ndcg@10": ndcg}


@dataclass(frozen=True)
class RerankingQuery:
    """A query with its own candidates: relevant ones (positives) and others (negatives)."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    topic: str = ""


class Reranking(Check[list[RerankingQuery]]):
    """Reranking on rows `query, positive: [texts], negative: [texts]` (MTEB's layout), as JSONL or Parquet.

    A negative that ties with a positive ranks above it, so that a model that scores all candidates alike gains nothing.
    """

    main_metric = "map"

    def read(self, source: Source, split: str = "test") -> list[RerankingQuery]:
        found, bad = [], BadRowCollector(file_of(source))
        for where, row in rows(file_of(source)):
            query, sides = row.get("query"), [_texts(row.get(name)) for name in ("positive", "negative")]
            if not isinstance(query, str) or not query.strip() or not all(sides):
                why = row.why if isinstance(row, BadRow) else "needs query (text), positive and negative (lists of texts)"
                bad.add(where, why, row.raw if isinstance(row, BadRow) else row)
            else:
                found.append(RerankingQuery(query.strip(), sides[0], sides[1], str(row.get("topic") or "")))
        bad.finish()
        if not found:
            raise UserError(f"{source}: has no rows; expected query, positive, negative")
        return found

    def protected_items(self, data: list[RerankingQuery]) -> Iterator[ProtectedItem]:
        for row in data:
            yield ProtectedItem((row.query,))
            yield from (ProtectedItem((row.query, positive)) for positive in row.positives)

    def health_data(self, data: list[RerankingQuery]) -> HealthData:
        place = {text: i for i, text in enumerate(dict.fromkeys(t for row in data for t in (*row.positives, *row.negatives)))}
        right = [[place[text] for text in row.positives] for row in data]
        return HealthData(
            list(place), [row.query for row in data], right, [[place[text] for text in row.negatives] for row in data]
        )

    def measure(self, data: list[RerankingQuery], model: Model) -> Measurement:
        queries = model.embed([row.query for row in data], "query")
        texts = list(dict.fromkeys(text for row in data for text in (*row.positives, *row.negatives)))
        vectors = model.embed(texts, "document")
        place = {text: number for number, text in enumerate(texts)}
        items: dict[str, list[float]] = {name: [] for name in METRICS}
        for query, row in zip(queries, data, strict=True):
            grades = np.array([0.0] * len(row.negatives) + [1.0] * len(row.positives))
            scores = vectors[[place[text] for text in (*row.negatives, *row.positives)]] @ query
            keys = np.round(np.where(np.isfinite(scores), scores, -np.inf).astype(np.float64), 6)  # NaN ranks last, as a tie
            ranked = grades[np.argsort(-keys, kind="stable")]
            for name, value in METRICS.items():
                items[name].append(value(ranked, np.sort(grades)[::-1]))
        metrics = {name: float(np.mean(values)) for name, values in items.items()}
        return Measurement(metrics, items, len(data), clusters([row.positives for row in data]), topics_of(data))


def _texts(value: object) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple, np.ndarray)) else []
    return tuple(text.strip() for text in values if isinstance(text, str) and text.strip())
