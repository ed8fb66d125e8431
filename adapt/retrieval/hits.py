"""The search results of several retrievers for the pairs of a data set, with the embeddings to compare them by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapt.records import Pair
from adapt.retrieval.exclusions import Exclusions


@dataclass(frozen=True)
class Hits:
    """Search results as indices into a pool of texts. Pairs are identified by their number; pairs of one anchor share a query.

    `queries` [q, d] and `vectors` [pool, d] are unit vectors, `rows[pair]` is the pair's query. `ranked` holds for each retriever
    the indices of its hits [q, depth], best first, padded with -1; the first `skip` ranks are not used.
    """

    pairs: Sequence[Pair]
    pool: Sequence[str]
    exclusions: Exclusions
    rows: Sequence[int]
    queries: np.ndarray
    vectors: np.ndarray
    ranked: Mapping[str, np.ndarray]
    skip: int = 0

    def positive(self, pair: int) -> int:
        """The index of the pair's positive."""
        return self.exclusions.index_of(self.pairs[pair].positive)

    def cosines(self, pair: int, indices: np.ndarray | Sequence[int]) -> np.ndarray:
        """Of the pair's query with texts of the pool, [n]."""
        found: np.ndarray = self.vectors[indices] @ self.queries[self.rows[pair]]
        return found

    def candidates(self, pair: int, retriever: str) -> tuple[np.ndarray, np.ndarray]:
        """(indices, ranks from 1) of one retriever's hits that may be the pair's negatives, [n] each."""
        indices = self.ranked[retriever][self.rows[pair], self.skip :]
        ranks = np.arange(self.skip + 1, self.skip + 1 + len(indices))
        usable = indices >= 0
        usable[usable] = ~self.exclusions.exclusion_mask(self.pairs[pair], indices[usable])
        return indices[usable], ranks[usable]

    def eligible(self, pair: int) -> np.ndarray:
        """The indices of all texts that may be the pair's negatives."""
        return np.flatnonzero(~self.exclusions.exclusion_mask(self.pairs[pair], np.arange(len(self.pool))))

    def origin(self, pair: int, index: int) -> str:
        """The retrievers that found a text, each with its rank: `bm25@3+dense@7`; `random` where none did."""
        found = []
        for retriever, indices in self.ranked.items():
            at = np.flatnonzero(indices[self.rows[pair], self.skip :] == index)
            found += [f"{retriever}@{self.skip + rank + 1}" for rank in at]
        return "+".join(found) or "random"
