"""Is the space sound? Cosines of right, wrong and random pairs, collapse, uniformity and alignment, effective rank, topics.

None of these is a goal: they tell why a metric moved, and see a space fall in before the metrics do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.checks import Model, find
from adapt.records import ScoredPair
from adapt.retrieval import neighbours
from adapt.retrieval.cosine_histogram import overlap_coefficient

SAMPLE = 2_000  # anchors, and texts, looked at; drawn with a fixed seed
RANDOM = 5  # random texts beside each anchor


@dataclass(frozen=True)
class HealthData:
    """What a check's data know of their texts, each of which stands once.

    `right` and `wrong` number, for each anchor, the texts that belong to it and its own hard negatives; with `wrong` None any
    other text may be one. `topics`: each text's, "" where unknown; may be empty. `roles` of anchors and texts.
    """

    texts: Sequence[str]
    anchors: Sequence[str] = ()
    right: Sequence[Sequence[int]] = ()
    wrong: Sequence[Sequence[int]] | None = None
    topics: Sequence[str] = ()
    roles: tuple[str, str] = ("query", "document")


def from_scored_pairs(data: Sequence[ScoredPair], match: float = 0.5) -> HealthData:
    """Scored pairs as a space: each first sentence with the second ones that score `match` and more."""
    place = {text: i for i, text in enumerate(dict.fromkeys(side for p in data for side in (p.sentence1, p.sentence2)))}
    right: dict[str, list[int]] = {}
    for pair in data:
        if pair.score >= match and pair.sentence1 != pair.sentence2:
            right.setdefault(pair.sentence1, []).append(place[pair.sentence2])
    return HealthData(list(place), list(right), list(right.values()), roles=("", ""))


def health(kind: str, data: Any, model: Model) -> dict[str, float]:
    """The health of a model's space on the data of a check of that kind; see `of_space`. Vectors that the check asked for serve."""
    return of_space(find(kind).health_data(data), model)


def of_space(space: HealthData, model: Model) -> dict[str, float]:
    """What can be known of the space, by name; names whose data are missing are left out.

    `positive`, `hard_negative`, `random`: `_mean` and `_sd` of anchors' cosines with their right texts, with the highest wrong
    one, and with texts drawn at random. `overlap_hard_negative`, `overlap_random`: the area that the histograms of positives and
    of these share, 0 (apart) to 1 (the same). `alignment`: mean squared distance of positives, 0 to 4. `mean_cosine` of all pairs
    of texts: near 1 the space has collapsed. `uniformity`, -4 (opposite) to 0 (collapsed). `effective_rank`, 1 to the width.
    `within_topic`, `between_topics`: mean cosine of two texts of one topic, and of two.
    """
    rng = np.random.default_rng(0)
    vectors = model.embed(space.texts, space.roles[1])
    drawn = np.sort(rng.permutation(len(vectors))[:SAMPLE])
    sample = vectors[drawn].astype(np.float64)
    found = {"mean_cosine": mean_cosine(sample), "uniformity": uniformity(sample), "effective_rank": effective_rank(sample)}
    if any(space.topics):
        found |= by_topic(sample, [space.topics[i] for i in drawn])
    if len(space.anchors):
        chosen = np.sort(rng.permutation(len(space.anchors))[:SAMPLE])
        asked = model.embed([space.anchors[i] for i in chosen], space.roles[0])
        found |= _pairs(space, chosen, asked, vectors, rng)
    return found


def mean_cosine(vectors: np.ndarray) -> float:
    """Mean cosine of all pairs of different rows of unit vectors [n, d]; 1 for a single one."""
    n = len(vectors)
    return float(((vectors.sum(0) ** 2).sum() - (vectors**2).sum()) / (n * (n - 1))) if n > 1 else 1.0


def uniformity(vectors: np.ndarray) -> float:
    """log of the mean of exp(-2 |x - y|²) over all pairs of unit vectors [n, d], t = 2.

    Wang & Isola (2020), https://arxiv.org/abs/2005.10242, eq. 5. 0 where all are the same; the lower the more evenly spread.
    """
    n = len(vectors)
    if n < 2:
        return 0.0
    total = np.exp(4 * (vectors @ vectors.T) - 4).sum() - np.exp(4 * (vectors**2).sum(1) - 4).sum()
    return float(np.log(total / (n * (n - 1))))


