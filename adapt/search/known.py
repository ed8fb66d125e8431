"""What must never be taken for a negative: everything that the pairs themselves tie to a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from adapt.text.clean import normalised
from adapt.text.near import near


class Related:
    """Texts tied together by pairs, in either direction and through each other, compared without case and punctuation.

    A question's positives, other questions of those positives and their positives in turn are one family: naive mining takes
    reversed and shared positives for negatives.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]):
        self.parent: dict[str, str] = {}
        for left, right in pairs:
            self.tie(left, right)

    def tie(self, left: str, right: str) -> None:
        """Put two texts, and all that each is tied to, into one family."""
        a, b = self._root(normalised(left)), self._root(normalised(right))
        if a != b:
            self.parent[max(a, b)] = min(a, b)

    def _root(self, text: str) -> str:
        path = []
        while (up := self.parent.get(text, text)) != text:
            path.append(text)
            text = up
        for seen in path:
            self.parent[seen] = text
        return text

    def family(self, text: str) -> str:
        """A name that two texts share exactly when they are tied (or the same)."""
        return self._root(normalised(text))

    def tie_near_copies(self, positives: Sequence[str], corpus: Sequence[str]) -> int:
        """Tie every positive to its near-copies in the corpus (5-gram Jaccard ≥ 0.8); says how many were found."""
        found = 0
        for i, j, _ in near(positives, corpus):
            if normalised(positives[i]) != normalised(corpus[j]):
                found += 1
            self.tie(positives[i], corpus[j])
        return found


def positives_by_anchor(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Every anchor's own positives, both normalised."""
    table: dict[str, set[str]] = defaultdict(set)
    for anchor, positive in pairs:
        table[normalised(anchor)].add(normalised(positive))
    return table
