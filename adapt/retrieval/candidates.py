"""Pairs of units worth scoring: neighbours and random draws, mixed by shares, each pair once, no unit too often.

Everything is numbers in arrays, 21 bytes a pair: the texts themselves are never copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BLOCK = 100_000  # rows turned into Python's own numbers at a time


@dataclass(frozen=True)
class Candidates:
    """Pairs of unit numbers, [n] each: `first`, `second`, the sampler's number, and the rank it gave (0: none, drawn at random)."""

    first: np.ndarray
    second: np.ndarray
    sampler: np.ndarray
    rank: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: np.ndarray) -> Candidates:
        """The candidates of these row numbers."""
        return Candidates(self.first[rows], self.second[rows], self.sampler[rows], self.rank[rows])

    def keys(self, units: int) -> np.ndarray:
        """One number per pair, the same in both directions."""
        return keys(self.first, self.second, units)


def keys(first: np.ndarray, second: np.ndarray, units: int) -> np.ndarray:
    """One number per pair of units, the same in both directions, [n] int64."""
    found: np.ndarray = np.minimum(first, second).astype(np.int64) * units + np.maximum(first, second)
    return found


def from_neighbours(anchors: np.ndarray, found: np.ndarray) -> Candidates:
    """Each anchor with each of its neighbours `found` [anchors, k] (-1: none), all of rank 1 first, then all of rank 2 ...

    The nearest neighbour of a text is itself: that is no candidate, and k - 1 others are.
    """
    itself = found == anchors[:, None]
    rank = np.arange(1, found.shape[1] + 1) - np.cumsum(itself, axis=1)
    usable = (found >= 0) & ~itself & (rank < found.shape[1])
    rank, row = np.where(usable, rank, 0), np.broadcast_to(np.arange(len(anchors))[:, None], found.shape)
    order = np.lexsort((row.ravel(), rank.ravel()))
    order = order[usable.ravel()[order]]
    return _of(anchors[row.ravel()[order]], found.ravel()[order], rank.ravel()[order])


def at_random(units: int, count: int, rng: np.random.Generator) -> Candidates:
    """`count` pairs of different units drawn at random, repeats among them; none where there are fewer than two units."""
    if units < 2:
        return _of(*np.zeros((3, 0), dtype=np.int64))
    first = rng.integers(0, units, count)
    second = (first + rng.integers(1, units, count)) % units
    return _of(first, second, np.zeros(count, dtype=np.int64))


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Several samplers' candidates as one's: all of the best rank first, each sampler in its turn."""
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
    """Up to `quotas[s]` candidates of each sampler s, taking turns in that proportion: a part of the result is mixed alike.

    No pair comes twice, in either direction, nor any whose key is among `taken`; no unit stands in more than `per_unit` pairs.
    A pair that several samplers found counts for the one whose turn comes first. With `fill`, what one sampler can't give the
    others may.
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
    """Row numbers, in order: first within the quotas, then (with `fill`) from any source that has more, up to their sum."""
    names, name = np.unique(whole.keys(units), return_inverse=True)
    used, chosen = bytearray(len(names)), bytearray(len(whole))
    degree = np.zeros(units, dtype=np.int32).tolist()
    left, most = sum(quotas), per_unit or len(whole)
    for room in [list(quotas), [left] * len(quotas)] if fill else [list(quotas)]:
        for start in range(0, len(whole), BLOCK):
            columns = (column[start : start + BLOCK].tolist() for column in (name, whole.first, whole.second, whole.sampler))
            for row, (key, first, second, sampler) in enumerate(zip(*columns, strict=True), start):
                if left and room[sampler] and not used[key] and degree[first] < most and degree[second] < most:
                    used[key] = chosen[row] = 1
                    degree[first] += 1
                    degree[second] += 1
                    room[sampler] -= 1
                    left -= 1
            if not left:
                break
    return np.flatnonzero(np.frombuffer(chosen, dtype=np.uint8))


def quotas(total: int, shares: Sequence[float]) -> list[int]:
    """`total` split by shares, exactly: whole parts first, then one each to the largest remainders (Hamilton's method)."""
    exact = total * np.asarray(shares, dtype=np.float64) / np.sum(shares)
    parts = np.floor(exact).astype(int)
    for index in np.argsort(-(exact - parts), kind="stable")[: total - parts.sum()]:
        parts[index] += 1
    found: list[int] = parts.tolist()
    return found


def counts(candidates: Candidates, names: Sequence[str]) -> Mapping[str, int]:
    """How many candidates each sampler gave."""
    found = np.bincount(candidates.sampler, minlength=len(names))
    return dict(zip(names, found.tolist(), strict=True))


def _of(first: np.ndarray, second: np.ndarray, rank: np.ndarray) -> Candidates:
    return Candidates(first.astype(np.int64), second.astype(np.int64), np.zeros(len(first), dtype=np.uint8), rank.astype(np.int32))
