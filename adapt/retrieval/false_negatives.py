"""A second judge, slower and better than the cosine, over the hits that would be chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from adapt.retrieval.fusion import by_quota
from adapt.retrieval.hits import Hits
from adapt.retrieval.mining_report import Suspects


def judged(
    hits: Hits,
    lists: Sequence[Sequence[np.ndarray]],
    quotas: Sequence[int],
    ask: Callable[[list[tuple[str, str]]], np.ndarray],
    bound: Callable[[float], float],
    suspects: Suspects,
) -> tuple[list[list[int]], dict[tuple[int, int], float]]:
    """Each pair's negatives from its `lists` by quota, none scored above `bound(positive's score)`; all scores by (query, place).

    `ask` scores (anchor, text) pairs. It is asked in rounds, all queries in one batch: first about positives and what would be
    chosen, then about what takes the place of refused hits. So no more is asked than is needed.
    """
    chosen = [by_quota(own, quotas) for own in lists]
    refused: list[set[int]] = [set() for _ in lists]
    scores: dict[tuple[int, int], float] = {}
    new = {pair: [hits.positive(pair), *own] for pair, own in enumerate(chosen)}
    while new:
        asked = {(hits.rows[pair], place): pair for pair, own in new.items() for place in own}
        asked = {key: pair for key, pair in asked.items() if key not in scores}
        if asked:
            found = ask([(hits.pairs[pair].anchor, hits.pool[place]) for (_, place), pair in asked.items()])
            scores.update(zip(asked, map(float, found), strict=True))
        for pair, row in [(pair, hits.rows[pair]) for pair in new]:
            positive = scores[row, hits.positive(pair)]
            high = [place for place in chosen[pair] if scores[row, place] > bound(positive)]
            suspects.add(pair, np.array(high, dtype=np.int64), np.array([scores[row, j] for j in high]), positive, "cross-encoder")
            refused[pair].update(high)
            after = by_quota(lists[pair], quotas, refused[pair])
            new[pair], chosen[pair] = [place for place in after if place not in chosen[pair]], after
        new = {pair: own for pair, own in new.items() if own}
    return chosen, scores
