"""Losses on sentence vectors: ranking, similarity and triplets, each a pure function that returns a mean over the rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def multiple_negatives(
    anchors: torch.Tensor, documents: torch.Tensor, target: torch.Tensor, allowed: torch.Tensor, scale: float = 20.0
) -> torch.Tensor:
    """Cross-entropy of each anchor's own document among all documents of the batch (InfoNCE on cosines).

    anchors [a, d], documents [n, d], target [a] (index of the positive), allowed [a, n] (False where a document is no fair
    negative; the target counts as allowed). Henderson et al. (2017), https://arxiv.org/abs/1705.00652.
    """
    logits = scale * F.normalize(anchors, dim=1) @ F.normalize(documents, dim=1).T
    rows = torch.arange(len(anchors), device=anchors.device)
    allowed = allowed.clone()
    allowed[rows, target] = True
    return F.cross_entropy(logits.masked_fill(~allowed, float("-inf")), target)


def cosent(first: torch.Tensor, second: torch.Tensor, scores: torch.Tensor, scale: float = 20.0) -> torch.Tensor:
    """log(1 + Σ exp(scale · (cos_j - cos_i))) over all pairs of rows with score_i > score_j. Su (2022), kexue.fm/archives/8847.

    first, second [n, d]; scores [n].
    """
    cosines = scale * F.cosine_similarity(first, second)
    differences = cosines[:, None] - cosines[None, :]  # [i, j] = cos_i - cos_j, wanted only where score_i < score_j
    wanted = scores[:, None] < scores[None, :]
    differences = differences.masked_fill(~wanted, float("-inf")).flatten()
    return torch.logsumexp(torch.cat([differences.new_zeros(1), differences]), dim=0)


def cosine_mse(first: torch.Tensor, second: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between the cosine and the score. Reimers & Gurevych (2019), https://arxiv.org/abs/1908.10084."""
    return F.mse_loss(F.cosine_similarity(first, second), scores)


def squared_distance(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distance of unit vectors, 0 to 4 (= 2 - 2 cos)."""
    return (F.normalize(left, dim=-1) - F.normalize(right, dim=-1)).square().sum(-1)


def triplet(anchors: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor, margin: float = 0.3) -> torch.Tensor:
    """Mean of max(0, margin + |a - p|² - |a - n|²) on unit vectors, so that margins lie in 0 to 4. All shapes [n, d].

    Schroff et al. (2015), FaceNet, https://arxiv.org/abs/1503.03832. sentence-transformers' TripletLoss has no squared
    distance, and its default margin of 5 can't be met on unit vectors.
    """
    return F.relu(margin + squared_distance(anchors, positives) - squared_distance(anchors, negatives)).mean()
