"""Fusion: one ranking from the hits of several retrievers, by reciprocal rank or by quota."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

CONSTANT = 60  # k of reciprocal rank fusion


def reciprocal_rank(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The hits of several retrievers, each (indices [n], ranks [n] from 1), by the sum of 1 / (60 + rank); ties by index.

    Cormack, Clarke & Büttcher (2009), Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods.
    """
    indices, slot = np.unique(np.concatenate([indices for indices, _ in found]), return_inverse=True)
    points = np.bincount(slot, 1 / (CONSTANT + np.concatenate([ranks for _, ranks in found])), len(indices))
    ranked: np.ndarray = indices[np.argsort(-np.round(points, 9), kind="stable")]
    return ranked


def by_quota(found: Sequence[np.ndarray], quotas: Sequence[int], without: Collection[int] = ()) -> list[int]:
    """The first hits of each retriever up to its quota, each index once; missing ones are filled from the other retrievers.

    An index that two retrievers found counts for the first. Indices in `without` are skipped.
    """
    chosen: dict[int, None] = {}
    for hits, quota in [*zip(found, quotas, strict=True), *((hits, sum(quotas)) for hits in found)]:
        room = min(quota, sum(quotas) - len(chosen))
        for index in hits.tolist():
            if room <= 0:
                break
            if index not in chosen and index not in without:
                chosen[index] = None
                room -= 1
    return list(chosen)
