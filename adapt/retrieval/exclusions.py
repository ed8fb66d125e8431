"""Which texts must not be a pair's negatives: everything that the data connect with the pair."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np

from adapt.components import components
from adapt.records import ConcatSequence, Pair, Text
from adapt.retrieval.containment import contained
from adapt.text.clean import normalised
from adapt.text.near_duplicates import near_duplicates


class Exclusions:
    """The texts of a pool that must not be a pair's negatives; `near_copies` is the number of near-duplicates among them.

    Excluded are: the pair's family, that is all texts that pairs connect with it in either direction and through each other (a
    question's positives, other questions of those positives and their positives in turn: naive mining takes reversed and shared
    positives for negatives), and near-duplicates of its texts; passages that contain the positive verbatim, as a sentence or
    below a title, and passages that it contains; passages of its group, or of a group of the positive; other pieces of the document
    that the positive is a piece of (rows of one source with one id). Groups and documents are not chained: a boilerplate answer
    that a hundred diseases share must not make one group of them. With `within_group`, groups are not excluded.
    """

    def __init__(self, pairs: Sequence[Pair], corpus: Sequence[Text], pool: Sequence[str], within_group: bool = False):
        names = [normalised(text) for text in pool]
        self.indices = {name: index for index, name in enumerate(names)}
        sides = list(dict.fromkeys([*(pair.positive for pair in pairs), *(pair.anchor for pair in pairs)]))
        copies = [(normalised(sides[i]), names[j]) for i, j, _ in near_duplicates(sides, pool)]
        self.near_copies = sum(text != copy for text, copy in copies)
        self.families, self.family = self._families(pairs, copies, names)
        self.around = self._around(pairs, corpus, pool)
        self.tags: dict[int, set[Hashable]] = defaultdict(set)  # index of a text → its documents and groups
        self.tagged: dict[Hashable, set[int]] = defaultdict(set)
        self.groups = not within_group
        for text, source in zip(corpus, _sources(corpus), strict=True):
            index = self.index_of(text.text)
            self.tags[index] |= {("document", source, text.id), *self._group(text)}
            for tag in self.tags[index]:
                self.tagged[tag].add(index)
        for pair in pairs:
            for tag in self._group(pair):
                self.tagged[tag].add(self.index_of(pair.positive))

    def _families(
        self, pairs: Sequence[Pair], copies: Sequence[tuple[str, str]], pool: Sequence[str]
    ) -> tuple[np.ndarray, dict[str, int]]:
        """(the family of each normalised text of the pool, the family of each anchor)."""
        anchors = {pair.anchor: normalised(pair.anchor) for pair in pairs}
        edges = [(anchors[pair.anchor], normalised(pair.positive)) for pair in pairs] + list(copies)
        found = components([*((name,) for name in pool), *((name,) for name in anchors.values()), *edges])
        return np.array(found[: len(pool)]), dict(zip(anchors, found[len(pool) :], strict=False))

    def _around(self, pairs: Sequence[Pair], corpus: Sequence[Text], pool: Sequence[str]) -> dict[str, list[int]]:
        """{positive: indices of passages that contain it, or that it contains, verbatim}."""
        positives = list(dict.fromkeys(pair.positive for pair in pairs))
        found: dict[str, list[int]] = defaultdict(list)
        for i, index in contained(positives, pool):
            found[positives[i]].append(index)
        for index, i in contained(pool, positives):
            found[positives[i]].append(index)
        names: dict[str, list[str]] = defaultdict(list)  # a short body is no shingle, but the same text all the same
        for positive in positives:
            names[normalised(positive)].append(positive)
        for text in corpus:
            for positive in names.get(normalised(text.body), ()) if text.title else ():
                found[positive].append(self.index_of(text.text))
        return found

    def _group(self, record: Pair | Text) -> set[Hashable]:
        return {("group", record.group)} if record.group and self.groups else set()

    def index_of(self, text: str) -> int:
        """The index in the pool of a text, or of one that differs in case and punctuation only."""
        return self.indices[normalised(text)]

    def exclusion_mask(self, pair: Pair, indices: np.ndarray) -> np.ndarray:
        """Which texts of the pool, given by index [n], must not be the pair's negatives, [n] bool."""
        excluded: np.ndarray = self.families[indices] == self.family[pair.anchor]
        if around := self.around.get(pair.positive):
            excluded |= np.isin(indices, around)
        tags = self._group(pair) | self.tags.get(self.index_of(pair.positive), set())
        members = set().union(*(self.tagged[tag] for tag in tags))
        if len(members) > 1:
            excluded |= np.isin(indices, list(members))
        return excluded


def _sources(corpus: Sequence[Text]) -> list[int]:
    """The number of the source of each row: ids of different files have nothing to do with each other."""
    sizes = corpus.sizes if isinstance(corpus, ConcatSequence) else [len(corpus)]
    return [number for number, size in enumerate(sizes) for _ in range(size)]
