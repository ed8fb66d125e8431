"""What several finders found for the pairs of a data set, with the cosines to judge it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adapt.records import Pair
from adapt.retrieval.exclusions import Known


@dataclass(frozen=True)
class Hits:
    """Hits by place in a pool of texts; pairs go by their number, and pairs with one anchor share a query.

    `queries` [q, d] and `vectors` [pool, d] are unit vectors, `rows[pair]` the pair's query. `ranked` holds each finder's
    places [q, depth], best first, -1 where it has no more; ranks up to `skip` are out of bounds.
    """

    pairs: Sequence[Pair]
    pool: Sequence[str]
    known: Known
    rows: Sequence[int]
    queries: np.ndarray
    vectors: np.ndarray
    ranked: Mapping[str, np.ndarray]
    skip: int = 0

    def positive(self, pair: int) -> int:
        """The place of the pair's positive."""
        return self.known.place_of(self.pairs[pair].positive)

    def cosines(self, pair: int, places: np.ndarray | Sequence[int]) -> np.ndarray:
        """Between the pair's query and texts of the pool."""
        return self.vectors[places] @ self.queries[self.rows[pair]]

    def of(self, pair: int, finder: str) -> tuple[np.ndarray, np.ndarray]:
        """The finder's (places, ranks from 1) that may be the pair's negatives."""
        places = self.ranked[finder][self.rows[pair], self.skip :]
        ranks = np.arange(self.skip + 1, self.skip + 1 + len(places))
        usable = places >= 0
        usable[usable] = ~self.known.exclusion_mask(self.pairs[pair], places[usable])
        return places[usable], ranks[usable]

    def eligible(self, pair: int) -> np.ndarray:
        """Every place that may be the pair's negative."""
        return np.flatnonzero(~self.known.exclusion_mask(self.pairs[pair], np.arange(len(self.pool))))

    def origin(self, pair: int, place: int) -> str:
        """Who found a text and where: `bm25@3+dense@7`, or `random`."""
        found = []
        for finder, places in self.ranked.items():
            at = np.flatnonzero(places[self.rows[pair], self.skip :] == place)
            found += [f"{finder}@{self.skip + rank + 1}" for rank in at]
        return "+".join(found) or "random"
