"""Sampling of examples: the rows of each source in an epoch, and held-out rows."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adapt.records import ConcatSequence, Pair
from adapt.training.ranking_data import RankingData
from adapt.training.scored_data import ScoredPairData


def split(examples: Sequence[Any]) -> list[Sequence[Any]]:
    """The examples of each source; one source where they were not joined."""
    sizes = examples.sizes if isinstance(examples, ConcatSequence) else [len(examples)]
    ends = np.cumsum(sizes).tolist()
    return [examples[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def positive_pairs(threshold: float, sources: Sequence[Sequence[Any]]) -> list[Sequence[Any]]:
    """Of scored rows, those of at least `threshold` as pairs."""
    return [[Pair(e.sentence1, e.sentence2, origin=e.origin) for e in source if e.score >= threshold] for source in sources]


def row_numbers(sources: Sequence[Sequence[Any]], kept: Sequence[int]) -> list[list[int]]:
    """The row numbers of each source that are in `kept`; rows are numbered through all sources."""
    wanted, found, start = set(kept), [], 0
    for source in sources:
        found.append([row for row in range(start, start + len(source)) if row in wanted])
        start += len(source)
    return found


@dataclass(frozen=True)
class EpochSampler:
    """Samples the rows of each source for an epoch, and makes batches of all sources or of one source each.

    `shares`: how many of an epoch's rows come from each source; without any, every row of every source.
    """

    sources: Sequence[Sequence[int]]
    shares: Sequence[float]
    apart: bool
    seed: int

    def rows(self, epoch: int) -> list[list[int]]:
        """The rows of each source that this epoch takes."""
        return sample_sources(self.sources, self.shares, self.seed, epoch) if self.shares else [list(rows) for rows in self.sources]

    def batches(self, data: RankingData | ScoredPairData, size: int, epoch: int) -> list[list[int]]:
        """The epoch's batches."""
        rows = self.rows(epoch)
        if self.apart:
            return interleaved([data.batches(some, size, epoch) for some in rows])
        return data.batches([row for some in rows for row in some], size, epoch)


def sample_sources(sources: Sequence[Sequence[int]], shares: Sequence[float], seed: int, epoch: int) -> list[list[int]]:
    """Each source's rows for this epoch, in the proportions `shares`, which add up to 1.

    The source that is scarcest for its share is used whole, of the others a part is drawn anew each epoch, without repeats.
    """
    total = min(len(rows) / share for rows, share in zip(sources, shares, strict=True))
    found = []
    for number, (rows, share) in enumerate(zip(sources, shares, strict=True)):
        order = np.random.default_rng([seed, epoch, number]).permutation(len(rows))
        found.append([rows[i] for i in sorted(order[: round(share * total)])])
    return found


def interleaved(batches: Sequence[Sequence[list[int]]]) -> list[list[int]]:
    """The batches of all sources in one list, each source spread evenly; a batch has rows of one source."""
    places = [((i + 0.5) / len(some), number, i) for number, some in enumerate(batches) for i in range(len(some))]
    return [batches[number][i] for _, number, i in sorted(places)]


def split_held_out(keys: Sequence[Hashable], share: float, seed: int) -> tuple[list[int], list[int]]:
    """(rows to train on, about `share` of the rows to hold out); rows with one key stay together."""
    rows_of: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        rows_of.setdefault(key, []).append(row)
    groups = list(rows_of.values())
    aside: list[int] = []
    for i in np.random.default_rng(seed).permutation(len(groups)):
        if len(aside) >= round(share * len(keys)):
            break
        aside += groups[i]
    held = set(aside)
    return [row for row in range(len(keys)) if row not in held], sorted(aside)
