"""The objective of finetune: a loss on pairs, triplets, scored or labelled pairs, from one source or several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

from adapt.inference.encoding import forward
from adapt.job import Job
from adapt.losses.classification import Classifier
from adapt.losses.matryoshka import matryoshka
from adapt.losses.objectives import BatchLoss
from adapt.losses.retention import Retention
from adapt.losses.settings import LossSettings, Matryoshka, Mnrl, RankingLoss, Softmax
from adapt.records import Labelled, Pair, ScoredPair, Triplet
from adapt.runtime.device import seed_all
from adapt.training import mixing
from adapt.training.gradient_cache import forward_cached
from adapt.training.loop import ParameterGroup, trainable
from adapt.training.objective import Objective
from adapt.training.ranking_data import RankingBatch, RankingData
from adapt.training.scored_data import ScoredPairBatch, ScoredPairData

Example = Pair | Triplet | ScoredPair | Labelled


@dataclass(frozen=True)
class FinetuningSetup:
    """The encoder and the settings beside the loss.

    `shares`: fraction of an epoch's rows for each source of examples, none for all rows; `separate`: batches of one source each;
    `token_budget`: padded tokens in memory at once (gradient caching); `retain`: weight of the distillation towards the embeddings
    of the model in `base`.
    """

    base: Path
    encoder: SentenceTransformer
    seed: int
    batch_size: int
    learning_rate: float
    max_length: int = 192
    precision: str = "auto"
    retain: float = 0.0
    token_budget: int | None = None
    shares: tuple[float, ...] = ()
    separate: bool = False
    held_out: float = 0.0


class Finetuning(Objective):
    """A supervised loss; `sources`: the examples of each source, all of one kind."""

    unit = "examples"

    def __init__(self, setup: FinetuningSetup, loss: LossSettings, shorter: Matryoshka, sources: Sequence[Sequence[Example]]):
        self.setup, self.encoder, self.label = setup, setup.encoder, f"finetune {loss.name}"
        dimension = setup.encoder.get_embedding_dimension() or 0
        seed_all(setup.seed)
        classifier = Classifier(dimension).to(setup.encoder.device) if isinstance(loss, Softmax) else None
        parts = {"encoder": setup.encoder} | ({"classifier": classifier} if classifier else {})
        self.module = torch.nn.ModuleDict(parts)
        self.batch_loss = BatchLoss(loss, classifier)
        self.dims = {dimension: 1.0} | dict(zip(shorter.dims, shorter.weights or [1.0] * len(shorter.dims), strict=True))
        self.has_shorter = bool(shorter.dims)
        self.examples = [row for source in sources for row in source]
        self.data: RankingData | ScoredPairData
        if isinstance(loss, RankingLoss):
            grouped = isinstance(loss, Mnrl) and loss.batching == "grouped"
            rows = [row for row in self.examples if isinstance(row, (Pair, Triplet))]
            self.data = RankingData(setup.encoder, rows, setup.max_length, loss.negatives, grouped, setup.seed)
        else:
            scored = [row for row in self.examples if isinstance(row, (ScoredPair, Labelled))]
            self.data = ScoredPairData(setup.encoder, scored, setup.max_length, setup.seed)
        self.retention = Retention(setup.base, setup.retain, setup.token_budget, setup.precision)
        self.rows, self.held_out = mixing.split_held_out(self.data.first, setup.held_out, setup.seed)
        self.sampler = mixing.EpochSampler(mixing.row_numbers(sources, self.rows), setup.shares, setup.separate, setup.seed)
        self.held_out_batches = self.data.batches(self.held_out, setup.batch_size, 0)
        self.first_epoch = self.sampler.batches(self.data, setup.batch_size, 0)

    def add_guide(self, folder: Path, job: Job) -> None:
        """Mask negatives of the batch that this encoder scores like positives; for ranking losses."""
        assert isinstance(self.data, RankingData)
        self.data.add_guide(folder, job)

    def add_teacher(self, folder: Path, job: Job) -> None:
        """Score the positives and negatives by this cross-encoder; for loss margin-mse."""
        assert isinstance(self.data, RankingData)
        self.data.add_teacher(folder, job)

    def batches(self, size: int, epoch: int) -> list[list[int]]:
        return self.sampler.batches(self.data, size, epoch) if epoch else self.first_epoch

    def loss(self, epoch: int, rows: list[int], done: float) -> torch.Tensor:
        batch, embeddings = self._encoded(epoch, rows)
        return self._task_loss(batch, embeddings) + self.retention(batch.ids, embeddings)

    def parameter_groups(self) -> list[ParameterGroup]:
        return [ParameterGroup(trainable(self.module), self.setup.learning_rate)]

    def check(self, steps: int) -> str:
        if steps and (self.held_out_batches or not self.held_out):
            return ""
        which = f"{len(self.held_out)} held-out examples" if steps else f"{len(self.examples)} examples"
        return f"finetune: {which} make no batch of two rows with different positives; give more varied pairs"

    def has_validation(self) -> bool:
        return bool(self.held_out)

    def validation_loss(self) -> float:
        total = sum(float(self._task_loss(*self._encoded(0, rows))) * len(rows) for rows in self.held_out_batches)
        return total / sum(map(len, self.held_out_batches))

    def evaluation_interval(self, steps: int) -> int:
        return math.ceil(steps / 10)

    def rows_per_epoch(self) -> list[int]:
        """Rows of each source in an epoch."""
        return list(map(len, self.sampler.rows(0)))

    def rows_without_negative(self) -> int:
        """Rows of an epoch that are in no batch: their positive is also right for every row that they could be batched with."""
        return sum(self.rows_per_epoch()) - sum(map(len, self.first_epoch))

    def _encoded(self, epoch: int, rows: list[int]) -> tuple[RankingBatch | ScoredPairBatch, torch.Tensor]:
        batch, budget = self.data.batch(epoch, rows), self.setup.token_budget
        return batch, forward_cached(self.encoder, batch.ids, budget) if budget else forward(self.encoder, batch.ids)

    def _task_loss(self, batch: RankingBatch | ScoredPairBatch, embeddings: torch.Tensor) -> torch.Tensor:
        if self.has_shorter:
            return matryoshka(lambda part: self.batch_loss(batch, part), embeddings, self.dims)
        return self.batch_loss(batch, embeddings)
