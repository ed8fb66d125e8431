"""What two models make of single items of the test data: gains and losses, neighbours and cosines, before and after.

Read by the report. Nothing here decides anything: values come from the checks' own measurements, and vectors from their cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt import checks
from adapt.checks import Measurement
from adapt.checks.kinds.reranking import RerankingQuery
from adapt.checks.kinds.retrieval import DEPTH, RetrievalData
from adapt.metrics import CORRELATIONS
from adapt.pipeline.measurements import BiEncoderModel, Measurements
from adapt.recipe import Recipe
from adapt.records import Encoder, ScoredPair, Triplet
from adapt.retrieval.cosine_histogram import BINS
from adapt.retrieval.cosine_histogram import overlap_coefficient as overlap

MOST = 2_000  # items whose gain is kept, evenly thinned above; all are counted
NEIGHBOURS, LENGTH = 5, 160  # passages shown of each list, and characters of each text
GAINED, LOST, SHOWN = 4, 3, 10  # queries whose neighbours are shown: best gains, worst losses, and all (the rest unchanged)
SAMPLED = 10_000  # random pairs behind the cosine histograms, and the most pairs of a series
HARD_DEPTH = 100  # how deep the base's list is searched for a wrong passage

Embed = Callable[[Sequence[str], str], np.ndarray]


@dataclass(frozen=True)
class Both:
    """The vectors of the same texts from the base and from the final model."""

    base: Embed
    final: Embed


def gather(
    recipe: Recipe,
    measurements: Measurements,
    base: Encoder,
    final: Encoder,
    measured_base: Mapping[str, Measurement],
    measured_final: Mapping[str, Measurement],
) -> dict[str, Any]:
    """Of the recipe's targets on test data: `{"checks": {name: {kind, metric, items, gains, neighbours, cosines}}}`, for JSON.

    The gate's target stands first. `measured_*` are the measurements of both models on test data, by check. A part that a kind
    of check has not (neighbours of sentence pairs) is left out. The same models and data give the same evidence.
    """
    both = Both(
        BiEncoderModel(base.path, measurements.job, "cosine").embed, BiEncoderModel(final.path, measurements.job, "cosine").embed
    )
    main = recipe.gate.target if recipe.gate and recipe.gate.target else ""
    names = [n for n, spec in recipe.checks.items() if spec.role == "target" and n in measured_base and n in measured_final]
    found = {}
    for name in sorted(names, key=lambda n: n != main.partition(".")[0]):
        spec = recipe.checks[name]
        metric = main.partition(".")[2] if main.startswith(f"{name}.") else checks.find(spec.kind).main_metric
        data = measurements.read(spec.kind, spec.sources()["test"], "test")
        found[name] = {"kind": spec.kind, "metric": metric}
        found[name] |= of_check(data, metric, measured_base[name], measured_final[name], both)
    return {"checks": found}


def of_check(data: Any, metric: str, before: Measurement, after: Measurement, both: Both) -> dict[str, Any]:
    """What is known of one check's items: `items` (how many), `gains`, `neighbours`, `cosines`, as far as its kind has them."""
    found: dict[str, Any] = {}
    values = per_item(metric, before, after)
    if values is not None and len(values[0]):
        texts = item_texts(data)
        texts = texts if len(texts) == len(values[0]) else [()] * len(values[0])
        found |= {"items": len(values[0]), "gains": gains(texts, *values)}
        if isinstance(data, RetrievalData):
            found["neighbours"] = neighbours(data, *values, both)
    series = pairs_by_series(data, both)
    if series:
        found["cosines"] = cosines(series, both)
    return found


# ------------------------------------------------------------------------------------------------ gains and losses


def per_item(metric: str, before: Measurement, after: Measurement) -> tuple[np.ndarray, np.ndarray] | None:
    """What each item is worth with either model, higher is better: two columns [items]; None where nothing is kept per item.

    A correlation has no value per item: an item's is 1 less the distance of its standing by the model from its standing by the
    gold score, both 0 (lowest) to 1 (highest). Of matches and others (average precision, AUC, F1) the gold standing is 1 or 0.
    """
    if metric in before.items and metric in after.items:
        return np.asarray(before.items[metric], dtype=float), np.asarray(after.items[metric], dtype=float)
    if "gold" not in after.items or "predicted" not in before.items:
        return None
    gold = np.asarray(after.items["gold"], dtype=float)
    wanted = _standing(gold) if metric in CORRELATIONS else gold
    old, new = (1 - np.abs(wanted - _standing(np.asarray(m.items["predicted"]))) for m in (before, after))
    return old, new


