"""From a batch and its vectors to a loss: one among the losses, by its name and the settings that it heeds."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from adapt.losses import classification, ranking, similarity, triplets
from adapt.training.ranking_data import RankedBatch
from adapt.training.scored_data import RatedBatch


@dataclass(frozen=True)
class Objective:
    """A loss and its settings; what another loss heeds is passed over. `margin` None: a soft one."""

    loss: str
    scale: float
    symmetric: bool
    distance: str
    margin: float | None
    in_batch: str
    guide_margin: float
    relative: bool
    same_from: float
    classifier: classification.Classifier | None = None

    def __call__(self, batch: RankedBatch | RatedBatch, vectors: torch.Tensor) -> torch.Tensor:
        """The mean loss of a batch whose texts have these vectors, [texts, d] in the order of `batch.ids`."""
        return self._ranked(batch, vectors) if isinstance(batch, RankedBatch) else self._rated(batch, vectors)

    def _ranked(self, batch: RankedBatch, vectors: torch.Tensor) -> torch.Tensor:
        anchors, documents = vectors[: len(batch.rows)], vectors[len(batch.rows) :]
        target, allowed, (rows, wrong) = batch.target, batch.allowed, batch.own
        if batch.guide is not None:
            allowed = allowed & ~ranking.too_like(batch.guide, target, self.guide_margin, self.relative)
        if self.loss == "mnrl":
            return ranking.multiple_negatives(anchors, documents, target, allowed, self.scale, self.symmetric)
        if self.loss == "margin-mse":
            assert batch.margins is not None
            return ranking.margin_mse(anchors[rows], documents[target[rows]], documents[wrong], batch.margins)
        table = triplets.distances(anchors, documents, self.distance)
        if self.in_batch != "none":
            rows, wrong = triplets.in_batch(table, target, allowed, self.in_batch)
        return triplets.triplet(table, target, rows, wrong, self.margin)

    def _rated(self, batch: RatedBatch, vectors: torch.Tensor) -> torch.Tensor:
        first, second = vectors.chunk(2)
        if self.loss in ("cosent", "angle"):
            return (similarity.cosent if self.loss == "cosent" else similarity.angle)(first, second, batch.wanted, self.scale)
        if self.loss == "cosine":
            return similarity.cosine_mse(first, second, batch.wanted)
        if self.loss == "softmax":
            assert self.classifier is not None
            return classification.softmax(self.classifier, first, second, batch.wanted)
        contrast = similarity.contrastive if self.loss == "contrastive" else similarity.online_contrastive
        assert self.margin is not None
        return contrast(first, second, batch.wanted >= self.same_from, self.margin)
