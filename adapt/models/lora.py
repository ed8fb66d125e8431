"""Low-rank adapters: train a few numbers beside the attention's weights, then merge them in."""

from __future__ import annotations

import math

import torch
from torch.nn.utils import parametrize

from adapt.errors import UserError

SCALE = 2.0  # alpha / rank, with the usual alpha = 2 · rank


class LowRank(torch.nn.Module):
    """W + scale · B·A, with A [rank, in] drawn and B [out, rank] zero, so that nothing has changed before the first step."""

    def __init__(self, weight: torch.Tensor, rank: int, generator: torch.Generator):
        super().__init__()
        bound = 1 / math.sqrt(weight.shape[1])
        drawn = torch.rand(rank, weight.shape[1], generator=generator) * 2 * bound - bound
        self.a = torch.nn.Parameter(drawn.to(weight))
        self.b = torch.nn.Parameter(torch.zeros(weight.shape[0], rank).to(weight))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        with torch.autocast(weight.device.type, enabled=False):  # a weight, and weights are fp32: trained as it will be merged
            return weight + SCALE * self.b @ self.a


def attach(model: torch.nn.Module, rank: int, seed: int) -> int:
    """Give every linear layer of the attention an adapter and hold all else still; how many layers got one.

    Hu et al. (2021), https://arxiv.org/abs/2106.09685. Raises UserError where no linear layer belongs to an attention.
    """
    layers = [
        part
        for name, part in model.named_modules()
        if isinstance(part, torch.nn.Linear) and ("attn" in name.lower() or "attention" in name.lower())
    ]
    if not layers:
        raise UserError("lora_rank: this model has no linear layers in its attention to adapt; use lora_rank 0")
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for layer in layers:
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, rank, generator))
    return len(layers)


def merge(model: torch.nn.Module) -> None:
    """Add every adapter to its layer's weights, and leave the model as if it had never had any."""
    for part in model.modules():
        if isinstance(part, torch.nn.Linear) and parametrize.is_parametrized(part, "weight"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
