"""Find texts that are nearly the same: MinHash over 5-grams of words (characters, in scripts without spaces), verified.

Broder (1997), On the resemblance and containment of documents; banding as in Leskovec, Rajaraman & Ullman, ch. 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from adapt.text.clean import normalised, words
from adapt.text.scripts import is_unspaced

SHINGLE = 5
BANDS, ROWS = 32, 4  # a pair at Jaccard 0.8 becomes a candidate with probability 1 - (1 - 0.8^4)^32 > 0.9999
_MIX = np.uint64(0x9E3779B97F4A7C15)


def shingles(text: str) -> frozenset[int]:
    """Hashes of a text's 5-grams; a shorter text is one shingle, so that it only equals itself."""
    import xxhash

    tokens = [token for word in words(text) for token in (word if is_unspaced(word) else (word,))]
    grams = [" ".join(tokens[i : i + SHINGLE]) for i in range(max(1, len(tokens) - SHINGLE + 1))]
    return frozenset(xxhash.xxh32_intdigest(gram.encode()) for gram in grams)


def jaccard(left: frozenset[int], right: frozenset[int]) -> float:
    """Shared shingles over all shingles, 0 to 1."""
    return len(left & right) / max(1, len(left | right))


def _bands(sets: Sequence[frozenset[int]]) -> np.ndarray:
    """One key per band and text, [n, BANDS]: texts with an equal key in some band are candidates."""
    rng = np.random.default_rng(20970)  # fixed: the hash family is part of the method, not of a run's randomness
    factors = rng.integers(0, 1 << 63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    signature = np.empty((len(sets), BANDS * ROWS), dtype=np.uint64)
    for row, grams in enumerate(sets):
        values = np.fromiter(grams, dtype=np.uint64, count=len(grams))
        mixed = values[:, None] * factors  # wraps around: multiplicative hashing, then the high half is folded into the low
        mixed ^= mixed >> np.uint64(32)
        signature[row] = (mixed * _MIX).min(axis=0)
    parts = signature.reshape(len(sets), BANDS, ROWS)
    keys = np.zeros((len(sets), BANDS), dtype=np.uint64)
    for part in range(ROWS):
        keys = keys * _MIX + parts[:, :, part]
    return keys


def near(left: Sequence[str], right: Sequence[str], threshold: float = 0.8) -> Iterator[tuple[int, int, float]]:
    """(index in left, index in right, Jaccard) for every pair at or above the threshold."""
    left_sets, right_sets = [shingles(t) for t in left], [shingles(t) for t in right]
    if not left_sets or not right_sets:
        return
    table: dict[tuple[int, int], list[int]] = defaultdict(list)
    for j, keys in enumerate(_bands(right_sets).tolist()):
        for band, key in enumerate(keys):
            table[band, key].append(j)
    for i, keys in enumerate(_bands(left_sets).tolist()):
        found = {j for band, key in enumerate(keys) for j in table.get((band, key), ())}
        for j in sorted(found):
            alike = jaccard(left_sets[i], right_sets[j])
            if alike >= threshold:
                yield i, j, alike


def first_of_each(texts: Sequence[str], threshold: float = 0.8) -> list[int]:
    """Indices of the texts that are no near-duplicate of an earlier one, in order."""
    first: dict[str, int] = {}
    for index, text in enumerate(texts):  # a sentence that a corpus repeats a thousand times would make a million pairs
        first.setdefault(normalised(text), index)
    places = list(first.values())
    unlike = [texts[i] for i in places]
    dropped = {j for i, j, _ in near(unlike, unlike, threshold) if i < j}
    return [place for j, place in enumerate(places) if j not in dropped]
