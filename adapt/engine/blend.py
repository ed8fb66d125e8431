"""Mix the weights of two models of one architecture (Wortsman et al. 2022, WiSE-FT, https://arxiv.org/abs/2109.01903)."""

from __future__ import annotations

from pathlib import Path

import torch

from adapt.engine.encoder import open_encoder, save_encoder


def blend(old: Path, new: Path, share: float, target: Path) -> Path:
    """Save old + share · (new - old) in `target`: share 0 is the old model, 1 the new one."""
    first, second = open_encoder(old), open_encoder(new)
    start = first.state_dict()
    with torch.no_grad():
        for name, tensor in second.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(start[name] + share * (tensor - start[name]))
    return save_encoder(second, target)
