"""Nearest neighbours by dot product, exact, block by block: memory stays bounded whatever the number of texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from adapt.search import topk
from adapt.search.topk import TIE, best

__all__ = ["TIE", "best", "top"]

QUERIES, CORPUS = 1_024, 2_048  # a block of scores takes 8 MiB: it is still in the cache when it is looked through
WIDE = 8  # blocks of the corpus at once without compiled code: 0.78 s against 1.44 (2,000 × 20,000), half the queries at a time


def top(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows of `corpus` [n, d] for each row of `queries` [q, d]: (indices [q, k], scores [q, k]), best first.

    Unit vectors give cosine similarity. k is cut to n; ties (to six digits) go to the lower index.
    """
    k = min(k, len(corpus))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    search, size = (_compiled, QUERIES) if topk.pays(len(queries), len(corpus)) else (_merged, -(-QUERIES // 2))
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        indices[rows], scores[rows] = search(queries[rows], corpus, k)
    return indices, scores


def _compiled(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of all blocks of the corpus, each thread looking through its part of a block's rows."""
    held, threads = topk.Held(len(queries), k), topk.threads()
    parts = [slice(i * len(queries) // threads, (i + 1) * len(queries) // threads) for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(corpus), CORPUS):
            block = queries @ corpus[start : start + CORPUS].T
            list(pool.map(lambda rows, block=block, start=start: held.show(block[rows], start, rows), parts))
    return held.sorted()


def _merged(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The same without compiled code; what is held so far stands first, so that ties keep the lower index."""
    places = np.empty((len(queries), 0), dtype=np.int64)
    values = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(corpus), WIDE * CORPUS):
        block = queries @ corpus[start : start + WIDE * CORPUS].T
        found = best(block, min(k, block.shape[1]))
        places = np.concatenate([places, found + start], axis=1)
        values = np.concatenate([values, np.take_along_axis(block, found, axis=1)], axis=1)
        if start:
            order = best(values, min(k, values.shape[1]))
            places, values = np.take_along_axis(places, order, axis=1), np.take_along_axis(values, order, axis=1)
    return places, values
