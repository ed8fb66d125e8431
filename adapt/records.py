"""The nouns of the house: texts, pairs of several kinds, triplets and models, each row with its origin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any


@dataclass(frozen=True)
class Text:
    """A piece of raw text: one document, passage or sentence.

    `group` names what is about the very same thing (a case, a disease) and is never another's negative; `topic` is a wider field.

    Where the data names a title, `text` begins with it: `title`, a space, the body.
    """

    id: str
    text: str
    group: str = ""
    origin: str = ""
    title: str = ""
    topic: str = ""

    @property
    def body(self) -> str:
        """The text after its title."""
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
    """Two texts and how far they mean the same: `score` lies in 0 (unrelated) to 1 (same meaning)."""

    sentence1: str
    sentence2: str
    score: float
    origin: str = ""
    topic: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class SilverPair(ScoredPair):
    """A pair that a labeller scored: who found it, at which rank, and what the labeller said before and after calibration."""

    sampler: str = ""
    rank: int = 0  # 1 is the nearest; 0: drawn at random
    raw: float = 0.0
    calibrated: float = 0.0
    labeller: str = ""  # first 16 hex digits of its weights' hash


@dataclass(frozen=True)
class Triplet:
    """A pair and texts that look right for the anchor but are not: its hard negatives."""

    anchor: str
    positive: str
    negatives: tuple[str, ...]
    origin: str = ""
    topic: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Labelled:
    """A premise and a hypothesis with a label: 0 entailment, 1 neutral, 2 contradiction."""

    sentence1: str
    sentence2: str
    label: int
    origin: str = ""


@dataclass(frozen=True)
class Parallel:
    """One sentence in two languages: `source` in the one that the model knows, `target` in the one that it is to learn."""

    source: str
    target: str
    origin: str = ""


Record = Text | Pair | ScoredPair | Triplet | Labelled | Parallel


@dataclass(frozen=True)
class Encoder:
    """A bi-encoder on disk: a sentence-transformers folder, or a plain language model's folder."""

    path: Path


@dataclass(frozen=True)
class CrossEncoder:
    """A cross-encoder on disk: reads two texts at once and gives one score in 0 to 1."""

    path: Path


class ConcatSequence(list):
    """The records of several sources, one source after the other; `sizes` says how many came from each."""

    def __init__(self, sources: Sequence[Sequence[Any]]):
        super().__init__(record for source in sources for record in source)
        self.sizes = [len(source) for source in sources]


class LazySequence(Sequence[Any]):
    """Records that are made when they are asked for and not kept: millions of rows take no more memory than one."""

    def __init__(self, size: int, make: Callable[[int], Any]):
        self.size, self.make = size, make

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self.make(i) for i in range(*index.indices(self.size))]
        return self.make(range(self.size)[index])


# A stage names what it takes and makes with these; the second word is the kind that recipes are checked against.
Texts = Annotated[Sequence[Text], "texts"]
Pairs = Annotated[Sequence[Pair], "pairs"]
Scored = Annotated[Sequence[ScoredPair], "scored"]
Triplets = Annotated[Sequence[Triplet], "triplets"]
LabelledPairs = Annotated[Sequence[Labelled], "labelled"]
Parallels = Annotated[Sequence[Parallel], "parallel"]
Examples = Annotated[Sequence[Any], "pairs scored triplets labelled"]
EncoderFolder = Annotated[Encoder, "encoder"]
CrossEncoderFolder = Annotated[CrossEncoder, "cross-encoder"]


def record_kind(records: Sequence[Any]) -> str:
    """Which kind a list of records is, as in `KINDS`; pairs among triplets make them pairs."""
    found = {name for record in records for kind, name in KINDS.items() if isinstance(record, kind)}
    return "pairs" if found == {"pairs", "triplets"} else found.pop()


KINDS = {Pair: "pairs", ScoredPair: "scored", Triplet: "triplets", Labelled: "labelled", Parallel: "parallel", Text: "texts"}
