"""The cross-encoder filter for false negatives: slower and more accurate than the cosine, applied to the chosen hits only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from adapt.retrieval.fusion import by_quota
from adapt.retrieval.hits import Hits
from adapt.retrieval.mining_report import SuspectedPositives


def filtered(
    hits: Hits,
    lists: Sequence[Sequence[np.ndarray]],
    quotas: Sequence[int],
    score: Callable[[list[tuple[str, str]]], np.ndarray],
    bound: Callable[[float], float],
    suspects: SuspectedPositives,
) -> tuple[list[list[int]], dict[tuple[int, int], float]]:
    """(each pair's negatives from its `lists` by quota, all scores by (query, index)).

    No negative scores above `bound(the positive's score)`. `score` takes (anchor, text) pairs of all queries at once, in rounds:
    first the positives and the chosen hits, then the hits that replace refused ones. So no more pairs are scored than needed.
    """
    chosen = [by_quota(own, quotas) for own in lists]
    refused: list[set[int]] = [set() for _ in lists]
    scores: dict[tuple[int, int], float] = {}
    new = {pair: [hits.positive(pair), *own] for pair, own in enumerate(chosen)}
    while new:
        wanted = {(hits.rows[pair], index): pair for pair, own in new.items() for index in own}
        wanted = {key: pair for key, pair in wanted.items() if key not in scores}
        if wanted:
            found = score([(hits.pairs[pair].anchor, hits.pool[index]) for (_, index), pair in wanted.items()])
            scores.update(zip(wanted, map(float, found), strict=True))
        for pair, row in [(pair, hits.rows[pair]) for pair in new]:
            positive = scores[row, hits.positive(pair)]
            high = [index for index in chosen[pair] if scores[row, index] > bound(positive)]
            suspects.add(pair, np.array(high, dtype=np.int64), np.array([scores[row, j] for j in high]), positive, "cross-encoder")
            refused[pair].update(high)
            after = by_quota(lists[pair], quotas, refused[pair])
            new[pair], chosen[pair] = [index for index in after if index not in chosen[pair]], after
        new = {pair: own for pair, own in new.items() if own}
    return chosen, scores
