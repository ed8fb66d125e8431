"""Any loss at several dimensions at once, so that a prefix of an embedding is an embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F


def matryoshka(loss: Callable[[torch.Tensor], torch.Tensor], vectors: torch.Tensor, weights: Mapping[int, float]) -> torch.Tensor:
    """Σ weight · loss(the vectors' first `width` numbers, made unit vectors) over {width: weight}. vectors [texts, d].

    Kusupati et al. (2022), https://arxiv.org/abs/2205.13147.
    """
    parts = [weight * loss(F.normalize(vectors[:, :width], dim=1)) for width, weight in weights.items()]
    return torch.stack(parts).sum()