def _standing(values: np.ndarray) -> np.ndarray:
    """Ranks (ties at their mean) as 0 to 1."""
    from scipy.stats import rankdata

    return (rankdata(values) - 1) / max(1, len(values) - 1)


def item_texts(data: Any) -> list[tuple[str, ...]]:
    """What names each item of a check to a reader: its query, or both sides of its pair; empty for other kinds."""
    if isinstance(data, RetrievalData):
        return [(query.text,) for query in data.queries]
    first = data[0] if isinstance(data, Sequence) and len(data) else None
    if isinstance(first, RerankingQuery):
        return [(row.query,) for row in data]
    if isinstance(first, ScoredPair):
        return [(pair.sentence1, pair.sentence2) for pair in data]
    if isinstance(first, Triplet):
        return [(triplet.anchor,) for triplet in data for _ in triplet.negatives]
    return []


def gains(texts: Sequence[tuple[str, ...]], before: np.ndarray, after: np.ndarray) -> dict[str, Any]:
    """`counts` of items that are better, same and worse, and `rows` (texts, before, after, gain), the best gain first."""
    gain = np.round(after - before, 9)
    order = np.argsort(-gain, kind="stable")
    if len(order) > MOST:
        order = order[np.linspace(0, len(order) - 1, MOST).round().astype(int)]
    return {
        "counts": {"better": int((gain > 0).sum()), "same": int((gain == 0).sum()), "worse": int((gain < 0).sum())},
        "rows": [
            {"texts": [short(t) for t in texts[i]], "before": float(before[i]), "after": float(after[i]), "gain": float(gain[i])}
            for i in order
        ],
    }


def chosen(before: np.ndarray, after: np.ndarray) -> list[tuple[str, int]]:
    """(gained, unchanged or lost; item) for the ten items to look at: the best four, the worst three, and typical others.

    Typical: of those that changed least, the ones whose value before is nearest to the median. Ties go to the earlier item.
    """
    gain = np.round(after - before, 9)
    order = np.argsort(-gain, kind="stable")
    best = [int(i) for i in order[:GAINED] if gain[i] > 0]
    worst = [int(i) for i in np.argsort(gain, kind="stable")[:LOST] if gain[i] < 0]
    rest = np.array([i for i in range(len(gain)) if i not in {*best, *worst}], dtype=int)
    typical = rest[np.lexsort((rest, np.abs(before[rest] - np.median(before)), np.abs(gain[rest])))]
    others = [int(i) for i in typical[: SHOWN - len(best) - len(worst)]]
    return [("gained", i) for i in best] + [("unchanged", i) for i in others] + [("lost", i) for i in worst]


# ------------------------------------------------------------------------------------------------ neighbours


def neighbours(data: RetrievalData, before: np.ndarray, after: np.ndarray, both: Both) -> list[dict[str, Any]]:
    """For ten queries the five nearest passages of either model, and at which rank the right ones stand (None: below 1,000)."""
    from adapt.retrieval import dense

    picked = chosen(before, after)
    queries, passages = [data.queries[i].text for _, i in picked], [t.text for t in data.corpus]
    lists, scores = {}, {}
    for model, embed in (("base", both.base), ("final", both.final)):
        lists[model], scores[model] = dense.top(embed(queries, "query"), embed(passages, "document"), DEPTH + 1)
    found = []
    for number, (change, item) in enumerate(picked):
        query = data.queries[item]
        grades = data.relevant[query.id]
        row: dict[str, Any] = {
            "query": short(query.text),
            "change": change,
            "before": float(before[item]),
            "after": float(after[item]),
        }
        ranks: dict[str, dict[str, int]] = {}
        for model in ("base", "final"):
            hits = [(data.corpus[i], float(s)) for i, s in zip(lists[model][number], scores[model][number], strict=True)]
            hits = [(text, score) for text, score in hits if not data.is_itself(query, text)][:DEPTH]  # as the check: never itself
            ranks[model] = {text.id: rank for rank, (text, _) in enumerate(hits, 1) if text.id in grades}
            row[model] = [
                {"id": text.id, "text": short(text.text), "right": text.id in grades, "cosine": round(score, 4)}
                for text, score in hits[:NEIGHBOURS]
            ]
        wanted = [text for text in data.corpus if text.id in grades][:NEIGHBOURS]
        row["right"] = [
            {"id": t.id, "text": short(t.text), "base": ranks["base"].get(t.id), "final": ranks["final"].get(t.id)} for t in wanted
        ]
        found.append(row)
    return found


def short(text: str) -> str:
    """The beginning of a text on one line."""
    line = " ".join(text[: 8 * LENGTH].split())
    return line if len(line) <= LENGTH else line[: LENGTH - 1] + "…"


