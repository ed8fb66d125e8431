"""Several finders' hits made one choice: by reciprocal rank, or by quota."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

CONSTANT = 60  # Cormack, Clarke & Büttcher (2009)


def reciprocal_rank(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """All hits of several finders, each (places [n], ranks [n] from 1), by the sum of 1 / (60 + rank); ties by place."""
    places, slot = np.unique(np.concatenate([places for places, _ in found]), return_inverse=True)
    points = np.bincount(slot, 1 / (CONSTANT + np.concatenate([ranks for _, ranks in found])), len(places))
    return places[np.argsort(-np.round(points, 9), kind="stable")]


def by_quota(found: Sequence[np.ndarray], quotas: Sequence[int], without: Collection[int] = ()) -> list[int]:
    """The first hits of each finder up to its quota, each place once; what a finder lacks is taken from the others.

    A place that two finders found counts for the first. Places in `without` are passed over.
    """
    chosen: dict[int, None] = {}
    for hits, quota in [*zip(found, quotas, strict=True), *((hits, sum(quotas)) for hits in found)]:
        room = min(quota, sum(quotas) - len(chosen))
        for place in hits.tolist():
            if room <= 0:
                break
            if place not in chosen and place not in without:
                chosen[place] = None
                room -= 1
    return list(chosen)
