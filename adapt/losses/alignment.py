"""Bring two languages together: the student's vectors of both sentences to the teacher's vector of the first."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def to_teacher(source: torch.Tensor, target: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of both students' vectors to the teacher's, a mean over all 2 · n · d numbers. All [n, d].

    Reimers & Gurevych (2020), https://arxiv.org/abs/2004.09813; as in sentence-transformers, both sides weigh the same.
    """
    return (F.mse_loss(source, teacher) + F.mse_loss(target, teacher)) / 2