# ------------------------------------------------------------------------------------------------ cosines

Series = dict[str, list[tuple[str, str]]]


def pairs_by_series(data: Any, both: Both) -> tuple[Series, tuple[str, str]] | None:
    """({series: text pairs}, the roles of their sides): what belongs together, what only looks so, and pairs drawn at random."""
    first = data[0] if isinstance(data, Sequence) and len(data) else None
    found: Series
    if isinstance(data, RetrievalData):
        found, roles = _of_retrieval(data, both), ("query", "document")
    elif isinstance(first, Triplet):
        found, roles = {"positives": [(t.anchor, t.positive) for t in data]}, ("query", "document")
        found["hard negatives"] = [(t.anchor, negative) for t in data for negative in t.negatives]
    elif isinstance(first, RerankingQuery):
        found, roles = {"positives": [(row.query, text) for row in data for text in row.positives]}, ("query", "document")
        found["hard negatives"] = [(row.query, text) for row in data for text in row.negatives]
    elif isinstance(first, ScoredPair):
        sides = [(pair.score, (pair.sentence1, pair.sentence2)) for pair in data]
        found, roles = {"scored 0.5 and above": [pair for score, pair in sides if score >= 0.5]}, ("", "")
        found["scored below 0.5"] = [pair for score, pair in sides if score < 0.5]
    else:
        return None
    together = {pair for pairs in found.values() for pair in pairs}
    left, right = ([pair[side] for pairs in found.values() for pair in pairs] for side in (0, 1))
    rng = np.random.default_rng(0)  # fixed: which pairs are drawn is part of the method
    if isinstance(data, RetrievalData):
        right = [text.text for text in data.corpus]
    drawn = zip(rng.integers(0, len(left), SAMPLED), rng.integers(0, len(right), SAMPLED), strict=True)
    found["random"] = [pair for i, j in drawn if (pair := (left[i], right[j])) not in together and pair[0] != pair[1]]
    return {name: _thinned(pairs) for name, pairs in found.items() if pairs}, roles


def _of_retrieval(data: RetrievalData, both: Both) -> Series:
    """Each query with its right passages, and with the wrong one that the base ranks highest."""
    from adapt.retrieval import dense

    text_of = {text.id: text.text for text in data.corpus}
    positives = [(query.text, text_of[name]) for query in data.queries for name in data.relevant[query.id] if name in text_of]
    queries = both.base([q.text for q in data.queries], "query")
    nearest, _ = dense.top(queries, both.base([t.text for t in data.corpus], "document"), HARD_DEPTH)
    hard = []
    for query, places in zip(data.queries, nearest, strict=True):
        wrong = (data.corpus[i] for i in places)
        text = next((t.text for t in wrong if t.id not in data.relevant[query.id] and not data.is_itself(query, t)), None)
        if text is not None:
            hard.append((query.text, text))
    return {"positives": positives, "hard negatives": hard}


def _thinned(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if len(pairs) <= SAMPLED:
        return pairs
    return [pairs[i] for i in np.linspace(0, len(pairs) - 1, SAMPLED).round().astype(int)]


def cosines(found: tuple[Series, tuple[str, str]], both: Both) -> dict[str, Any]:
    """Histograms of each series' cosines over -1 to 1 and their means, before and after, and the overlap with the first series.

    The overlap coefficient is the area that two histograms share: 0 where a threshold tells them apart, 1 where nothing does.
    """
    series, roles = found
    sides = [list(dict.fromkeys(pair[side] for pairs in series.values() for pair in pairs)) for side in (0, 1)]
    result: dict[str, Any] = {"from": -1.0, "to": 1.0, "bins": BINS, "series": list(series)}
    place = [{text: number for number, text in enumerate(texts)} for texts in sides]
    for model, embed in (("before", both.base), ("after", both.final)):
        left, right = (embed(texts, role) for texts, role in zip(sides, roles, strict=True))
        values = {}
        for name, pairs in series.items():
            rows = [[place[side][pair[side]] for pair in pairs] for side in (0, 1)]
            values[name] = np.einsum("ij,ij->i", left[rows[0]], right[rows[1]])
        counts = {name: np.histogram(np.clip(found, -1, 1), bins=BINS, range=(-1, 1))[0] for name, found in values.items()}
        means = {name: round(float(found.mean()), 4) for name, found in values.items()}
        first, *others = values
        overlaps = {name: round(overlap(values[first], values[name]), 4) for name in others}
        result[model] = {"counts": {name: c.tolist() for name, c in counts.items()}, "means": means, "overlap": overlaps}
    return result
