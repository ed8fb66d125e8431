"""Data records: texts, pairs, scored pairs, triplets, labelled and parallel pairs, each with its origin; and models on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar, overload

Item = TypeVar("Item")


@dataclass(frozen=True)
class Text:
    """A document, passage or sentence.

    `group`: texts about the same thing (a case, a disease), which are never negatives of each other. `topic`: a broader subject.
    Where the data has a title, `text` is the title, a space and the body.
    """

    id: str
    text: str
    group: str = ""
    origin: str = ""
    title: str = ""
    topic: str = ""

    @property
    def body(self) -> str:
        """The text without its title."""
        return self.text[len(self.title) :].lstrip()


@dataclass(frozen=True)
class Pair:
    """Two texts that belong together: a question and the passage that answers it."""

    anchor: str
    positive: str
    group: str = ""
    origin: str = ""
    topic: str = ""


@dataclass(frozen=True)
class ScoredPair:
    """Two texts and their similarity: `score` is 0 (unrelated) to 1 (same meaning)."""

    sentence1: str
    sentence2: str
    score: float
    origin: str = ""
    topic: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class SilverPair(ScoredPair):
    """A pair scored by a cross-encoder (the labeller); `sampler` names how the pair was found."""

    sampler: str = ""
    rank: int = 0  # 1: the nearest neighbour; 0: drawn at random
    raw: float = 0.0  # 0 to 1
    calibrated: float = 0.0  # 0 to 1
    labeller: str = ""  # first 16 hex digits of the hash of its weights


@dataclass(frozen=True)
class Triplet:
    """A pair and its hard negatives: texts that are similar to the anchor but not relevant."""

    anchor: str
    positive: str
    negatives: tuple[str, ...]
    origin: str = ""
    topic: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Labelled:
    """A premise and a hypothesis with an NLI label: 0 entailment, 1 neutral, 2 contradiction."""

    sentence1: str
    sentence2: str
    label: int
    origin: str = ""


@dataclass(frozen=True)
class Parallel:
    """A sentence in two languages: `source` in one that the model knows, `target` in one that it learns."""

    source: str
    target: str
    origin: str = ""


Record = Text | Pair | ScoredPair | Triplet | Labelled | Parallel


@dataclass(frozen=True)
class Encoder:
    """A bi-encoder on disk: the folder of a sentence-transformers model or of a plain language model."""

    path: Path


@dataclass(frozen=True)
class CrossEncoder:
    """A cross-encoder on disk, which scores two texts together, 0 to 1."""

    path: Path


class ConcatSequence(list[Item]):
    """The records of several sources, one source after the other; `sizes` holds the number of records of each source."""

    def __init__(self, sources: Sequence[Sequence[Item]]):
        super().__init__(record for source in sources for record in source)
        self.sizes = [len(source) for source in sources]


class LazySequence(Sequence[Item]):
    """Items that `make(index)` creates on access and nothing stores: millions of rows take no memory."""

    def __init__(self, size: int, make: Callable[[int], Item]):
        self.size, self.make = size, make

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self.make(i) for i in range(*index.indices(self.size))]
        return self.make(range(self.size)[index])


# Types of a stage's inputs and outputs; the second word is the kind, or kinds, that recipes are checked against.
Texts = Annotated[Sequence[Text], "texts"]
Pairs = Annotated[Sequence[Pair], "pairs"]
Scored = Annotated[Sequence[ScoredPair], "scored"]
Triplets = Annotated[Sequence[Triplet], "triplets"]
LabelledPairs = Annotated[Sequence[Labelled], "labelled"]
Parallels = Annotated[Sequence[Parallel], "parallel"]
Examples = Annotated[Sequence[Pair | ScoredPair | Triplet | Labelled], "pairs scored triplets labelled"]
EncoderFolder = Annotated[Encoder, "encoder"]
CrossEncoderFolder = Annotated[CrossEncoder, "cross-encoder"]


def record_kind(records: Sequence[object]) -> str:
    """The kind of a list of records, a value of `KINDS`; a list of pairs and triplets is "pairs"."""
    found = {name for record in records for kind, name in KINDS.items() if isinstance(record, kind)}
    return "pairs" if found == {"pairs", "triplets"} else found.pop()


KINDS = {Pair: "pairs", ScoredPair: "scored", Triplet: "triplets", Labelled: "labelled", Parallel: "parallel", Text: "texts"}
