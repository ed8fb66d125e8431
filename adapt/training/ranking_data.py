"""Pairs and triplets for ranking losses: token ids, known positives, and batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from adapt.inference.batching import grouped_batches, no_duplicates_batches
from adapt.inference.encoding import embed
from adapt.inference.scoring import predict
from adapt.job import Job
from adapt.models.bi_encoder import token_ids
from adapt.records import Pair, Triplet
from adapt.runtime.device import device
from adapt.text.clean import normalised


@dataclass(frozen=True)
class RankingBatch:
    """Anchors and the documents that are ranked for them.

    ids: token ids of a anchors, then of n documents; rows [a] and documents [n]: their numbers in the examples; target [a]:
    each anchor's positive; allowed [a, n]: False where the data tie a document to the anchor; own: (anchor, document) [t] for
    every hard negative that a row brings along, tied ones left out; guide [a, n]: a guide's cosines; margins [t]: a teacher's
    score of the positive less that of the own negative, -1 to 1.
    """

    ids: list[list[int]]
    rows: list[int]
    documents: list[int]
    target: torch.Tensor
    allowed: torch.Tensor
    own: tuple[torch.Tensor, torch.Tensor]
    guide: torch.Tensor | None = None
    margins: torch.Tensor | None = None


class RankingData:
    """Pairs and triplets: every text of a batch is encoded once, and known positives are masked as negatives."""

    def __init__(
        self,
        encoder: SentenceTransformer,
        examples: Sequence[Pair | Triplet],
        max_length: int,
        negatives: int,
        grouped: bool,
        seed: int,
    ):
        """`negatives`: hard negatives per row, drawn anew each epoch; `grouped`: see `grouped_batches`."""
        self.examples, self.negatives, self.grouped, self.seed = examples, negatives, grouped, seed
        self.texts = list(dict.fromkeys(t for e in examples for t in (e.positive, *getattr(e, "negatives", ()))))
        self.number = {text: i for i, text in enumerate(self.texts)}
        self.names = [normalised(text) for text in self.texts]
        self.documents = token_ids(encoder, self.texts, "document", max_length)
        self.anchors = token_ids(encoder, [e.anchor for e in examples], "query", max_length)
        self.first = [normalised(e.anchor) for e in examples]
        self.right: dict[str, set[str]] = defaultdict(set)  # every anchor's positives, over all rows
        for anchor, example in zip(self.first, examples, strict=True):
            self.right[anchor].add(normalised(example.positive))
        self.guide: tuple[torch.Tensor, torch.Tensor] | None = None
        self.scores: dict[tuple[str, str], float] = {}

    def batches(self, rows: Sequence[int], size: int, epoch: int) -> list[list[int]]:
        """An epoch's batches of these rows. Spread: two rows of one anchor or positive, false negatives both, never meet.

        Rows that find no partner so, but bring hard negatives, make batches of their own, in which what is right for an anchor is
        masked. A batch in which every document is right for every anchor teaches nothing and is left out.
        """
        positives = [self.names[self.number[self.examples[row].positive]] for row in rows]
        if self.grouped:
            wrong = [[normalised(text) for text in getattr(self.examples[row], "negatives", ())] for row in rows]
            found = grouped_batches(positives, wrong, size, self.seed, epoch)
        else:
            keys = [(("a", self.first[row]), ("p", positive)) for row, positive in zip(rows, positives, strict=True)]
            found = no_duplicates_batches(keys, size, self.seed, epoch)
        placed = {i for batch in found for i in batch}
        alone = [i for i, row in enumerate(rows) if i not in placed and hasattr(self.examples[row], "negatives")]
        found += [alone[start : start + size] for start in range(0, len(alone), size)]
        return [batch for batch in ([rows[i] for i in batch] for batch in found) if self._has_negative(batch)]

    def _has_negative(self, rows: Sequence[int]) -> bool:
        """Whether some document of these rows is a negative for some of their anchors."""
        texts = {self.names[self.number[t]] for row in rows for t in self._all_documents(row)}
        return any(not texts <= self.right[self.first[row]] for row in rows)

    def _all_documents(self, row: int) -> tuple[str, ...]:
        example = self.examples[row]
        return (example.positive, *(example.negatives if isinstance(example, Triplet) else ()))

    def batch(self, epoch: int, rows: list[int]) -> RankingBatch:
        """The batch of these rows, with the hard negatives of this epoch."""
        positives = [self.number[self.examples[row].positive] for row in rows]
        wrong = [[self.number[text] for text in self._negatives(epoch, row)] for row in rows]
        documents = list(dict.fromkeys([*positives, *(number for some in wrong for number in some)]))
        column = {number: j for j, number in enumerate(documents)}
        columns: dict[str, list[int]] = defaultdict(list)
        for number, j in column.items():
            columns[self.names[number]].append(j)
        right = [self.right[self.first[row]] for row in rows]
        tied = {(i, j) for i, mine in enumerate(right) for name in mine for j in columns.get(name, ())}
        allowed = torch.ones(len(rows), len(documents), dtype=torch.bool)
        allowed[tuple(torch.tensor(sorted(tied)).T)] = False
        own = [(i, column[number]) for i, some in enumerate(wrong) for number in some if (i, column[number]) not in tied]
        which, what = zip(*own, strict=True) if own else ((), ())
        here = device()
        return RankingBatch(
            [self.anchors[row] for row in rows] + [self.documents[number] for number in documents],
            rows,
            documents,
            torch.tensor([column[number] for number in positives], device=here),
            allowed.to(here),
            (torch.tensor(which, dtype=torch.long, device=here), torch.tensor(what, dtype=torch.long, device=here)),
            self.guide[0][rows] @ self.guide[1][documents].T if self.guide else None,
            self._margins([rows[i] for i in which], [documents[j] for j in what]) if self.scores else None,
        )

    def add_guide(self, guide: Path, job: Job) -> None:
        """Encode all texts with another encoder, whose cosines batches then have as `guide`."""
        anchors = torch.from_numpy(embed(guide, [e.anchor for e in self.examples], job, "query", "guide, anchors"))
        documents = torch.from_numpy(embed(guide, self.texts, job, "document", "guide, documents"))
        self.guide = anchors.to(device()), documents.to(device())

    def add_teacher(self, teacher: Path, job: Job) -> None:
        """Score every anchor with its positive and negatives by a cross-encoder; batches then have `margins`."""
        asked = dict.fromkeys((e.anchor, text) for e in self.examples for text in (e.positive, *getattr(e, "negatives", ())))
        self.scores = dict(zip(asked, predict(teacher, list(asked), job, label="teacher").tolist(), strict=True))

    def _margins(self, rows: Sequence[int], texts: Sequence[int]) -> torch.Tensor:
        found = []
        for example, text in zip((self.examples[row] for row in rows), (self.texts[i] for i in texts), strict=True):
            found.append(self.scores[example.anchor, example.positive] - self.scores[example.anchor, text])
        return torch.tensor(found, device=device())

    def _negatives(self, epoch: int, row: int) -> Sequence[str]:
        found = getattr(self.examples[row], "negatives", ())
        if len(found) <= self.negatives:
            return found
        order = np.random.default_rng([self.seed, epoch, row]).permutation(len(found))
        return [found[i] for i in order[: self.negatives]]
