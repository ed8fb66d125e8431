"""Scored and labelled pairs for losses: token ids, and the score or label of each pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from adapt.inference.batching import length_bucketed_batches
from adapt.models.bi_encoder import token_ids
from adapt.records import Labelled, ScoredPair
from adapt.runtime.device import device
from adapt.text.clean import normalised


@dataclass(frozen=True)
class ScoredPairBatch:
    """Token ids of n first texts, then of their n partners; wanted [n]: the score or label of each pair."""

    ids: list[list[int]]
    wanted: torch.Tensor


class ScoredPairData:
    """Scored and labelled pairs, batched by length."""

    def __init__(self, encoder: SentenceTransformer, examples: Sequence[ScoredPair | Labelled], max_length: int, seed: int):
        self.seed = seed
        self.left = token_ids(encoder, [e.sentence1 for e in examples], max_length=max_length)
        self.partner = token_ids(encoder, [e.sentence2 for e in examples], max_length=max_length)
        wanted: list[Any] = [e.label if isinstance(e, Labelled) else e.score for e in examples]
        self.wanted = torch.tensor(wanted, device=device())
        self.first = [normalised(e.sentence1) for e in examples]

    def batches(self, rows: Sequence[int], size: int, epoch: int) -> list[list[int]]:
        """An epoch's batches of these rows."""
        lengths = [max(len(self.left[row]), len(self.partner[row])) for row in rows]
        return [[rows[i] for i in batch] for batch in length_bucketed_batches(lengths, size, self.seed, epoch)]

    def batch(self, epoch: int, rows: list[int]) -> ScoredPairBatch:
        """These rows; the same in every epoch."""
        return ScoredPairBatch([self.left[row] for row in rows] + [self.partner[row] for row in rows], self.wanted[rows])
