"""What a ranking is worth: functions of the grades in rank order and of all grades of the query, largest first; and ranks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from adapt.retrieval.dense import TIE

BLOCK = 1 << 24  # scores held at once: 64 MiB
FEW = 64  # places up to which counting is quicker than sorting


def ndcg(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """Discounted cumulative gain of the first k over that of the best order; gain = grade, discount log2(rank + 1).

    `ranked`: grades in rank order; `ideal`: all grades of the query, largest first. As trec_eval's ndcg_cut.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = float((ideal[:k] * discounts[: len(ideal[:k])]).sum())
    return float((ranked[:k] * discounts[: len(ranked[:k])]).sum()) / best if best else 0.0


def reciprocal_rank(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """1 / rank of the first relevant among the first k; 0 where there is none."""
    hits = np.flatnonzero(ranked[:k] > 0)
    return 1.0 / (hits[0] + 1) if len(hits) else 0.0


def recall(ranked: np.ndarray, ideal: np.ndarray, k: int = 100) -> float:
    """Relevant among the first k over all relevant."""
    return float((ranked[:k] > 0).sum() / max(1, (ideal > 0).sum()))


def average_precision(ranked: np.ndarray, ideal: np.ndarray) -> float:
    """Mean over all relevant of the precision at their rank; those not found count 0."""
    hits = np.flatnonzero(ranked > 0)
    return float((np.arange(1, len(hits) + 1) / (hits + 1)).sum() / max(1, (ideal > 0).sum()))


def precision(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """Relevant among the first k over k."""
    return float((ranked[:k] > 0).sum() / k)


def ranks(queries: np.ndarray, passages: np.ndarray, wanted: Sequence[Any], never: Sequence[int]) -> Iterator[np.ndarray]:
    """For each query [q, d] the ranks among the passages [n, d], from 0, of those that are `wanted`: all that metrics ask for.

    `never`: a passage that the query does not see, -1 for none; wanted all the same, it is not found: its rank is n, and so is that
    of a score that is no number. Ties, to six digits, are broken against the wanted passage: others with its score rank above it,
    so that a model that scores all passages alike gains nothing from the order of a file. Wanted passages that tie with each other
    rank in the order given.
    """
    broken = np.isnan(queries).any() or np.isnan(passages).any()
    step = max(1, BLOCK // max(1, len(passages)))
    for start in range(0, len(queries), step):
        for number, scores in enumerate(queries[start : start + step] @ passages.T, start):
            if never[number] >= 0:
                scores[never[number]] = -np.inf
            if broken:
                scores[np.isnan(scores)] = -np.inf
            places = np.asarray(wanted[number])
            found = _counted(scores, places) if len(places) <= FEW else _sorted(scores, places)
            found[np.isneginf(scores[places])] = len(scores)
            yield found


def _counted(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Ranks by counting what scores higher: two looks at the scores for each place, half the time of a check in all."""
    found = np.empty(len(places), dtype=np.int64)
    for number, place in enumerate(places):
        above = np.count_nonzero(scores > scores[place] + TIE)
        if np.count_nonzero(scores >= scores[place] - TIE) == above + 1:
            found[number] = above
            continue
        near = np.flatnonzero((scores >= scores[place] - TIE) & (scores <= scores[place] + TIE))
        keys, key = np.round(scores[near].astype(np.float64), 6), np.round(np.float64(scores[place]), 6)
        later = np.isin(near, places[number:])  # of those that tie, this one and those wanted after it do not rank above it
        found[number] = above + ((keys > key) | ((keys == key) & ~later)).sum()
    return found


def _sorted(scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The same by sorting all that score as high as the lowest of many places."""
    turn = np.full(len(scores), -1)
    turn[places] = np.arange(len(places))
    reach = np.flatnonzero(scores >= scores[places].min() - TIE)
    order = np.lexsort((turn[reach], -np.round(scores[reach].astype(np.float64), 6)))
    rank = np.empty(len(scores), dtype=np.int64)
    rank[reach[order]] = np.arange(len(reach))
    return rank[places]
