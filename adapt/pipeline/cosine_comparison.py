"""Cosines of text pairs with the base and with the final model: positives, hard negatives and random pairs of a check's data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from adapt.checks.kinds.reranking import RerankingQuery
from adapt.checks.kinds.retrieval import RetrievalData
from adapt.records import ScoredPair, Triplet
from adapt.retrieval.cosine_histogram import histogram, overlap_coefficient
from adapt.run_details import CosineComparison, CosineDistribution

SAMPLED = 10_000  # random pairs that are drawn, and the most pairs of a series
HARD_NEGATIVE_DEPTH = 100  # ranks of the base model that are searched for a hard negative

Embed = Callable[[Sequence[str], str], np.ndarray]
Series = dict[str, list[tuple[str, str]]]
Roles = tuple[str, str]  # of the two sides of a pair


@dataclass(frozen=True)
class ModelPair:
    """The base and the final model, each as a function of texts and their role that returns unit vectors [texts, d]."""

    base: Embed
    final: Embed


def pair_series(data: object, models: ModelPair) -> tuple[Series, Roles] | None:
    """({series: text pairs}, roles): positives, hard negatives and random pairs, or pairs by their score; None for other kinds."""
    roles: Roles = ("query", "document")
    first = data[0] if isinstance(data, Sequence) and len(data) else None
    rows: Sequence[object] = data if isinstance(data, Sequence) else ()
    if isinstance(data, RetrievalData):
        series = _retrieval_series(data, models)
    elif isinstance(first, Triplet):
        triplets = [row for row in rows if isinstance(row, Triplet)]
        series = {"positives": [(t.anchor, t.positive) for t in triplets]}
        series["hard negatives"] = [(t.anchor, negative) for t in triplets for negative in t.negatives]
    elif isinstance(first, RerankingQuery):
        queries = [row for row in rows if isinstance(row, RerankingQuery)]
        series = {"positives": [(q.query, text) for q in queries for text in q.positives]}
        series["hard negatives"] = [(q.query, text) for q in queries for text in q.negatives]
    elif isinstance(first, ScoredPair):
        pairs = [row for row in rows if isinstance(row, ScoredPair)]
        series, roles = {"scored 0.5 and above": [(p.sentence1, p.sentence2) for p in pairs if p.score >= 0.5]}, ("", "")
        series["scored below 0.5"] = [(p.sentence1, p.sentence2) for p in pairs if p.score < 0.5]
    else:
        return None
    known = {pair for pairs in series.values() for pair in pairs}
    left, right = ([pair[side] for pairs in series.values() for pair in pairs] for side in (0, 1))
    rng = np.random.default_rng(0)  # fixed: which pairs are drawn is part of the method
    if isinstance(data, RetrievalData):
        right = [text.text for text in data.corpus]
    drawn = zip(rng.integers(0, len(left), SAMPLED), rng.integers(0, len(right), SAMPLED), strict=True)
    series["random"] = [pair for i, j in drawn if (pair := (left[i], right[j])) not in known and pair[0] != pair[1]]
    return {name: _thinned(pairs) for name, pairs in series.items() if pairs}, roles


def _retrieval_series(data: RetrievalData, models: ModelPair) -> Series:
    """Each query with its relevant passages, and with its hard negative: the highest irrelevant passage of the base model."""
    from adapt.retrieval.neighbours import nearest

    text_of = {text.id: text.text for text in data.corpus}
    positives = [(query.text, text_of[name]) for query in data.queries for name in data.relevant[query.id] if name in text_of]
    queries = models.base([query.text for query in data.queries], "query")
    ranked, _ = nearest(queries, models.base([text.text for text in data.corpus], "document"), HARD_NEGATIVE_DEPTH)
    negatives = []
    for query, indices in zip(data.queries, ranked, strict=True):
        passages = (data.corpus[i] for i in indices)
        relevant = data.relevant[query.id]
        negative = next((p.text for p in passages if p.id not in relevant and not data.is_itself(query, p)), None)
        if negative is not None:
            negatives.append((query.text, negative))
    return {"positives": positives, "hard negatives": negatives}


def _thinned(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if len(pairs) <= SAMPLED:
        return pairs
    return [pairs[i] for i in np.linspace(0, len(pairs) - 1, SAMPLED).round().astype(int)]


def compare_cosines(series: Series, roles: Roles, models: ModelPair) -> CosineComparison:
    """Cosines of each series with either model, and the overlap of its histogram with that of the first series."""
    sides = [list(dict.fromkeys(pair[side] for pairs in series.values() for pair in pairs)) for side in (0, 1)]
    index = [{text: number for number, text in enumerate(texts)} for texts in sides]

    def distribution(embed: Embed) -> CosineDistribution:
        left, right = (embed(texts, role) for texts, role in zip(sides, roles, strict=True))
        values: dict[str, np.ndarray] = {}
        for name, pairs in series.items():
            rows = [[index[side][pair[side]] for pair in pairs] for side in (0, 1)]
            values[name] = np.einsum("ij,ij->i", left[rows[0]], right[rows[1]])
        first, *others = values
        return CosineDistribution(
            counts={name: tuple(histogram(cosines)) for name, cosines in values.items()},
            means={name: round(float(cosines.mean()), 4) for name, cosines in values.items()},
            overlap={name: round(overlap_coefficient(values[first], values[name]), 4) for name in others},
        )

    return CosineComparison(series=tuple(series), base=distribution(models.base), final=distribution(models.final))
