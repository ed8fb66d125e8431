"""Find near-duplicate texts: MinHash over 5-grams of words (characters, in scripts without spaces), verified.

Broder (1997), On the resemblance and containment of documents; banding as in Leskovec, Rajaraman & Ullman, ch. 3; signatures of
16 bits per position as in Li & König (2010), b-Bit Minwise Hashing, https://arxiv.org/abs/0910.3349.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

import numpy as np

from adapt.text.clean import normalised, tokens
from adapt.text.scripts import is_unspaced

SHINGLE = 5
BANDS, ROWS = 32, 4  # a pair at Jaccard 0.8 becomes a candidate with probability 1 - (1 - 0.8^4)^32 > 0.9999
SLACK = 0.16  # 4.5 standard deviations of the share of equal positions at Jaccard 0.8, which estimates the Jaccard
BLOCK = 256  # texts shingled at a time, so that their arrays fit the processor's cache
MAX_COMPARED = 4_000_000  # candidates, or shingles, compared at a time
# From this number of compared shingles on compiled code is faster, its loading included: 0.2 seconds, 2 the first time.
COMPILED = 3_000_000
_NUMBER = 12  # bits of a text's or pair's number in front of a shingle's 52
_PAD = ""  # fills a text of fewer than five words up to one shingle, so that it only equals itself
_rng = np.random.default_rng(20970)  # fixed: the hash family is part of the method, not of a run's randomness
_FACTORS = _rng.integers(0, 1 << 31, BANDS * ROWS, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
_STEP, _MIX = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


@dataclass(frozen=True)
class _Shingled:
    """Texts as sets: text t has the 52-bit shingles `grams[starts[t] : starts[t + 1]]`; `signatures` [n, 128] are 16 bits each."""

    grams: np.ndarray
    starts: np.ndarray
    signatures: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.starts)


class NearDuplicateIndex:
    """An index of texts, which takes 0.64 kB per text and 8 bytes per word.

    `find` returns the pairs whose 5-grams have a Jaccard similarity ≥ `threshold` (0.8 or more: recall is lower below).
    """

    def __init__(self, texts: Sequence[str], threshold: float = 0.8):
        self.threshold = threshold
        self.known: dict[str, int] = _Hashes()
        self.shingled = _shingled(texts, self.known)
        keys = _bands(self.shingled.signatures)
        self.order = np.argsort(keys, axis=1, kind="stable").astype(np.int32)
        self.keys = np.take_along_axis(keys, self.order, axis=1)

    def find(self, texts: Sequence[str]) -> Iterator[tuple[int, int, float]]:
        """(index in `texts`, index in the indexed texts, Jaccard), sorted."""
        for start in range(0, len(texts), BLOCK * 16):
            left = _shingled(texts[start : start + BLOCK * 16], self.known)
            for i, j in self._candidates(left):
                yield from self._verified(left, i, j, start)

    def self_pairs(self) -> Iterator[tuple[int, int, float]]:
        """(index, later index, Jaccard) for the pairs within the indexed texts, sorted."""
        for i, j in self._candidates(self.shingled):
            yield from self._verified(self.shingled, i[i < j], j[i < j])

    def _verified(self, left: _Shingled, i: np.ndarray, j: np.ndarray, start: int = 0) -> Iterator[tuple[int, int, float]]:
        similarity = _jaccard(left, i, self.shingled, j)
        kept = similarity >= self.threshold
        return zip((i[kept] + start).tolist(), j[kept].tolist(), similarity[kept].tolist(), strict=True)

    def _candidates(self, left: _Shingled) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Pairs that share a band and enough positions of their signatures, sorted; some thousands at a time."""
        signatures, count = self.shingled.signatures, max(1, len(self.shingled.signatures))
        queries = _bands(left.signatures)
        first = np.stack([np.searchsorted(k, a, "left") for k, a in zip(self.keys, queries, strict=True)])  # [bands, left]
        found = np.stack([np.searchsorted(k, a, "right") for k, a in zip(self.keys, queries, strict=True)]) - first
        for rows in _spans(found.sum(0), MAX_COMPARED, len(queries.T)):
            keys = [
                np.repeat(np.arange(rows.start, rows.stop), found[band, rows]) * count
                + self.order[band, _ranges(first[band, rows], found[band, rows])]
                for band in range(BANDS)
            ]
            i, j = np.divmod(_sorted_unique(np.concatenate(keys)), count)
            for some in _spans(np.ones_like(i), MAX_COMPARED, MAX_COMPARED // 64):
                equal = (left.signatures[i[some]] == signatures[j[some]]).mean(1)
                kept = equal >= self.threshold - SLACK
                yield i[some][kept], j[some][kept]


def near_duplicates(left: Sequence[str], right: Sequence[str], threshold: float = 0.8) -> Iterator[tuple[int, int, float]]:
    """(index in left, index in right, Jaccard) for every pair at or above the threshold."""
    return NearDuplicateIndex(right, threshold).find(left)


def deduplicate(texts: Sequence[str], threshold: float = 0.8) -> list[int]:
    """Indices of the texts that are no near-duplicate of an earlier one, in order."""
    first: dict[str, int] = {}
    for index, text in enumerate(texts):  # a sentence that a corpus repeats a thousand times would make a million pairs
        first.setdefault(normalised(text), index)
    places = list(first.values())
    unlike = [texts[i] for i in places]
    dropped = {j for _, j, _ in NearDuplicateIndex(unlike, threshold).self_pairs()}
    return [place for j, place in enumerate(places) if j not in dropped]


class _Hashes(dict[str, int]):
    """64 bits for each word, worked out once."""

    def __missing__(self, word: str) -> int:
        import xxhash

        found = self[word] = xxhash.xxh3_64_intdigest(word.encode())
        return found


def tokens_of(text: str) -> list[str]:
    """The units of shingles: words and signs, characters in scripts without spaces."""
    found = tokens(text)
    if is_unspaced(text):
        found = [token for word in found for token in (word if is_unspaced(word) else (word,))]
    return found


def _tokens(text: str) -> list[str]:
    found = tokens_of(text)
    return found if len(found) >= SHINGLE else found + [_PAD] * (SHINGLE - len(found))


def _shingled(texts: Sequence[str], known: dict[str, int]) -> _Shingled:
    signatures = np.empty((len(texts), BANDS * ROWS), dtype=np.uint16)
    grams, sizes = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(texts), BLOCK):
        rows = [_tokens(text) for text in texts[start : start + BLOCK]]
        some, count = _grams(rows, known)
        values = (some >> np.uint64(20)).astype(np.uint32)
        begins = np.cumsum(count) - count
        mixed = np.empty_like(values)
        for place, factor in enumerate(_FACTORS):
            np.multiply(values, factor, out=mixed)  # wraps around: multiplicative hashing
            signatures[start : start + BLOCK, place] = np.minimum.reduceat(mixed, begins).astype(np.uint16)
        grams.append(some)
        sizes.append(count)
    return _Shingled(np.concatenate(grams), np.concatenate([[0], np.cumsum(np.concatenate(sizes))]), signatures)


