"""Lexical neighbours with BM25 (Robertson & Zaragoza 2009; k1 = 1.5, b = 0.75, Lucene's idf), through bm25s."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from adapt.text.stems import stems


def top(corpus: Sequence[str], queries: Sequence[str], k: int, language: str = "english") -> tuple[np.ndarray, np.ndarray]:
    """The k best documents of each query: (indices [q, k], scores [q, k]), best first, ties by index.

    k is cut to the size of the corpus. A query without a known word gets documents of score 0.
    """
    import bm25s

    k = min(k, len(corpus))
    index = bm25s.BM25()
    index.index([stems(text, language) or [""] for text in corpus], show_progress=False)
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    for row, query in enumerate(queries):
        tokens = [token for token in stems(query, language) if token in index.vocab_dict]
        values = index.get_scores(tokens) if tokens else np.zeros(len(corpus), dtype=np.float32)
        indices[row] = best(values[None, :], k)[0]
        scores[row] = values[indices[row]]
    return indices, scores


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Column indices of the k largest of each row, best first; equal to six digits means by index, on every machine."""
    rounded = np.round(scores.astype(np.float64), 6)
    if k < scores.shape[1]:
        bound = -np.partition(-rounded, k - 1, axis=1)[:, k - 1 : k]  # everything tied with the k-th must stay in play
        rounded = np.where(rounded >= bound, rounded, -np.inf)
    return np.argsort(-rounded, axis=1, kind="stable")[:, :k]
