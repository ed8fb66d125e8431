"""Mix the weights of two models of one architecture (Wortsman et al. 2022, WiSE-FT, https://arxiv.org/abs/2109.01903)."""

from __future__ import annotations

from pathlib import Path

import torch

from adapt.errors import UserError
from adapt.models.bi_encoder import load_encoder, save_encoder


def interpolate(old: Path, new: Path, share: float, target: Path) -> Path:
    """Save old + share · (new - old) in `target`: share 0 is the old model, 1 the new one.

    Raises UserError where the two have not the same weights by name and shape.
    """
    first, second = load_encoder(old), load_encoder(new)
    start, end = first.state_dict(), second.state_dict()
    differ = [name for name in {**start, **end} if name not in start or name not in end or start[name].shape != end[name].shape]
    if differ:
        raise UserError(f"{old} and {new} can't be blended: they are of different architectures ({differ[0]} differs)")
    with torch.no_grad():
        for name, tensor in end.items():
            if tensor.is_floating_point():
                tensor.copy_(start[name] + share * (tensor - start[name]))
    return save_encoder(second, target)
