"""Unsupervised SimCSE: a sentence must recognise itself among others (Gao, Yao & Chen 2021, https://arxiv.org/abs/2104.08821)."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def simcse(first: torch.Tensor, second: torch.Tensor, scale: float = 20.0) -> torch.Tensor:
    """InfoNCE over the cosines of two views of each text, both [texts, d]; `scale` is one over the paper's temperature of 0.05.

    The views are two forward passes of the same text, which differ only in dropout.
    """
    cosines = F.normalize(first, dim=1) @ F.normalize(second, dim=1).T
    return F.cross_entropy(scale * cosines, torch.arange(len(first), device=first.device))
