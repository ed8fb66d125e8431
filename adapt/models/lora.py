"""Low-rank adapters (LoRA) of the attention's linear layers by peft: attached before training, merged into the weights after it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from adapt.errors import UserError

if TYPE_CHECKING:
    import torch

ALPHA_PER_RANK = 2  # lora_alpha / rank: the usual scaling
ATTENTION_NAMES = ("attn", "attention")  # parts of a module's name that mark it as a part of an attention block


def missing_packages() -> str:
    """What to install where peft is missing, a sentence; "" where it is installed."""
    if importlib.util.find_spec("peft") is not None:
        return ""
    return "lora_rank needs peft: pip install 'adapt-embeddings[lora]', or use lora_rank 0"


def attach(model: torch.nn.Module, rank: int, seed: int) -> int:
    """Add an adapter of `rank` to every linear layer of the attention, in place, and freeze all other parameters.

    Returns how many layers were adapted. The adapters change no output before the first step: B is zero, A is drawn from `seed`.
    Hu et al. (2021), https://arxiv.org/abs/2106.09685. Raises UserError where peft is not installed, and where the attention has
    no linear layer.
    """
    if missing_packages():
        raise UserError(missing_packages())
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    layers = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and any(part in name.lower() for part in ATTENTION_NAMES)
    ]
    if not layers:
        raise UserError("lora_rank: this model has no linear layers in its attention to adapt; use lora_rank 0")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=ALPHA_PER_RANK * rank, target_modules=layers), model)
    return len(layers)


def merge(model: torch.nn.Module) -> None:
    """Add the product of every adapter to its layer's weight and remove the adapters, in place; all parameters train again."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge()
            model.set_submodule(name, module.get_base_layer())
    model.requires_grad_(True)
