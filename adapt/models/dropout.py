"""How much of what passes between layers is dropped while training."""

from __future__ import annotations

import torch

PROBABILITY_ATTRIBUTES = ("dropout_prob", "attention_dropout")  # attributes from which attention reads its own


def set_dropout(module: torch.nn.Module, share: float) -> None:
    """Set every dropout layer's share, and attention's own."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = share
        for name in PROBABILITY_ATTRIBUTES:
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, share)


def has_dropout(module: torch.nn.Module) -> bool:
    """Whether any layer of the module drops something."""
    return any(
        (isinstance(part, torch.nn.Dropout) and part.p > 0)
        or any(getattr(part, name, None) not in (None, 0.0) for name in PROBABILITY_ATTRIBUTES)
        for part in module.modules()
    )
