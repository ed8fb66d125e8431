"""Lexical neighbours with BM25 (Robertson & Zaragoza 2009; k1 = 1.5, b = 0.75, Lucene's idf), through bm25s."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import chain

import numpy as np

from adapt.retrieval import topk
from adapt.text.stems import stems

BLOCK = 200_000  # scores in memory per thread, 800 kB


def top(corpus: Sequence[str], queries: Sequence[str], k: int, language: str = "english") -> tuple[np.ndarray, np.ndarray]:
    """The k best documents of each query: (indices [q, k], scores [q, k]), best first; ties (to six digits) by index.

    k is cut to the size of the corpus. A query without a word of the corpus gets documents of score 0. `language`: see
    `adapt.text.stems`. With numba installed, large searches run compiled code, with bitwise equal results.
    """
    return Index(corpus, language).top([stems(query, language) for query in queries], k)


class Index:
    """The BM25 index of a corpus: the score of each token for each document that contains it."""

    def __init__(self, corpus: Sequence[str], language: str = "english"):
        import bm25s

        self.size = len(corpus)
        self.index = bm25s.BM25(backend="numpy")  # without bm25s' numba backend, whose compilation takes longer than indexing
        self.index.index([stems(text, language) or [""] for text in corpus], show_progress=False)

    def top(self, queries: Sequence[Sequence[str]], k: int) -> tuple[np.ndarray, np.ndarray]:
        """As the function `top`, for tokenized queries."""
        k, vocabulary = min(k, self.size), self.index.vocab_dict
        tokens = [[token for token in map(vocabulary.get, query) if token is not None] for query in queries]
        if topk.pays(len(queries), self.size) and (add := _adder()):
            return self._compiled(tokens, k, add)
        indices = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        for row, own in enumerate(tokens):
            values = self.index.get_scores_from_ids(own) if own else np.zeros(self.size, dtype=np.float32)
            indices[row] = topk.best(values[None, :], k)[0]
            scores[row] = values[indices[row]]
        return indices, scores

    def _compiled(self, tokens: Sequence[Sequence[int]], k: int, add: Callable[..., None]) -> tuple[np.ndarray, np.ndarray]:
        """Each thread sums the scores of a few queries and selects the best while they are in the processor's cache."""
        starts = np.cumsum([0, *map(len, tokens)])
        flat = np.array(list(chain.from_iterable(tokens)), dtype=np.int64)
        data, pointers = self.index.scores["data"], self.index.scores["indptr"]
        documents = self.index.scores["indices"].astype(np.uint32, copy=False)  # unsigned: no check for negative indices
        held = topk.Held(len(tokens), k)
        size = max(1, BLOCK // max(1, self.size))

        def search(rows: range) -> None:
            scores = np.empty((size, self.size), dtype=np.float32)
            for start in rows:
                stop = min(start + size, len(tokens))
                add(flat, starts[start : stop + 1], data, documents, pointers, scores)
                held.show(scores[: stop - start], rows=slice(start, stop))

        blocks, threads = range(0, len(tokens), size), topk.threads()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(search, [blocks[i::threads] for i in range(threads)]))
        return held.sorted()


@lru_cache
def _adder() -> Callable[..., None] | None:
    return topk.compiled(_add)


def _add(
    tokens: np.ndarray,
    starts: np.ndarray,
    data: np.ndarray,
    documents: np.ndarray,
    pointers: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write the scores of all documents for queries `starts[i] : starts[i + 1]` into scores[i].

    The index is a CSC matrix: token t adds `data[pointers[t] : pointers[t + 1]]` to the scores of `documents[...]`.
    """
    for row in range(len(starts) - 1):
        own = scores[row]
        own[:] = 0
        for token in tokens[starts[row] : starts[row + 1]]:
            gains, where = data[pointers[token] : pointers[token + 1]], documents[pointers[token] : pointers[token + 1]]
            for i in range(len(gains)):
                own[where[i]] += gains[i]
