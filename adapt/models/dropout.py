"""Dropout probabilities of a model."""

from __future__ import annotations

import torch

PROBABILITY_ATTRIBUTES = ("dropout_prob", "attention_dropout")  # attributes of attention modules


def set_dropout(module: torch.nn.Module, probability: float) -> None:
    """Set the dropout probability, 0 to 1, of every dropout layer and attention module, in place."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = probability
        for name in PROBABILITY_ATTRIBUTES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, probability)


def has_dropout(module: torch.nn.Module) -> bool:
    """Whether any dropout probability of the module is above 0."""
    return any(
        (isinstance(part, torch.nn.Dropout) and part.p > 0)
        or any(getattr(part, name, None) not in (None, 0.0) for name in PROBABILITY_ATTRIBUTES)
        for part in module.modules()
    )
