"""Nearest neighbours by dot product, exact, block by block: memory stays bounded whatever the corpus."""

from __future__ import annotations

import numpy as np

from adapt.search.bm25 import best

BLOCK = 512  # queries per block: a block's scores take 512 × corpus × 4 bytes


def top(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows of `corpus` [n, d] for each row of `queries` [q, d]: (indices [q, k], scores [q, k]), best first.

    Unit vectors give cosine similarity. k is cut to n; ties (to six digits) go to the lower index.
    """
    k = min(k, len(corpus))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    for start in range(0, len(queries), BLOCK):
        block = queries[start : start + BLOCK] @ corpus.T
        found = best(block, k)
        indices[start : start + BLOCK] = found
        scores[start : start + BLOCK] = np.take_along_axis(block, found, axis=1)
    return indices, scores
