"""Lexical neighbours with BM25 (Robertson & Zaragoza 2009; k1 = 1.5, b = 0.75, Lucene's idf), through bm25s."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from adapt.search.dense import best
from adapt.text.stems import stems

# From here on (documents × queries) compiled code pays for being loaded: 0.2 seconds, the first time on a machine 2 seconds.
COMPILED = 20_000_000


def top(corpus: Sequence[str], queries: Sequence[str], k: int, language: str = "english") -> tuple[np.ndarray, np.ndarray]:
    """The k best documents of each query: (indices [q, k], scores [q, k]), best first; ties (to six digits) by index.

    k is cut to the size of the corpus. A query without a known word gets documents of score 0. `language`: see
    `adapt.text.stems`. With numba installed, large searches run compiled, to the same bits.
    """
    return Index(corpus, language).top([stems(query, language) for query in queries], k)


class Index:
    """What is known of a corpus: how much each token gives to each document that holds it."""

    def __init__(self, corpus: Sequence[str], language: str = "english"):
        import bm25s

        self.size = len(corpus)
        self.index = bm25s.BM25(backend="numpy")  # the index alone: numba's own takes longer to compile than to build
        self.index.index([stems(text, language) or [""] for text in corpus], show_progress=False)

    def top(self, queries: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As the function `top`, of queries that are tokens already."""
        k, known = min(k, self.size), self.index.vocab_dict
        tokens = [[known[token] for token in query if token in known] for query in queries]
        compiled = _compiled() if self.size * len(queries) >= COMPILED else None
        if compiled:
            starts = np.cumsum([0, *map(len, tokens)])
            flat = np.fromiter((token for row in tokens for token in row), dtype=np.int64, count=int(starts[-1]))
            parts = self.index.scores
            return compiled(flat, starts, parts["data"], parts["indices"], parts["indptr"], self.size, k)
        indices = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        for row, own in enumerate(tokens):
            values = self.index.get_scores_from_ids(own) if own else np.zeros(self.size, dtype=np.float32)
            indices[row] = best(values[None, :], k)[0]
            scores[row] = values[indices[row]]
        return indices, scores


@lru_cache
def _compiled():
    """`_retrieve` as machine code, kept on disk for the next process; None without numba, or without a folder to keep it in."""
    try:
        from numba import njit

        return njit(cache=True, nogil=True)(_retrieve)
    except (ImportError, RuntimeError):
        return None


def _retrieve(tokens, starts, data, documents, pointers, size, k):
    """Query by query: add up the scores of its tokens' documents, then hold the k best in order while reading them once.

    The index is by column: token t gives `data[pointers[t] : pointers[t + 1]]` to `documents[...]`.
    """
    indices = np.empty((len(starts) - 1, k), dtype=np.int64)
    values = np.empty((len(starts) - 1, k), dtype=np.float32)
    keys = np.empty(k)
    for row in range(len(starts) - 1):
        scores = np.zeros(size, dtype=np.float32)
        for token in tokens[starts[row] : starts[row + 1]]:
            for place in range(pointers[token], pointers[token + 1]):
                scores[documents[place]] += data[place]
        held = 0
        for document in range(size):
            key = np.rint(np.float64(scores[document]) * 1e6)
            if held == k and key <= keys[k - 1]:
                continue  # documents come by index: one that ties with the last is behind it
            at = min(held, k - 1)
            while at > 0 and keys[at - 1] < key:
                keys[at] = keys[at - 1]
                indices[row, at] = indices[row, at - 1]
                at -= 1
            keys[at] = key
            indices[row, at] = document
            held = min(held + 1, k)
        for at in range(k):
            values[row, at] = scores[indices[row, at]]
    return indices, values
