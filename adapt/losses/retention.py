"""Distillation towards the initial model's embeddings, on the training texts themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F

from adapt.inference.encoding import forward
from adapt.models.bi_encoder import load_encoder


def cosine_distance(vectors: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean of 1 - cosine over the rows of two [n, d]; 0 to 2."""
    return (1 - F.cosine_similarity(vectors, wanted)).mean()


class Retention:
    """A penalty on the distance to the vectors of the model in `folder`, which stays as it is; nothing where `weight` is 0."""

    def __init__(self, folder: Path, weight: float, budget: int | None = None, precision: str = "auto"):
        """`budget`: padded tokens that the model in `folder` computes at once; `precision`: see `set_precision`."""
        self.weight, self.budget = weight, budget
        self.base = load_encoder(folder, precision) if weight else None

    def __call__(self, ids: Sequence[Sequence[int]], vectors: torch.Tensor) -> torch.Tensor:
        """`weight` times the mean distance of `vectors` [texts, d] to those that the base gives for the same token ids."""
        if self.base is None:
            return vectors.new_zeros(())
        with torch.no_grad():
            wanted = forward(self.base, ids, self.budget)
        return self.weight * cosine_distance(vectors, wanted)