def _grams(rows: Sequence[Sequence[str]], known: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """(the distinct shingles of each text, sorted, texts concatenated; their number per text)."""
    lengths = np.array([len(row) for row in rows])
    hashed = np.fromiter(map(known.__getitem__, chain.from_iterable(rows)), dtype=np.uint64, count=int(lengths.sum()))
    owner = np.repeat(np.arange(len(rows), dtype=np.uint64), lengths)
    last = len(hashed) - SHINGLE + 1
    mixed = np.zeros(last, dtype=np.uint64)
    for place in range(SHINGLE):
        mixed = mixed * _STEP + hashed[place : place + last]
    mixed ^= mixed >> np.uint64(32)
    mixed *= _MIX
    inside = owner[:last] == owner[SHINGLE - 1 :]  # a shingle does not run from one text into the next
    bits = np.uint64(64 - _NUMBER)
    keys = _sorted_unique((owner[:last] << bits | mixed >> np.uint64(_NUMBER))[inside])
    return keys & ((np.uint64(1) << bits) - np.uint64(1)), np.bincount((keys >> bits).astype(np.int64), minlength=len(rows))


def _bands(signatures: np.ndarray) -> np.ndarray:
    """One key per band and text, [bands, n]: texts with an equal key in some band are candidates."""
    return np.ascontiguousarray(signatures.view(np.uint64).T)


def _jaccard(left: _Shingled, i: np.ndarray, right: _Shingled, j: np.ndarray) -> np.ndarray:
    """The Jaccard similarity of each pair (i, j): shared over all shingles, 0 to 1."""
    sizes = left.sizes[i] + right.sizes[j]
    compiled = _compiled() if sizes.sum() >= COMPILED else None
    count = compiled or _shared
    shared = count(left.grams, left.starts[i], left.sizes[i], right.grams, right.starts[j], right.sizes[j])
    found: np.ndarray = shared / (sizes - shared)
    return found


def _shared(
    left: np.ndarray,
    left_starts: np.ndarray,
    left_sizes: np.ndarray,
    right: np.ndarray,
    right_starts: np.ndarray,
    right_sizes: np.ndarray,
) -> np.ndarray:
    """The number of shingles that the two sets of each pair share, [pairs]."""
    found = [np.zeros(0, dtype=np.int64)]
    bits = np.uint64(64 - _NUMBER)
    for some in _spans(left_sizes + right_sizes, MAX_COMPARED, 1 << _NUMBER):
        numbers = np.arange(some.stop - some.start, dtype=np.uint64) << bits
        ours = np.repeat(numbers, left_sizes[some]) | left[_ranges(left_starts[some], left_sizes[some])]
        theirs = np.repeat(numbers, right_sizes[some]) | right[_ranges(right_starts[some], right_sizes[some])]
        both = np.concatenate([ours, theirs])
        both.sort()
        twice = both[1:][both[1:] == both[:-1]] >> bits
        found.append(np.bincount(twice.astype(np.int64), minlength=len(numbers)))
    return np.concatenate(found)


@lru_cache
def _compiled() -> Callable[..., np.ndarray] | None:
    """`_merged` compiled by numba and cached on disk; None without numba or without a writable cache folder."""
    try:
        from numba import njit

        merged: Callable[..., np.ndarray] = njit(cache=True, nogil=True)(_merged)
        return merged
    except (ImportError, RuntimeError):
        return None


def _merged(
    left: np.ndarray,
    left_starts: np.ndarray,
    left_sizes: np.ndarray,
    right: np.ndarray,
    right_starts: np.ndarray,
    right_sizes: np.ndarray,
) -> np.ndarray:
    """`_shared`, as a merge of the two sorted sets of each pair."""
    found = np.zeros(len(left_starts), dtype=np.int64)
    for pair in range(len(left_starts)):
        a, b = left_starts[pair], right_starts[pair]
        last_a, last_b = a + left_sizes[pair], b + right_sizes[pair]
        while a < last_a and b < last_b:
            ours, theirs = left[a], right[b]
            found[pair] += ours == theirs
            a += ours <= theirs
            b += theirs <= ours
    return found


def _sorted_unique(values: np.ndarray) -> np.ndarray:
    """The distinct values, sorted; `numpy.unique` takes five times as long."""
    values.sort()
    return values[np.concatenate([[True], values[1:] != values[:-1]])] if len(values) else values


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """`starts[0], starts[0] + 1, ...` for `sizes[0]` numbers, then those of the next."""
    ends = np.cumsum(sizes)
    found: np.ndarray = np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - ends + sizes, sizes)
    return found


def _spans(sizes: np.ndarray, most: int, count: int) -> Iterator[slice]:
    """Consecutive slices with a total size of up to `most`, of at least one item and at most `count`."""
    ends, start = np.cumsum(sizes), 0
    while start < len(sizes):
        begun = ends[start] - sizes[start]
        stop = min(int(np.searchsorted(ends, begun + most, "right")), start + count)
        yield slice(start, max(stop, start + 1))
        start = max(stop, start + 1)
