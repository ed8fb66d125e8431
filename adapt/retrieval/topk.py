"""The k best of many scores, ties by index: plain for small searches, compiled for large ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

import numpy as np

GROUP = 64  # neighbouring columns that share one maximum
TIE = 2e-6  # two scores further apart can't be equal to six digits

# From here on (queries × documents) compiled code pays for being loaded: 0.2 seconds, the first time on a machine 2 seconds.
COMPILED = 20_000_000


def best(scores: np.ndarray, k: int) -> np.ndarray:
    """Column indices [rows, k] of the k largest scores of each row, best first; ties (to six digits) by index, on every machine.

    A lower bound of the k-th best score comes first, so that only the few scores above it are rounded and sorted. In wide rows it
    is the k-th best maximum of groups of columns.
    """
    groups = scores.shape[1] // GROUP
    if groups >= 2 * k:
        maxima = scores[:, : groups * GROUP].reshape(len(scores), groups, GROUP).max(axis=2)
        bounds = np.partition(maxima, groups - k, axis=1)[:, groups - k] - TIE
    elif scores.shape[1] > 4 * k:
        bounds = np.partition(scores, scores.shape[1] - k, axis=1)[:, scores.shape[1] - k] - TIE
    else:
        return _sorted(scores, k)
    if np.isnan(bounds).any():
        return _sorted(scores, k)
    found = np.empty((len(scores), k), dtype=np.int64)
    for row, bound in enumerate(bounds):
        reach = np.flatnonzero(scores[row] >= bound)
        found[row] = reach[_sorted(scores[row, reach][None, :], k)[0]]
    return found


def _sorted(scores: np.ndarray, k: int) -> np.ndarray:
    rounded = np.round(scores.astype(np.float64), 6)
    if k < scores.shape[1]:
        bound = -np.partition(-rounded, k - 1, axis=1)[:, k - 1 : k]  # everything tied with the k-th must stay in play
        rounded = np.where(rounded >= bound, rounded, -np.inf)
    return np.argsort(-rounded, axis=1, kind="stable")[:, :k]


class Held:
    """The k best columns of each row so far, of scores that are shown block by block, from the first column to the last."""

    def __init__(self, rows: int, k: int):
        self.keys = np.full((rows, k), -np.inf)  # scores in millionths: ties are ties to six digits
        self.scores = np.zeros((rows, k), dtype=np.float32)
        self.places = np.full((rows, k), np.iinfo(np.int64).max)

    def show(self, scores: np.ndarray, first: int = 0, rows: slice = slice(None)) -> None:
        """Scores [rows, columns], whose first column is number `first`; where `pays`."""
        hold = _held()
        assert hold
        hold(scores, first, self.keys[rows], self.scores[rows], self.places[rows])

    def sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """(columns [rows, k], scores [rows, k]), best first."""
        if np.abs(self.keys).max(initial=0) < 2**31 and self.places.max(initial=0) < 2**31:
            # One number for both is sorted several times as fast.
            order = np.argsort(self.places - (self.keys.astype(np.int64) << 32), axis=1)
        else:
            order = np.lexsort((self.places, -self.keys))
        return np.take_along_axis(self.places, order, axis=1), np.take_along_axis(self.scores, order, axis=1)


def compiled(function: Callable[..., None]) -> Callable[..., None] | None:
    """A function as machine code, kept on disk for the next process; None without numba, or without a folder to keep it in."""
    try:
        from numba import njit

        found: Callable[..., None] = njit(cache=True, nogil=True)(function)
        return found
    except (ImportError, RuntimeError):
        return None


@lru_cache
def _held() -> Callable[..., None] | None:
    return compiled(_keep)


def pays(queries: int, documents: int) -> bool:
    """Whether a search of that size is worth compiled code, and there is any."""
    return queries * documents >= COMPILED and _held() is not None


def _keep(scores: np.ndarray, first: int, keys: np.ndarray, values: np.ndarray, places: np.ndarray) -> None:
    """Put a block's scores into each row's heap, whose root is the worst: the lowest key, of equals the last column.

    Once a heap is good, few columns pass its root. So 512 columns are parted in 64 lanes, of which the maxima are taken first,
    sixteen lanes in one instruction: 0.8 ns a score instead of 1.9, where the score itself costs 8 (d = 384, one core).
    """
    k, columns = keys.shape[1], scores.shape[1]
    lanes = np.empty(64, dtype=np.float32)
    chosen = np.empty(512, dtype=np.int64)
    for row in range(scores.shape[0]):
        for begin in range(0, columns, 512):
            end = min(begin + 512, columns)
            bound = np.float32((keys[row, 0] - 1) / 1e6)
            strips = (end - begin) // 64
            lanes[:] = -np.inf
            for strip in range(strips):
                part = scores[row, begin + strip * 64 : begin + strip * 64 + 64]
                for lane in range(64):
                    lanes[lane] = part[lane] if part[lane] > lanes[lane] else lanes[lane]
            count = 0
            for lane in range(64):
                if lanes[lane] >= bound:
                    for strip in range(strips):
                        chosen[count] = begin + strip * 64 + lane
                        count += scores[row, chosen[count]] >= bound
            for column in range(begin + strips * 64, end):
                chosen[count] = column
                count += scores[row, column] >= bound
            for column in chosen[:count]:
                key, place = np.rint(np.float64(scores[row, column]) * 1e6), first + column
                if key < keys[row, 0] or (key == keys[row, 0] and place > places[row, 0]):
                    continue
                at = 0
                while True:  # the hole at the root sinks to where the new one belongs
                    worse = 2 * at + 1
                    if worse >= k:
                        break
                    other = worse + 1
                    if other < k and (
                        keys[row, other] < keys[row, worse]
                        or (keys[row, other] == keys[row, worse] and places[row, other] > places[row, worse])
                    ):
                        worse = other
                    if keys[row, worse] > key or (keys[row, worse] == key and places[row, worse] < place):
                        break
                    keys[row, at], values[row, at], places[row, at] = keys[row, worse], values[row, worse], places[row, worse]
                    at = worse
                keys[row, at], values[row, at], places[row, at] = key, scores[row, column], place


def threads() -> int:
    """As many as this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, int(os.environ.get("OMP_NUM_THREADS") or allowed))
