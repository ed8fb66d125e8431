"""What must never be taken for a negative: everything that the pairs themselves tie to a text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from adapt.records import ConcatSequence, Pair, Text
from adapt.retrieval.containment import contained
from adapt.text.clean import normalised
from adapt.text.near_duplicates import near_duplicates


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

    def tie_near_copies(self, texts: Sequence[str], corpus: Sequence[str]) -> int:
        """Tie every text to its near-copies in the corpus (5-gram Jaccard ≥ 0.8); says how many were found."""
        found = 0
        for i, j, _ in near_duplicates(texts, corpus):
            if normalised(texts[i]) != normalised(corpus[j]):
                found += 1
            self.tie(texts[i], corpus[j])
        return found


class Known:
    """The passages of a pool that are never a pair's negatives; `near_copies` says how many of them are copies of its texts.

    These are: the pair's family (see `Related`) and near-copies of its texts; passages that hold the positive word for word, as a
    sentence or below a title, and passages that stand so in it; passages of its group, or of a group that the
    positive stands in; other pieces of a document that the positive is a piece of (rows of one source with one id). Groups and
    documents don't chain: a boilerplate answer that a hundred diseases share must not make one group of them. With
    `within_group`, groups do not count.
    """

    def __init__(self, pairs: Sequence[Pair], corpus: Sequence[Text], pool: Sequence[str], within_group: bool = False):
        related = Related((pair.anchor, pair.positive) for pair in pairs)
        sides = dict.fromkeys([*(pair.positive for pair in pairs), *(pair.anchor for pair in pairs)])
        self.near_copies = related.tie_near_copies(list(sides), pool)
        numbers: dict[str, int] = {}
        self.families = np.array([numbers.setdefault(related.family(text), len(numbers)) for text in pool])
        self.family = {text: numbers.get(related.family(text), -1) for text in sides}
        self.places = {normalised(text): place for place, text in enumerate(pool)}
        self.around = self._around(pairs, corpus, pool)
        self.tags: dict[int, set[Hashable]] = defaultdict(set)  # place → the documents and groups it stands in
        self.tagged: dict[Hashable, set[int]] = defaultdict(set)
        self.groups = not within_group
        for text, source in zip(corpus, _sources(corpus), strict=True):
            place = self.place_of(text.text)
            self.tags[place] |= {("document", source, text.id), *self._group(text)}
            for tag in self.tags[place]:
                self.tagged[tag].add(place)
        for pair in pairs:
            for tag in self._group(pair):
                self.tagged[tag].add(self.place_of(pair.positive))

    def _around(self, pairs: Sequence[Pair], corpus: Sequence[Text], pool: Sequence[str]) -> dict[str, list[int]]:
        """{positive: places of passages that hold it, or stand in it, word for word}."""
        positives = list(dict.fromkeys(pair.positive for pair in pairs))
        found: dict[str, list[int]] = defaultdict(list)
        for i, place in contained(positives, pool):
            found[positives[i]].append(place)
        for place, i in contained(pool, positives):
            found[positives[i]].append(place)
        names: dict[str, list[str]] = defaultdict(list)  # a short body is no shingle, but the same text all the same
        for positive in positives:
            names[normalised(positive)].append(positive)
        for text in corpus:
            for positive in names.get(normalised(text.body), ()) if text.title else ():
                found[positive].append(self.place_of(text.text))
        return found

    def _group(self, record: Pair | Text) -> set[Hashable]:
        return {("group", record.group)} if record.group and self.groups else set()

    def place_of(self, text: str) -> int:
        """Where a text, or one that differs in case and punctuation only, stands in the pool."""
        return self.places[normalised(text)]

    def exclusion_mask(self, pair: Pair, places: np.ndarray) -> np.ndarray:
        """Which of these places in the pool may not be the pair's negatives: a boolean for each."""
        barred = self.families[places] == self.family[pair.anchor]
        if around := self.around.get(pair.positive):
            barred |= np.isin(places, around)
        tags = self._group(pair) | self.tags.get(self.place_of(pair.positive), set())
        members = set().union(*(self.tagged[tag] for tag in tags))
        if len(members) > 1:
            barred |= np.isin(places, list(members))
        return barred


def _sources(corpus: Sequence[Text]) -> list[int]:
    """The number of the source of each row: ids of different files have nothing to do with each other."""
    sizes = corpus.sizes if isinstance(corpus, ConcatSequence) else [len(corpus)]
    return [number for number, size in enumerate(sizes) for _ in range(size)]
