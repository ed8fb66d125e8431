"""Diagnostics of an embedding space: cosines of positives, hard negatives and random pairs, collapse, uniformity, effective rank.

None of them is an objective. They explain why a metric changed, and show a collapse before the metrics do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from adapt.checks import Model, find
from adapt.records import ScoredPair
from adapt.retrieval import neighbours
from adapt.retrieval.cosine_histogram import overlap_coefficient

SAMPLE = 2_000  # anchors and texts that are used, drawn with a fixed seed
RANDOM = 5  # random texts for each anchor


@dataclass(frozen=True)
class HealthData:
    """The distinct texts of a check's data, and for each anchor the indices of its positives and of its hard negatives.

    With `hard_negatives` None every other text is a candidate. `topics` of the texts, "" where unknown; may be empty. `roles` of
    anchors and texts, see `Model.embed`.
    """

    texts: Sequence[str]
    anchors: Sequence[str] = ()
    positives: Sequence[Sequence[int]] = ()
    hard_negatives: Sequence[Sequence[int]] | None = None
    topics: Sequence[str] = ()
    roles: tuple[str, str] = ("query", "document")


def from_scored_pairs(data: Sequence[ScoredPair], match: float = 0.5) -> HealthData:
    """Scored pairs: each first sentence is an anchor, its positives are the second sentences that score `match` or more."""
    index = {text: i for i, text in enumerate(dict.fromkeys(side for p in data for side in (p.sentence1, p.sentence2)))}
    positives: dict[str, list[int]] = {}
    for pair in data:
        if pair.score >= match and pair.sentence1 != pair.sentence2:
            positives.setdefault(pair.sentence1, []).append(index[pair.sentence2])
    return HealthData(list(index), list(positives), list(positives.values()), roles=("", ""))


def health(kind: str, data: object, model: Model) -> dict[str, float]:
    """The diagnostics of a model on data that a check of that kind has read; see `diagnostics`."""
    return diagnostics(find(kind).health_data(data), model)


def diagnostics(data: HealthData, model: Model) -> dict[str, float]:
    """{name: value}; a value whose data are missing is left out.

    `positive`, `hard_negative`, `random`: `_mean` and `_sd` of the anchors' cosines (-1 to 1) with their positives, with the
    hardest negative, and with random texts. `overlap_hard_negative`, `overlap_random`: the overlap coefficient of these cosines'
    histograms with that of the positives, 0 (separate) to 1 (equal). `alignment`: mean squared distance of positives, 0 to 4
    (Wang & Isola 2020). `mean_cosine` of all pairs of texts: near 1 the space has collapsed. `uniformity`: see there, -4 to 0.
    `effective_rank`: see there, 1 to d. `within_topic`, `between_topics`: mean cosine of two texts of one topic, of two topics.
    """
    rng = np.random.default_rng(0)
    vectors = model.embed(data.texts, data.roles[1])
    drawn = np.sort(rng.permutation(len(vectors))[:SAMPLE])
    sample = vectors[drawn].astype(np.float64)
    found = {"mean_cosine": mean_cosine(sample), "uniformity": uniformity(sample), "effective_rank": effective_rank(sample)}
    if any(data.topics):
        found |= by_topic(sample, [data.topics[i] for i in drawn])
    if len(data.anchors):
        chosen = np.sort(rng.permutation(len(data.anchors))[:SAMPLE])
        anchors = model.embed([data.anchors[i] for i in chosen], data.roles[0])
        found |= _pairs(data, chosen, anchors, vectors, rng)
    return found


def mean_cosine(vectors: np.ndarray) -> float:
    """Mean cosine of all pairs of rows of unit vectors [n, d], -1 to 1; 1 for a single row."""
    n = len(vectors)
    return float(((vectors.sum(0) ** 2).sum() - (vectors**2).sum()) / (n * (n - 1))) if n > 1 else 1.0


def uniformity(vectors: np.ndarray) -> float:
    """log of the mean of exp(-2 |x - y|²) over all pairs of unit vectors [n, d]: -4 to 0; 0 where all vectors are equal.

    Wang & Isola (2020), https://arxiv.org/abs/2005.10242, eq. 5 with t = 2. Lower values mean a more even distribution.
    """
    n = len(vectors)
    if n < 2:
        return 0.0
    total = np.exp(4 * (vectors @ vectors.T) - 4).sum() - np.exp(4 * (vectors**2).sum(1) - 4).sum()
    return float(np.log(total / (n * (n - 1))))


def effective_rank(vectors: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values of the rows [n, d]: the number of directions in use, 1 to min(n, d).

    Roy & Vetterli (2007), The effective rank: a measure of effective dimensionality. Rows are not centred: a common direction
    counts.
    """
    square = vectors.T @ vectors if len(vectors) > vectors.shape[1] else vectors @ vectors.T
    squares = np.linalg.eigvalsh(square)  # of the singular values; ten times faster than an SVD
    values = np.sqrt(squares[squares > 1e-12 * squares[-1]])  # smaller ones are rounding
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def by_topic(vectors: np.ndarray, topics: Sequence[str]) -> dict[str, float]:
    """Mean cosine over all pairs of texts of one topic and over all pairs of two topics; texts without a topic are left out."""
    names = np.array(topics, dtype=object)
    known = names != ""
    vectors, numbers = vectors[known], np.unique(names[known].astype(str), return_inverse=True)[1]
    sizes = np.bincount(numbers)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, numbers, vectors)
    within, total = (sums**2).sum(), (sums.sum(0) ** 2).sum()
    pairs, mixed = (sizes * (sizes - 1)).sum(), len(vectors) ** 2 - (sizes**2).sum()
    found = {}
    if pairs:
        found["within_topic"] = float((within - (vectors**2).sum()) / pairs)
    if mixed:
        found["between_topics"] = float((total - within) / mixed)
    return found


