"""Which texts occur verbatim within others: a sentence of a passage, a body below its title."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from adapt.text.near_duplicates import tokens_of

LEAST = 5  # words of a text that says enough to be known again within another; characters in scripts without spaces


def contained(texts: Sequence[str], within: Sequence[str]) -> list[tuple[int, int]]:
    """(number in `texts`, number in `within`) wherever the first occurs verbatim in the second, ignoring case and punctuation.

    Texts of fewer than `LEAST` words stand in too many others to mean anything. Time grows with the words of both.
    """
    starting: dict[tuple[str, ...], list[tuple[int, list[str]]]] = defaultdict(list)
    for number, text in enumerate(texts):
        if len(own := tokens_of(text)) >= LEAST:
            starting[tuple(own[:LEAST])].append((number, own))
    found: dict[tuple[int, int], None] = {}
    for place, text in enumerate(within):
        own = tokens_of(text)
        for at, first in enumerate(zip(*(own[i:] for i in range(LEAST)), strict=False)):
            for number, wanted in starting.get(first, ()):
                if own[at : at + len(wanted)] == wanted:
                    found[number, place] = None
    return list(found)
