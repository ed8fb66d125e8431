"""Align two languages: the student's embeddings of a sentence and its translation to the teacher's embedding of the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer

from adapt.inference.batching import no_duplicates_batches
from adapt.inference.encoding import forward
from adapt.losses.ranking import multiple_negatives
from adapt.losses.retention import Retention
from adapt.models.bi_encoder import token_ids
from adapt.records import Parallel
from adapt.text.clean import normalised
from adapt.training.loop import ParameterGroup, trainable
from adapt.training.objective import Objective


def to_teacher(source: torch.Tensor, target: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of both students' embeddings to the teacher's, a mean over all 2 · n · d values. All [n, d].

    Reimers & Gurevych (2020), https://arxiv.org/abs/2004.09813; as in sentence-transformers, both sides have equal weight.
    """
    return (F.mse_loss(source, teacher) + F.mse_loss(target, teacher)) / 2


@dataclass(frozen=True)
class AlignmentSetup:
    """The student in `base`, the weights of the terms of the loss, and how it is trained."""

    base: Path
    encoder: SentenceTransformer
    seed: int
    learning_rate: float
    max_length: int
    mse_weight: float
    contrastive_weight: float
    scale: float
    retain: float
    precision: str


class Alignment(Objective):
    """Squared error to the teacher's embeddings, and an in-batch contrastive term in both directions."""

    label, unit = "align", "sentences"

    def __init__(self, setup: AlignmentSetup, rows: Sequence[Parallel], teacher: torch.Tensor):
        """teacher [n, d]: the teacher's embeddings of the source sentences."""
        self.setup, self.encoder, self.teacher, self.module = setup, setup.encoder, teacher, setup.encoder
        self.dimension = setup.encoder.get_embedding_dimension() or 0
        sides = [row.source for row in rows], [row.target for row in rows]
        self.first, self.second = (token_ids(setup.encoder, side, max_length=setup.max_length) for side in sides)
        # Rows that share a sentence on either side would be each other's false negatives.
        self.keys = [(("s", normalised(row.source)), ("t", normalised(row.target))) for row in rows]
        self.retention = Retention(setup.base, setup.retain, precision=setup.precision)

    def batches(self, size: int, epoch: int) -> list[list[int]]:
        return no_duplicates_batches(self.keys, size, self.setup.seed, epoch)

    def loss(self, epoch: int, rows: list[int], done: float) -> torch.Tensor:
        ids = [side[i] for side in (self.first, self.second) for i in rows]
        # Unit vectors, as checks and search compare them.
        embeddings = F.normalize(forward(self.encoder, ids), dim=1)
        source, target = embeddings.chunk(2)
        value = self.retention(ids, embeddings)
        if self.setup.mse_weight:
            wanted = self.teacher[rows].to(embeddings.device)
            # Per sentence, that is summed over the dimensions.
            value = value + self.setup.mse_weight * self.dimension * to_teacher(source, target, wanted)
        if self.setup.contrastive_weight:
            own = torch.arange(len(rows), device=embeddings.device)
            allowed = torch.ones(len(rows), len(rows), dtype=torch.bool, device=embeddings.device)
            contrastive = multiple_negatives(source, target, own, allowed, self.setup.scale, symmetric=True)
            value = value + self.setup.contrastive_weight * contrastive
        return value

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(trainable(self.encoder), self.setup.learning_rate)]

    def check(self, steps: int) -> str:
        return "" if steps else f"align: {len(self.keys)} rows make no batch of two different sentences; give more"
