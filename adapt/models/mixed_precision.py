"""Mixed precision: a transformer's layers compute in bf16 or fp16, everything else in fp32.

In low precision: the matrix products of the layers (attention, feed-forward) of bi-encoders, cross-encoders and decoders, and the
product with the vocabulary in TSDAE and masked-language modelling, which is discarded after training. Always in fp32: weights, the
residual stream between layers, layer norms, pooling, normalisation, dense layers after pooling, poolers and classification heads,
similarities, losses, gradients of weights, the optimiser. A classification head in bf16 leaves logits with three digits: of 40
pairs, 4 had distinct scores.

The precision is a property of the model, not of a context: it applies in every thread, and when activations are recomputed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from adapt.models.attention import attention
from adapt.runtime import device
from adapt.runtime.precision import resolve

ATTENTION = "adapt_low_precision_cpu"
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def set_precision(model: torch.nn.Module, precision: str = "auto") -> str:
    """Set the precision of the layers of every transformer in `model`, in place; returns the resolved one: fp32, bf16 or fp16.

    `precision`: auto, fp32, bf16 or fp16; see `adapt.runtime.precision.resolve`, also for the UserError that it raises.
    """
    resolved = resolve(precision)
    dtype = DTYPES.get(resolved)
    for layer in transformer_layers(model):
        hooks = getattr(layer, "_adapt_precision", None)
        if hooks is not None:
            hooks.dtype = dtype
        elif dtype is not None:
            layer._adapt_precision = _Autocast(layer, dtype)  # type: ignore[assignment]
    for transformer in model.modules():
        if isinstance(transformer, PreTrainedModel):
            _set_attention(transformer, dtype)
    return resolved


def convert_for_inference(model: torch.nn.Module) -> None:
    """Convert the weights of linear layers to the precision in which `model`'s layers compute, in place: for inference only.

    Results are bit-identical, since weights are otherwise rounded at every call; it saves reading 64 MB per 1,024 tokens.
    """
    for layer in transformer_layers(model):
        hooks = getattr(layer, "_adapt_precision", None)
        if hooks is None or hooks.dtype is None:
            continue
        for part in layer.modules():
            if type(part) is torch.nn.Linear:
                part.to(hooks.dtype).requires_grad_(False)


def compute_dtype(model: torch.nn.Module) -> torch.dtype:
    """The dtype in which the layers of `model` compute: fp32 where none is set."""
    hooks = [getattr(layer, "_adapt_precision", None) for layer in transformer_layers(model)]
    return next((found.dtype for found in hooks if found is not None and found.dtype is not None), torch.float32)


def transformer_layers(model: torch.nn.Module) -> Iterator[torch.nn.Module]:
    """The transformer layers in `model`: the members of its outermost module lists that contain a linear layer."""
    for child in model.children():
        if isinstance(child, torch.nn.ModuleList):
            yield from (layer for layer in child if any(isinstance(part, torch.nn.Linear) for part in layer.modules()))
        else:
            yield from transformer_layers(child)


_entered = threading.local()  # a model may be used by several threads at once


class _Autocast:
    """Hooks that compute a layer under autocast and convert its outputs to fp32."""

    def __init__(self, layer: torch.nn.Module, dtype: torch.dtype | None):
        self.dtype = dtype
        layer.register_forward_pre_hook(self._enter)
        layer.register_forward_hook(self._leave, always_call=True)

    def _enter(self, layer: torch.nn.Module, inputs: object) -> None:
        # Without autocast's cache, through which threads would share a weight's copy, which belongs to one graph.
        context: Any = torch.autocast(device.device().type, self.dtype, self.dtype is not None, cache_enabled=False)
        context.__enter__()
        _entered.__dict__.setdefault("contexts", []).append(context)

    def _leave(self, layer: torch.nn.Module, inputs: object, outputs: object) -> object:
        _entered.contexts.pop().__exit__(None, None, None)
        return _in_fp32(outputs)


def _in_fp32(outputs: object) -> object:
    if isinstance(outputs, torch.Tensor):
        return outputs.float() if outputs.dtype in DTYPES.values() else outputs
    if type(outputs) is tuple:
        return tuple(_in_fp32(part) for part in outputs)
    return outputs


def _set_attention(transformer: PreTrainedModel, dtype: torch.dtype | None) -> None:
    """Use `adapt.models.attention` on a CPU in low precision, torch's attention elsewhere."""
    wanted = ATTENTION if dtype is not None and device.device().type == "cpu" else "sdpa"
    if {wanted, transformer.config._attn_implementation} == {ATTENTION, "sdpa"}:
        transformer.set_attn_implementation(wanted)


def _attention(module: torch.nn.Module, query: Any, key: Any, value: Any, attention_mask: Any, **more: Any) -> Any:
    found = attention(module, query, key, value, attention_mask, **more)
    return sdpa_attention_forward(module, query, key, value, attention_mask, **more) if found is None else (found, None)


AttentionInterface.register(ATTENTION, _attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
