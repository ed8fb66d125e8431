"""From a batch and its embeddings to the value of a loss."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adapt.losses import classification, ranking, similarity, triplets
from adapt.losses.settings import (
    Angle,
    Contrastive,
    ContrastiveLoss,
    Cosent,
    Cosine,
    InBatchLoss,
    LossSettings,
    MarginMse,
    Mnrl,
    Softmax,
    Triplet,
)  # fmt: skip
from adapt.training.ranking_data import RankingBatch
from adapt.training.scored_data import ScoredPairBatch


@dataclass(frozen=True)
class BatchLoss:
    """The loss that `settings` describe; `classifier` is the head that loss softmax trains."""

    settings: LossSettings
    classifier: classification.Classifier | None = None

    def __call__(self, batch: RankingBatch | ScoredPairBatch, embeddings: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch whose texts have these embeddings, [texts, d] in the order of `batch.ids`."""
        if isinstance(batch, RankingBatch):
            return self._of_ranking(batch, embeddings[: len(batch.rows)], embeddings[len(batch.rows) :])
        first, second = embeddings.chunk(2)
        return self._of_pairs(batch.wanted, first, second)

    def _of_ranking(self, batch: RankingBatch, anchors: torch.Tensor, documents: torch.Tensor) -> torch.Tensor:
        loss, target, allowed, (rows, wrong) = self.settings, batch.target, batch.allowed, batch.own
        if batch.guide is not None and isinstance(loss, InBatchLoss):
            relative = loss.guide_margin_strategy == "relative"
            allowed = allowed & ~ranking.guide_positives(batch.guide, target, loss.guide_margin, relative)
        if isinstance(loss, Mnrl):
            return ranking.multiple_negatives(anchors, documents, target, allowed, loss.scale, loss.symmetric)
        if isinstance(loss, MarginMse):
            assert batch.margins is not None
            return ranking.margin_mse(anchors[rows], documents[target[rows]], documents[wrong], batch.margins)
        assert isinstance(loss, Triplet)
        table = triplets.distances(anchors, documents, loss.distance)
        if loss.in_batch != "none":
            rows, wrong = triplets.in_batch(table, target, allowed, loss.in_batch)
        return triplets.triplet(table, target, rows, wrong, None if loss.margin == "soft" else loss.margin)

    def _of_pairs(self, wanted: torch.Tensor, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        loss = self.settings
        if isinstance(loss, Cosent):
            return similarity.cosent(first, second, wanted, loss.scale)
        if isinstance(loss, Angle):
            return similarity.angle(first, second, wanted, loss.scale)
        if isinstance(loss, Cosine):
            return similarity.cosine_mse(first, second, wanted)
        if isinstance(loss, Softmax):
            assert self.classifier is not None
            return classification.softmax(self.classifier, first, second, wanted)
        assert isinstance(loss, ContrastiveLoss)
        contrast = similarity.contrastive if isinstance(loss, Contrastive) else similarity.online_contrastive
        return contrast(first, second, wanted >= loss.positive_threshold, loss.margin)
