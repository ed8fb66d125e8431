"""Losses that rank documents for an anchor: in-batch negatives with false negatives masked, and margins of a teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def multiple_negatives(
    anchors: torch.Tensor,
    documents: torch.Tensor,
    target: torch.Tensor,
    allowed: torch.Tensor,
    scale: float = 20.0,
    symmetric: bool = False,
) -> torch.Tensor:
    """Cross-entropy of each anchor's own document among all documents of the batch (InfoNCE on cosines).

    anchors [a, d], documents [n, d], target [a] (index of the positive), allowed [a, n] (False where a document is no
    negative; the target is always allowed), scale: inverse temperature. `symmetric`: the mean of that and of each positive's
    own anchor among all anchors. Henderson et al. (2017), https://arxiv.org/abs/1705.00652; both directions as in CLIP,
    https://arxiv.org/abs/2103.00020.
    """
    logits = scale * F.normalize(anchors, dim=1) @ F.normalize(documents, dim=1).T
    rows = torch.arange(len(anchors), device=anchors.device)
    allowed = allowed.clone()
    allowed[rows, target] = True
    forth = F.cross_entropy(logits.masked_fill(~allowed, float("-inf")), target)
    if not symmetric:
        return forth
    # [i, j]: anchor j for row i's positive; an anchor for which that document is a positive, too, is masked.
    fair = allowed[:, target].T & (target[:, None] != target[None, :])
    fair[rows, rows] = True
    return (forth + F.cross_entropy(logits[:, target].T.masked_fill(~fair, float("-inf")), rows)) / 2


def guide_positives(guide: torch.Tensor, target: torch.Tensor, margin: float, relative: bool) -> torch.Tensor:
    """Where a guide takes a document for another positive: [a, n] booleans; never true of the target itself.

    guide [a, n]: a guide model's cosines of anchors and documents, target [a]. True where one lies above the positive's cosine
    less the margin, or (`relative`) less that share of its size; so written, the bound lies below a negative cosine, too.
    GISTEmbed, https://arxiv.org/abs/2402.16829; margins as in NV-Retriever, https://arxiv.org/abs/2407.15831.
    """
    rows = torch.arange(len(guide), device=guide.device)
    own = guide[rows, target][:, None]
    found = guide > own - margin * (own.abs() if relative else 1.0)
    found[rows, target] = False
    return found


def margin_mse(anchors: torch.Tensor, positives: torch.Tensor, negatives: torch.Tensor, margins: torch.Tensor) -> torch.Tensor:
    """Mean squared difference between cos(a, p) - cos(a, n) and a teacher's margin. All vectors [n, d], margins [n] in -2 to 2.

    Hofstätter et al. (2020), https://arxiv.org/abs/2010.02666, on cosines instead of dot products.
    """
    return F.mse_loss(F.cosine_similarity(anchors, positives) - F.cosine_similarity(anchors, negatives), margins)