def effective_rank(vectors: np.ndarray) -> float:
    """exp of the entropy of the singular values' shares: how many directions the rows [n, d] use, 1 to min(n, d).

    Roy & Vetterli (2007), "The effective rank: a measure of effective dimensionality". Not centred: a common direction counts.
    """
    square = vectors.T @ vectors if len(vectors) > vectors.shape[1] else vectors @ vectors.T
    squares = np.linalg.eigvalsh(square)  # of the singular values; ten times as fast as finding these themselves
    values = np.sqrt(squares[squares > 1e-12 * squares[-1]])  # smaller ones are rounding
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def by_topic(vectors: np.ndarray, topics: Sequence[str]) -> dict[str, float]:
    """Mean cosine over all pairs of texts of one topic and of two topics; a text without a topic is left out."""
    names = np.array(topics, dtype=object)
    known = names != ""
    vectors, numbers = vectors[known], np.unique(names[known].astype(str), return_inverse=True)[1]
    sizes = np.bincount(numbers)
    sums = np.zeros((len(sizes), vectors.shape[1]))
    np.add.at(sums, numbers, vectors)
    alike, all_ = (sums**2).sum(), (sums.sum(0) ** 2).sum()
    pairs, mixed = (sizes * (sizes - 1)).sum(), len(vectors) ** 2 - (sizes**2).sum()
    found = {}
    if pairs:
        found["within_topic"] = float((alike - (vectors**2).sum()) / pairs)
    if mixed:
        found["between_topics"] = float((all_ - alike) / mixed)
    return found


def _pairs(
    space: HealthData, chosen: np.ndarray, asked: np.ndarray, vectors: np.ndarray, rng: np.random.Generator
) -> dict[str, float]:
    """Cosines of anchors with right texts, with the highest wrong one, with random ones."""
    place = {text: number for number, text in enumerate(space.texts)}
    out = [{*space.right[i], place.get(space.anchors[i], -1)} for i in chosen]  # a text is no negative of itself
    owners = np.repeat(np.arange(len(chosen)), [len(space.right[i]) for i in chosen])
    positives = np.array([number for i in chosen for number in space.right[i]], dtype=int)
    cosines = {
        "positive": _cosines(asked, vectors, owners, positives),
        "hard_negative": _hardest(space, chosen, asked, vectors, out),
    }
    others = rng.integers(0, len(vectors), (len(chosen), RANDOM))
    fair = np.array([[number not in never for number in row] for row, never in zip(others, out, strict=True)])
    cosines["random"] = _cosines(asked, vectors, np.nonzero(fair)[0], others[fair])
    found = {
        f"{name}_{word}": float(of(v)) for name, v in cosines.items() if len(v) for word, of in (("mean", np.mean), ("sd", np.std))
    }
    if len(positives):
        found["alignment"] = float(np.mean(2 - 2 * cosines["positive"]))
        found |= {
            f"overlap_{n}": overlap_coefficient(cosines["positive"], v) for n, v in cosines.items() if n != "positive" and len(v)
        }
    return found


def _hardest(space: HealthData, chosen: np.ndarray, asked: np.ndarray, vectors: np.ndarray, out: list[set[int]]) -> np.ndarray:
    """Each anchor's cosine with its highest wrong text; anchors that have none are left out."""
    if space.wrong is not None:
        lists = [list(space.wrong[i]) for i in chosen]
        return np.array([(vectors[row] @ asked[i]).max() for i, row in enumerate(lists) if row], dtype=np.float64)
    found, scores = neighbours.nearest(asked, vectors, max(map(len, out)) + 1)
    first = ((row, next((k for k, i in enumerate(found[row]) if i not in never), None)) for row, never in enumerate(out))
    return np.array([scores[row, k] for row, k in first if k is not None], dtype=np.float64)


def _cosines(left: np.ndarray, right: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", left[rows], right[columns]).astype(np.float64)
