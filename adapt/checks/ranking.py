"""Ranking metrics of one query, as trec_eval defines them, and the ranks of its relevant passages.

Each metric takes `ranked`, the grades of the passages in rank order, and `ideal`, all grades of the query, largest first; a grade
above 0 is relevant. Values lie in 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from adapt.retrieval import neighbours
from adapt.retrieval.topk import TIE

BLOCK = 1 << 24  # scores held at once: 64 MiB
FEW = 64  # indices up to which counting is faster than sorting


def ndcg(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """nDCG@k: the discounted cumulative gain of the first k over that of the ideal order; 0 without relevant passages.

    Gain is the grade, the discount log2(rank + 1), as trec_eval's ndcg_cut (Järvelin & Kekäläinen 2002).
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = float((ideal[:k] * discounts[: len(ideal[:k])]).sum())
    return float((ranked[:k] * discounts[: len(ranked[:k])]).sum()) / best if best else 0.0


def reciprocal_rank(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """RR@k: 1 / rank of the first relevant passage among the first k, 0 where there is none. Its mean is MRR@k (Voorhees 1999)."""
    hits = np.flatnonzero(ranked[:k] > 0)
    return 1.0 / (hits[0] + 1) if len(hits) else 0.0


def recall(ranked: np.ndarray, ideal: np.ndarray, k: int = 100) -> float:
    """R@k: the share of all relevant passages that is among the first k."""
    return float((ranked[:k] > 0).sum() / max(1, (ideal > 0).sum()))


def average_precision(ranked: np.ndarray, ideal: np.ndarray) -> float:
    """AP: the mean over all relevant passages of the precision at their rank, 0 for those not found. Its mean is MAP."""
    hits = np.flatnonzero(ranked > 0)
    return float((np.arange(1, len(hits) + 1) / (hits + 1)).sum() / max(1, (ideal > 0).sum()))


def precision(ranked: np.ndarray, ideal: np.ndarray, k: int = 10) -> float:
    """P@k: the share of the first k that is relevant."""
    return float((ranked[:k] > 0).sum() / k)


def ranks(queries: np.ndarray, passages: np.ndarray, wanted: Sequence[np.ndarray], excluded: Sequence[int]) -> Iterator[np.ndarray]:
    """For each query [q, d] the ranks among the passages [n, d], from 0, of its `wanted` passages (indices).

    `excluded`: a passage that the query does not search, -1 for none. The rank of an excluded passage and of one whose score is
    NaN is n. Ties (to six digits) are broken against the wanted passage: other passages of its score rank above it, so that a model
    that scores all passages alike gains nothing from the order of a file. Wanted passages that tie rank in the order given.

    The nearest passages are remembered for `adapt.retrieval.neighbours.nearest`.
    """
    broken = bool(np.isnan(queries).any() or np.isnan(passages).any())
    step = max(1, BLOCK // max(1, len(passages)))
    parts: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(queries), step):
        block = queries[start : start + step] @ passages.T
        if not broken and len(passages):
            parts.append(neighbours.of_scores(block))
        for number, scores in enumerate(block, start):
            if excluded[number] >= 0:
                scores[excluded[number]] = -np.inf
            if broken:
                scores[np.isnan(scores)] = -np.inf
            indices = wanted[number]
            found = _counted(scores, indices) if len(indices) <= FEW else _sorted(scores, indices)
            found[np.isneginf(scores[indices])] = len(scores)
            yield found
    if parts:
        indices, scores = (np.concatenate(side) for side in zip(*parts, strict=True))
        neighbours.remember(queries, passages, indices, scores)


def _counted(scores: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Ranks by counting higher scores: two passes over the scores for each index, in all half the time of sorting."""
    found = np.empty(len(indices), dtype=np.int64)
    for number, index in enumerate(indices):
        above = np.count_nonzero(scores > scores[index] + TIE)
        if np.count_nonzero(scores >= scores[index] - TIE) == above + 1:
            found[number] = above
            continue
        near = np.flatnonzero((scores >= scores[index] - TIE) & (scores <= scores[index] + TIE))
        keys, key = np.round(scores[near].astype(np.float64), 6), np.round(np.float64(scores[index]), 6)
        later = np.isin(near, indices[number:])  # of those that tie, this one and later wanted ones do not rank above it
        found[number] = above + ((keys > key) | ((keys == key) & ~later)).sum()
    return found


def _sorted(scores: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """The same ranks by sorting all scores down to the lowest of the indices."""
    turn = np.full(len(scores), -1)
    turn[indices] = np.arange(len(indices))
    reach = np.flatnonzero(scores >= scores[indices].min() - TIE)
    order = np.lexsort((turn[reach], -np.round(scores[reach].astype(np.float64), 6)))
    rank = np.empty(len(scores), dtype=np.int64)
    rank[reach[order]] = np.arange(len(reach))
    found: np.ndarray = rank[indices]
    return found
