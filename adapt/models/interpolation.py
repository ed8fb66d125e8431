"""Weight interpolation of two models (WiSE-FT, Wortsman et al. 2022, https://arxiv.org/abs/2109.01903)."""

from __future__ import annotations

from pathlib import Path

import torch

from adapt.errors import UserError
from adapt.models.bi_encoder import load_encoder, save_encoder


def interpolate(old: Path, new: Path, alpha: float, target: Path) -> Path:
    """Save old + α · (new - old) to `target` and return it: α = 0 is the old model, α = 1 the new one.

    Raises UserError where names or shapes of the weights differ.
    """
    first, second = load_encoder(old), load_encoder(new)
    start, end = first.state_dict(), second.state_dict()
    differ = [name for name in {**start, **end} if name not in start or name not in end or start[name].shape != end[name].shape]
    if differ:
        raise UserError(f"{old} and {new} can't be blended: their architectures differ ({differ[0]} differs)")
    with torch.no_grad():
        for name, tensor in end.items():
            if tensor.is_floating_point():
                tensor.copy_(start[name] + alpha * (tensor - start[name]))
    return save_encoder(second, target)
