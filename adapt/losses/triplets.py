"""The triplet loss: which distance, which negatives, hard or soft margin; all on unit vectors, so that margins have a scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F


def _euclidean(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    # The root has no gradient at 0: a text's distance to itself stays a constant 1e-6.
    return _squared(left, right).clamp_min(1e-12).sqrt()


def _squared(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return 2 - 2 * left @ right.T


DISTANCES: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "squared": _squared,
    "euclidean": _euclidean,
    "cosine": lambda left, right: 1 - left @ right.T,
    "manhattan": lambda left, right: torch.cdist(left, right, p=1),
}


def distances(left: torch.Tensor, right: torch.Tensor, kind: str = "squared") -> torch.Tensor:
    """[a, n] distances of left [a, d] and right [n, d], both made unit vectors.

    squared: |l - r|², 0 to 4, as in FaceNet (sentence-transformers has none); euclidean: 0 to 2; cosine: 1 - cos, 0 to 2;
    manhattan: Σ|l - r|, 0 to 2√d.
    """
    return DISTANCES[kind](F.normalize(left, dim=1), F.normalize(right, dim=1))


def triplet(
    table: torch.Tensor, target: torch.Tensor, rows: torch.Tensor, negatives: torch.Tensor, margin: float | None
) -> torch.Tensor:
    """Mean of max(0, margin + d(a, p) - d(a, n)), or without a margin of the soft log(1 + exp(d(a, p) - d(a, n))).

    table [a, n]: distances; target [a]: each anchor's positive; triplet t is (rows[t], target[rows[t]], negatives[t]). 0 for
    no triplets. Schroff et al. (2015), https://arxiv.org/abs/1503.03832; soft: Hermans et al. (2017),
    https://arxiv.org/abs/1703.07737.
    """
    if not len(rows):
        return 0 * table.sum()
    difference = table[rows, target[rows]] - table[rows, negatives]
    return (F.softplus(difference) if margin is None else F.relu(margin + difference)).mean()


def in_batch(table: torch.Tensor, target: torch.Tensor, allowed: torch.Tensor, how: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The triplets that a batch of (anchor, positive) rows holds: (rows [t], negatives [t]), without class labels.

    table [a, n]: distances; target [a]; allowed [a, n]: False where the data tie a document to the anchor. all: every allowed
    document; batch-hard: the nearest; semi-hard: the nearest of those farther than the positive, and where there is none, the
    farthest of all. A row with nothing allowed has no triplet.
    """
    every = torch.arange(len(table), device=table.device)
    fair = allowed.clone()
    fair[every, target] = False
    if how == "all":
        rows, negatives = fair.nonzero(as_tuple=True)
        return rows, negatives
    rows = every[fair.any(1)]
    found = table.detach()
    if how == "batch-hard":
        return rows, found.masked_fill(~fair, math.inf).argmin(1)[rows]
    farther = fair & (found > found[every, target][:, None])
    nearest = found.masked_fill(~farther, math.inf).argmin(1)
    farthest = found.masked_fill(~fair, -math.inf).argmax(1)
    return rows, torch.where(farther.any(1), nearest, farthest)[rows]
