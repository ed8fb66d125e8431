"""The objective of cross-encoder: binary cross-entropy of the score of a pair."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from adapt.inference.batching import length_bucketed_batches
from adapt.inference.scoring import logits
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.records import ScoredPair
from adapt.training.loop import ParameterGroup, trainable
from adapt.training.objective import Objective

Encoded = tuple[list[int], list[int]]  # token ids and token types of two texts


class PairScoring(Objective):
    """Scored pairs as (text, text) in an order that is drawn anew for each epoch; held-out pairs in both orders."""

    unit = "pairs"

    def __init__(
        self,
        model: CrossEncoderModel,
        pairs: Sequence[ScoredPair],
        held_out: Sequence[ScoredPair],
        seed: int,
        *,
        label: str,
        max_length: int,
        learning_rate: float,
        head_learning_rate: float,
        interval: int,
    ):
        """`interval`: steps between two evaluations of the held-out pairs."""
        self.module = self.model = model
        self.label, self.seed, self.max_length, self.interval = label, seed, max_length, interval
        self.rates = learning_rate, head_learning_rate
        self.held_out = held_out
        self.scores = torch.tensor([pair.score for pair in pairs])
        self.orders, self.truncated = self._both_orders(pairs)

    def batches(self, size: int, epoch: int) -> list[list[int]]:
        return length_bucketed_batches([len(row) for row, _ in self.orders[0]], size, self.seed, epoch)

    def loss(self, epoch: int, rows: list[int], done: float) -> torch.Tensor:
        # Which text comes first is drawn anew each epoch: similarity is symmetric, a transformer's input is not.
        swapped = [int(np.random.default_rng([self.seed, epoch, i]).random() < 0.5) for i in rows]
        predicted = logits(self.model, [self.orders[order][i] for order, i in zip(swapped, rows, strict=True)])
        return binary_cross_entropy_with_logits(predicted, self.scores[rows].to(predicted.device))

    def parameter_groups(self) -> list[ParameterGroup]:
        new = [(name, p) for name, p in trainable(self.model) if "classifier" in name or "pooler" in name]
        of_new = {id(p) for _, p in new}
        body = [(name, p) for name, p in trainable(self.model) if id(p) not in of_new]
        return [ParameterGroup(body, self.rates[0]), ParameterGroup(new, self.rates[1])]

    def has_validation(self) -> bool:
        return bool(self.held_out)

    def validation_loss(self) -> float:
        predicted = torch.cat([logits(self.model, ids) for ids in self._both_orders(self.held_out)[0]])
        wanted = torch.tensor([pair.score for pair in self.held_out] * 2, device=predicted.device)
        return float(binary_cross_entropy_with_logits(predicted, wanted))

    def evaluation_interval(self, steps: int) -> int:
        return self.interval

    def _both_orders(self, pairs: Sequence[ScoredPair]) -> tuple[tuple[list[Encoded], list[Encoded]], int]:
        """The token ids of all pairs in each order, and how many of the pairs are truncated."""
        first, second = [pair.sentence1 for pair in pairs], [pair.sentence2 for pair in pairs]
        ids, truncated = self.model.ids_and_truncated(first, second, self.max_length)
        return (ids, self.model.ids(second, first, self.max_length)), truncated
