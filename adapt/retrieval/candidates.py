"""Candidate pairs to be scored: neighbours and random pairs, mixed by shares, without duplicates, limited per unit.

Pairs are stored as arrays of unit indices, 21 bytes per pair; texts are not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 100_000  # rows converted to Python integers at a time


@dataclass(frozen=True)
class Candidates:
    """Pairs of units, [n] each: indices `first` and `second`, the sampler's index, and the rank by it (0: drawn at random)."""

    first: np.ndarray
    second: np.ndarray
    sampler: np.ndarray
    rank: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> Candidates:
        """The candidates of these rows."""
        return Candidates(self.first[rows], self.second[rows], self.sampler[rows], self.rank[rows])

    def keys(self, units: int) -> np.ndarray:
        """One number per pair, the same in both directions."""
        return keys(self.first, self.second, units)


def keys(first: np.ndarray, second: np.ndarray, units: int) -> np.ndarray:
    """One number per pair of units, the same in both directions, [n] int64."""
    pair_keys: np.ndarray = np.minimum(first, second).astype(np.int64) * units + np.maximum(first, second)
    return pair_keys


def from_neighbours(anchors: np.ndarray, neighbours: np.ndarray) -> Candidates:
    """Each anchor with each of its `neighbours` [anchors, k] (-1: none), all of rank 1 first, then all of rank 2 ...

    The nearest neighbour of a text is itself, which is not a candidate; the k - 1 others are.
    """
    itself = neighbours == anchors[:, None]
    rank = np.arange(1, neighbours.shape[1] + 1) - np.cumsum(itself, axis=1)
    usable = (neighbours >= 0) & ~itself & (rank < neighbours.shape[1])
    rank, row = np.where(usable, rank, 0), np.broadcast_to(np.arange(len(anchors))[:, None], neighbours.shape)
    order = np.lexsort((row.ravel(), rank.ravel()))
    order = order[usable.ravel()[order]]
    return _of(anchors[row.ravel()[order]], neighbours.ravel()[order], rank.ravel()[order])


def at_random(units: int, count: int, rng: np.random.Generator) -> Candidates:
    """`count` pairs of different units drawn at random with replacement; none if there are fewer than two units."""
    if units < 2:
        return _of(*np.zeros((3, 0), dtype=np.int64))
    first = rng.integers(0, units, count)
    second = (first + rng.integers(1, units, count)) % units
    return _of(first, second, np.zeros(count, dtype=np.int64))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """The candidates of several samplers, interleaved: the first of each sampler, then the second of each ..."""
    whole = Candidates(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("first", "second", "sampler", "rank")))
    turn = np.concatenate([np.arange(len(p)) for p in parts])
    return whole.take(np.argsort(turn, kind="stable"))


def mixed(
    parts: Sequence[Candidates],
    quotas: Sequence[int],
    units: int,
    taken: np.ndarray,
    per_unit: int | None = None,
    fill: bool = True,
) -> Candidates:
    """Up to `quotas[s]` candidates of each sampler s, interleaved in that proportion, so that any part has the same mixture.

    Without duplicates (in either direction) and without pairs whose key is in `taken`; a unit occurs in at most `per_unit`
    pairs. A pair of several samplers counts for the one that comes first in the order. With `fill`, other samplers make up for
    a sampler with too few candidates.
    """
    ordered, turns = [], []
    for number, (part, quota) in enumerate(zip(parts, quotas, strict=True)):
        pair_keys = part.keys(units)
        _, firsts = np.unique(pair_keys, return_index=True)
        rows = np.sort(firsts)
        rows = rows[~np.isin(pair_keys[rows], taken)]
        kept = part.take(rows)
        ordered.append(Candidates(kept.first, kept.second, np.full(len(kept), number, dtype=np.uint8), kept.rank))
        turns.append((np.arange(len(kept)) + 1) / max(quota, 1e-9))
    whole = Candidates(*(np.concatenate([getattr(p, name) for p in ordered]) for name in ("first", "second", "sampler", "rank")))
    whole = whole.take(np.argsort(np.concatenate(turns), kind="stable"))
    return whole.take(_greedy(whole, quotas, units, per_unit, fill))


def _greedy(whole: Candidates, quotas: Sequence[int], units: int, per_unit: int | None, fill: bool) -> np.ndarray:
    """Rows, sorted: within the quotas first, then (with `fill`) from any sampler with candidates left, up to the quotas' sum."""
    distinct, pair_number = np.unique(whole.keys(units), return_inverse=True)
    used, chosen = bytearray(len(distinct)), bytearray(len(whole))
    degree = np.zeros(units, dtype=np.int32).tolist()
    remaining, maximum = sum(quotas), per_unit or len(whole)
    for available in [list(quotas), [remaining] * len(quotas)] if fill else [list(quotas)]:
        for start in range(0, len(whole), BLOCK):
            columns = (column[start : start + BLOCK].tolist() for column in (pair_number, whole.first, whole.second, whole.sampler))
            for row, (key, first, second, sampler) in enumerate(zip(*columns, strict=True), start):
                if remaining and available[sampler] and not used[key] and degree[first] < maximum and degree[second] < maximum:
                    used[key] = chosen[row] = 1
                    degree[first] += 1
                    degree[second] += 1
                    available[sampler] -= 1
                    remaining -= 1
            if not remaining:
                break
    return np.flatnonzero(np.frombuffer(chosen, dtype=np.uint8))


def quotas(total: int, shares: Sequence[float]) -> list[int]:
    """`total` split in proportion to `shares` by the largest remainder method (Hamilton); the parts sum to `total`."""
    exact = total * np.asarray(shares, dtype=np.float64) / np.sum(shares)
    parts = np.floor(exact).astype(int)
    for index in np.argsort(-(exact - parts), kind="stable")[: total - parts.sum()]:
        parts[index] += 1
    result: list[int] = parts.tolist()
    return result


def counts(candidates: Candidates, names: Sequence[str]) -> Mapping[str, int]:
    """{sampler: number of its candidates}."""
    by_sampler = np.bincount(candidates.sampler, minlength=len(names))
    return dict(zip(names, by_sampler.tolist(), strict=True))


def _of(first: np.ndarray, second: np.ndarray, rank: np.ndarray) -> Candidates:
    return Candidates(first.astype(np.int64), second.astype(np.int64), np.zeros(len(first), dtype=np.uint8), rank.astype(np.int32))
