"""Per-example comparison of the base and the final model on test data: gains and losses, neighbours, cosines.

The report shows it; no decision depends on it. Values come from the checks' own measurements, embeddings from their cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from adapt import checks
from adapt.checks import Measurement
from adapt.checks.kinds.reranking import RerankingQuery
from adapt.checks.kinds.retrieval import DEPTH, RetrievalData
from adapt.metrics import CORRELATIONS
from adapt.pipeline.cosine_comparison import ModelPair, compare_cosines, pair_series
from adapt.pipeline.measurements import BiEncoderModel, Measurements
from adapt.recipe import Recipe
from adapt.records import Encoder, ScoredPair, Text, Triplet
from adapt.run_details import (
    CheckComparison,
    Gains,
    Hit,
    ItemChange,
    PerExampleComparison,
    QueryNeighbours,
    RelevantPassage,
)

MAX_ITEMS = 2_000  # items of which the gain is kept, evenly thinned above; all are counted
NEIGHBOURS, MAX_CHARACTERS = 5, 160  # passages shown of each list, and characters of each text
GAINED, LOST, QUERIES = 4, 3, 10  # queries whose neighbours are shown: best gains, worst losses, and in total (others: unchanged)

Change = Literal["gained", "unchanged", "lost"]


def compare(
    recipe: Recipe,
    measurements: Measurements,
    base: Encoder,
    final: Encoder,
    measured_base: Mapping[str, Measurement],
    measured_final: Mapping[str, Measurement],
) -> PerExampleComparison:
    """The comparison for the recipe's target checks on test data, the gate's target first.

    `measured_*`: the measurements of both models on test data, by check. The same models and data give the same comparison.
    """
    models = ModelPair(
        BiEncoderModel(base.path, measurements.job, "cosine").embed, BiEncoderModel(final.path, measurements.job, "cosine").embed
    )
    main = recipe.gate.target if recipe.gate and recipe.gate.target else ""
    names = [n for n, spec in recipe.checks.items() if spec.role == "target" and n in measured_base and n in measured_final]
    compared = {}
    for name in sorted(names, key=lambda n: n != main.partition(".")[0]):
        spec = recipe.checks[name]
        metric = main.partition(".")[2] if main.startswith(f"{name}.") else checks.find(spec.kind).main_metric
        data = measurements.read(spec.kind, spec.sources()["test"], "test")
        compared[name] = compare_check(spec.kind, metric, data, measured_base[name], measured_final[name], models)
    return PerExampleComparison(checks=compared)


def compare_check(
    kind: str, metric: str, data: object, measured_base: Measurement, measured_final: Measurement, models: ModelPair
) -> CheckComparison:
    """The comparison for one check, as far as its kind has values per item, neighbours and text pairs."""
    values = values_per_item(metric, measured_base, measured_final)
    series = pair_series(data, models)
    cosines = compare_cosines(*series, models) if series else None
    if values is None or not len(values[0]):
        return CheckComparison(kind=kind, metric=metric, cosines=cosines)
    texts = item_texts(data)
    if len(texts) != len(values[0]):
        texts = [()] * len(values[0])
    neighbours = compare_neighbours(data, *values, models) if isinstance(data, RetrievalData) else ()
    return CheckComparison(
        kind=kind, metric=metric, items=len(texts), gains=gains(texts, *values), neighbours=neighbours, cosines=cosines
    )


# ------------------------------------------------------------------------------------------------ gains and losses


def values_per_item(metric: str, base: Measurement, final: Measurement) -> tuple[np.ndarray, np.ndarray] | None:
    """The value of each item with either model, higher is better: two arrays [items]; None where the kind has no value per item.

    For a correlation an item's value is 1 - |rank of the gold score - rank of the predicted score|, ranks normalised to 0 to 1.
    For binary labels (average precision, AUC, F1) the label, 1 or 0, replaces the gold rank.
    """
    if metric in base.items and metric in final.items:
        return np.asarray(base.items[metric], dtype=float), np.asarray(final.items[metric], dtype=float)
    if "gold" not in final.items or "predicted" not in base.items:
        return None
    gold = np.asarray(final.items["gold"], dtype=float)
    wanted = normalised_rank(gold) if metric in CORRELATIONS else gold
    before, after = (1 - np.abs(wanted - normalised_rank(np.asarray(m.items["predicted"]))) for m in (base, final))
    return before, after


def normalised_rank(values: np.ndarray) -> np.ndarray:
    """Ranks of values [n], scaled to 0 (lowest) to 1 (highest); ties have their mean rank."""
    from scipy.stats import rankdata

    ranks: np.ndarray = (rankdata(values) - 1) / max(1, len(values) - 1)
    return ranks


def item_texts(data: object) -> list[tuple[str, ...]]:
    """The text of each item of a check: its query, or both sides of its pair; empty for kinds without either."""
    if isinstance(data, RetrievalData):
        return [(query.text,) for query in data.queries]
    if not isinstance(data, Sequence):
        return []
    texts: list[tuple[str, ...]] = []
    for row in data:
        if isinstance(row, RerankingQuery):
            texts.append((row.query,))
        elif isinstance(row, ScoredPair):
            texts.append((row.sentence1, row.sentence2))
        elif isinstance(row, Triplet):
            texts += [(row.anchor,)] * len(row.negatives)
    return texts


def gains(texts: Sequence[tuple[str, ...]], base: np.ndarray, final: np.ndarray) -> Gains:
    """Items sorted by their gain, best first, at most `MAX_ITEMS`; the counts are of all items."""
    gain = np.round(final - base, 9)
    order = np.argsort(-gain, kind="stable")
    if len(order) > MAX_ITEMS:
        order = order[np.linspace(0, len(order) - 1, MAX_ITEMS).round().astype(int)]
    items = (
        ItemChange(texts=tuple(map(shorten, texts[i])), base=float(base[i]), final=float(final[i]), gain=float(gain[i]))
        for i in order
    )
    return Gains(better=int((gain > 0).sum()), same=int((gain == 0).sum()), worse=int((gain < 0).sum()), items=tuple(items))


def select_items(base: np.ndarray, final: np.ndarray) -> list[tuple[Change, int]]:
    """(change, item) of ten items: the four best gains, the three worst losses, and typical items that hardly changed.

    Typical: the smallest change first, then the value with the base model that is nearest to the median. Ties go to the earlier
    item.
    """
    gain = np.round(final - base, 9)
    order = np.argsort(-gain, kind="stable")
    best = [int(i) for i in order[:GAINED] if gain[i] > 0]
    worst = [int(i) for i in np.argsort(gain, kind="stable")[:LOST] if gain[i] < 0]
    rest = np.array([i for i in range(len(gain)) if i not in {*best, *worst}], dtype=int)
    typical = rest[np.lexsort((rest, np.abs(base[rest] - np.median(base)), np.abs(gain[rest])))]
    others = [int(i) for i in typical[: QUERIES - len(best) - len(worst)]]
    return [("gained", i) for i in best] + [("unchanged", i) for i in others] + [("lost", i) for i in worst]


# ------------------------------------------------------------------------------------------------ neighbours


def compare_neighbours(data: RetrievalData, base: np.ndarray, final: np.ndarray, models: ModelPair) -> tuple[QueryNeighbours, ...]:
    """The nearest passages of ten queries with either model, and the ranks of the relevant passages.

    A query is never among its own neighbours, as in the check.
    """
    from adapt.retrieval import dense

    selected = select_items(base, final)
    queries, passages = [data.queries[i] for _, i in selected], [text.text for text in data.corpus]
    ranked: list[list[list[tuple[Text, float]]]] = []  # [model][query]: (passage, cosine), best first
    for embed in (models.base, models.final):
        vectors = embed([query.text for query in queries], "query")
        indices, cosines = dense.top(vectors, embed(passages, "document"), DEPTH + 1)
        hits = [[(data.corpus[i], float(c)) for i, c in zip(*row, strict=True)] for row in zip(indices, cosines, strict=True)]
        ranked.append([[h for h in row if not data.is_itself(q, h[0])][:DEPTH] for q, row in zip(queries, hits, strict=True)])
    compared = []
    for (change, item), query, base_hits, final_hits in zip(selected, queries, *ranked, strict=True):
        grades = data.relevant[query.id]
        ranks = [{text.id: n for n, (text, _) in enumerate(hits, 1) if text.id in grades} for hits in (base_hits, final_hits)]
        relevant = [text for text in data.corpus if text.id in grades][:NEIGHBOURS]
        compared.append(
            QueryNeighbours(
                query=shorten(query.text),
                change=change,
                base=float(base[item]),
                final=float(final[item]),
                base_hits=_hits(base_hits, grades),
                final_hits=_hits(final_hits, grades),
                relevant=tuple(
                    RelevantPassage(id=t.id, text=shorten(t.text), base_rank=ranks[0].get(t.id), final_rank=ranks[1].get(t.id))
                    for t in relevant
                ),
            )
        )
    return tuple(compared)


def _hits(hits: Sequence[tuple[Text, float]], grades: Mapping[str, float]) -> tuple[Hit, ...]:
    return tuple(
        Hit(id=text.id, text=shorten(text.text), relevant=text.id in grades, cosine=round(cosine, 4))
        for text, cosine in hits[:NEIGHBOURS]
    )


def shorten(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 8 * MAX_CHARACTERS].split())
    return line if len(line) <= MAX_CHARACTERS else line[: MAX_CHARACTERS - 1] + "…"
