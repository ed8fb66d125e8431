"""Losses on two texts and a score: how far they mean the same, or whether they do."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def cosent(first: torch.Tensor, second: torch.Tensor, scores: torch.Tensor, scale: float = 20.0) -> torch.Tensor:
    """log(1 + Σ exp(scale · (cos_j - cos_i))) over all pairs of rows with score_i > score_j. Su (2022), kexue.fm/archives/8847.

    first, second [n, d]; scores [n].
    """
    return _in_order(F.cosine_similarity(first, second), scores, scale)


def angle(first: torch.Tensor, second: torch.Tensor, scores: torch.Tensor, scale: float = 20.0) -> torch.Tensor:
    """CoSENT on the angle of complex vectors, whose gradient does not vanish where cosines are near ±1.

    The halves of a vector are its real and imaginary part; an odd width is filled up with a zero. Li & Li (2023),
    https://arxiv.org/abs/2309.12871. first, second [n, d]; scores [n].
    """
    odd = first.shape[1] % 2
    (a, b), (c, d) = (F.pad(F.normalize(side, dim=1), (0, odd)).chunk(2, dim=1) for side in (first, second))
    angles = (a * c + b * d + b * c - a * d).sum(1).abs()
    return _in_order(angles, scores, scale)


def _in_order(similarities: torch.Tensor, scores: torch.Tensor, scale: float) -> torch.Tensor:
    differences = scale * (similarities[:, None] - similarities[None, :])  # [i, j], wanted only where score_i < score_j
    wanted = scores[:, None] < scores[None, :]
    differences = differences.masked_fill(~wanted, float("-inf")).flatten()
    return torch.logsumexp(torch.cat([differences.new_zeros(1), differences]), dim=0)


def cosine_mse(first: torch.Tensor, second: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between the cosine and the score. Reimers & Gurevych (2019), https://arxiv.org/abs/1908.10084."""
    return F.mse_loss(F.cosine_similarity(first, second), scores)


def contrastive(first: torch.Tensor, second: torch.Tensor, same: torch.Tensor, margin: float = 0.5) -> torch.Tensor:
    """Mean of ½ d² over pairs that mean the same and ½ max(0, margin - d)² over the others, d = 1 - cosine, 0 to 2.

    first, second [n, d]; same [n] booleans. Hadsell, Chopra & LeCun (2006), doi 10.1109/CVPR.2006.100.
    """
    distance = 1 - F.cosine_similarity(first, second)
    return torch.where(same, distance.square(), F.relu(margin - distance).square()).mean() / 2


def online_contrastive(first: torch.Tensor, second: torch.Tensor, same: torch.Tensor, margin: float = 0.5) -> torch.Tensor:
    """`contrastive` on the hard pairs of the batch: positives farther than the nearest negative, and the reverse.

    As sentence-transformers' OnlineContrastiveLoss, but divided by the batch's n, so that the step does not grow with it.
    """
    distance = 1 - F.cosine_similarity(first, second)
    near, far = distance[same], distance[~same]
    if not len(near) or not len(far):
        hard_near, hard_far = near[near > near.mean()], far[far < far.mean()]  # only one kind of pair: its harder half
    else:
        hard_near, hard_far = near[near > far.min()], far[far < near.max()]
    return (hard_near.square().sum() + F.relu(margin - hard_far).square().sum()) / len(distance)
