"""Nearest neighbours by dot product, exact, block by block: memory stays bounded whatever the number of texts."""

from __future__ import annotations

import numpy as np

QUERIES, CORPUS = 512, 16_384  # a block of scores takes 32 MiB
GROUP = 64  # neighbouring columns that share one maximum
TIE = 2e-6  # two scores further apart can't be equal to six digits


def top(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows of `corpus` [n, d] for each row of `queries` [q, d]: (indices [q, k], scores [q, k]), best first.

    Unit vectors give cosine similarity. k is cut to n; ties (to six digits) go to the lower index.
    """
    k = min(k, len(corpus))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), QUERIES):
        rows = slice(start, min(start + QUERIES, len(queries)))
        places, values = _merged(queries[rows], corpus, k)
        indices[rows], scores[rows] = places, values
    return indices, scores


def _merged(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of all blocks of the corpus; what is held so far stands first, so that ties keep the lower index."""
    places = np.empty((len(queries), 0), dtype=np.int64)
    values = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(corpus), CORPUS):
        block = queries @ corpus[start : start + CORPUS].T
        found = best(block, min(k, block.shape[1]))
        places = np.concatenate([places, found + start], axis=1)
        values = np.concatenate([values, np.take_along_axis(block, found, axis=1)], axis=1)
        if start:
            order = best(values, min(k, values.shape[1]))
            places, values = np.take_along_axis(places, order, axis=1), np.take_along_axis(values, order, axis=1)
    return places, values


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Column indices [rows, k] of the k largest of each row, best first; equal to six digits means by index, on every machine.

    In two levels: the k-th best maximum of groups of columns is a bound that at least k scores reach, and few more, so
    that only these are rounded and sorted.
    """
    count = scores.shape[1] // GROUP
    if count < 2 * k:
        return _sorted(scores, k)
    maxima = scores[:, : count * GROUP].reshape(len(scores), count, GROUP).max(axis=2)
    bounds = np.partition(maxima, count - k, axis=1)[:, count - k] - TIE
    found = np.empty((len(scores), k), dtype=np.int64)
    for row, bound in enumerate(bounds):
        reach = np.flatnonzero(scores[row] >= bound)
        found[row] = reach[_sorted(scores[row, reach][None, :], k)[0]]
    return found


def _sorted(scores: np.ndarray, k: int) -> np.ndarray:
    rounded = np.round(scores.astype(np.float64), 6)
    if k < scores.shape[1]:
        bound = -np.partition(-rounded, k - 1, axis=1)[:, k - 1 : k]  # everything tied with the k-th must stay in play
        rounded = np.where(rounded >= bound, rounded, -np.inf)
    return np.argsort(-rounded, axis=1, kind="stable")[:, :k]