def _pairs(
    data: HealthData, chosen: np.ndarray, anchors: np.ndarray, vectors: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Cosines of anchors with positives, with the hardest negative and with random texts."""
    index = {text: number for number, text in enumerate(data.texts)}
    excluded = [{*data.positives[i], index.get(data.anchors[i], -1)} for i in chosen]  # a text is not its own negative
    owners = np.repeat(np.arange(len(chosen)), [len(data.positives[i]) for i in chosen])
    positives = np.array([number for i in chosen for number in data.positives[i]], dtype=int)
    cosines = {
        "positive": _cosines(anchors, vectors, owners, positives),
        "hard_negative": _hardest(data, chosen, anchors, vectors, excluded),
    }
    others = rng.integers(0, len(vectors), (len(chosen), RANDOM))
    eligible = np.array([[number not in own for number in row] for row, own in zip(others, excluded, strict=True)])
    cosines["random"] = _cosines(anchors, vectors, np.nonzero(eligible)[0], others[eligible])
    found = {
        f"{name}_{word}": float(of(v)) for name, v in cosines.items() if len(v) for word, of in (("mean", np.mean), ("sd", np.std))
    }
    if len(positives):
        found["alignment"] = float(np.mean(2 - 2 * cosines["positive"]))
        found |= {
            f"overlap_{n}": overlap_coefficient(cosines["positive"], v) for n, v in cosines.items() if n != "positive" and len(v)
        }
    return found


def _hardest(
    data: HealthData, chosen: np.ndarray, anchors: np.ndarray, vectors: np.ndarray, excluded: list[set[int]]
) -> np.ndarray:
    """Each anchor's cosine with its hardest negative; anchors without one are left out."""
    if data.hard_negatives is not None:
        lists = [list(data.hard_negatives[i]) for i in chosen]
        return np.array([(vectors[row] @ anchors[i]).max() for i, row in enumerate(lists) if row], dtype=np.float64)
    found, scores = neighbours.nearest(anchors, vectors, max(map(len, excluded)) + 1)
    first = ((row, next((k for k, i in enumerate(found[row]) if i not in own), None)) for row, own in enumerate(excluded))
    return np.array([scores[row, k] for row, k in first if k is not None], dtype=np.float64)


def _cosines(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.einsum("ij,ij->i", left[rows], right[columns]).astype(np.float64)
    return found
