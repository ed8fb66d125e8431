"""Attention in bf16 on a CPU, by batched matrix products: torch's fused kernel takes five to ten times as long to go backward.

Of a training step on pairs of 64 tokens the fused kernel's backward pass was 28 %. Measured on one core of a Zen 4 (avx512_bf16),
1,024 tokens, 12 heads of 32: forward and backward 4.4 ms in place of 28 at 64 tokens a text, 8.2 in place of 33 at 128, 12 in place
of 26 at 192; forward alone 2.0 in place of 2.9.
"""

from __future__ import annotations

import math
from typing import Any

import torch

MAX_TOKENS = 1_024  # tokens; the scores of all pairs of tokens are held in memory
MAX_TOKENS_FORWARD = 128  # tokens, where nothing goes backward
MIN_TOKENS_BF16_SOFTMAX = 32  # tokens


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    is_causal: bool | None = None,
    position_bias: torch.Tensor | None = None,
    **more: Any,
) -> torch.Tensor | None:
    """softmax(query · keyᵀ · scaling) · value, [texts, tokens, heads, d]; None for what is left to torch's own kernel.

    query, key, value [texts, heads, tokens, d] in bf16; mask [texts or 1, 1, tokens, tokens] booleans, True where a token is seen,
    or None. Products are accumulated in fp32 and rounded to bf16; the softmax is computed in fp32 and rounded. Where no gradient is
    asked for, torch's kernel is as fast from 128 tokens on and rounds less.
    """
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    plain = query.dtype == key.dtype == value.dtype == torch.bfloat16 and query.shape == key.shape == value.shape
    masked = mask is None or (mask.dtype == torch.bool and mask.shape[1] == 1)
    longest = MAX_TOKENS if torch.is_grad_enabled() else MAX_TOKENS_FORWARD
    if not plain or not masked or dropout or position_bias is not None or more.get("cache") or query.shape[2] > longest:
        return None
    if mask is None and causal and query.shape[2] > 1:
        mask = torch.ones(query.shape[2], query.shape[2], dtype=torch.bool).tril()[None, None]
    scale = scaling if scaling is not None else 1 / math.sqrt(query.shape[-1])
    return _Attention.apply(query, key, value, mask, scale)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, scale: float):
        heads, tokens, width = query.shape[1:]
        q, k, v = (part.reshape(-1, tokens, width) for part in (query, key, value))
        scores = torch.baddbmm(_bias(mask, query), q, k.transpose(1, 2), alpha=scale)
        # Short rows of bf16 are slower than fp32 ones, converted there and back.
        weights = scores.softmax(-1) if tokens >= MIN_TOKENS_BF16_SOFTMAX else scores.float().softmax(-1).to(scores.dtype)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale, ctx.heads = scale, heads
        return torch.bmm(weights, v).unflatten(0, (-1, heads)).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor):
        q, k, v, weights = ctx.saved_tensors
        slope = slope.transpose(1, 2).reshape(q.shape)
        to_weights = torch.bmm(slope, v.transpose(1, 2))
        to_scores = torch._softmax_backward_data(to_weights, weights, -1, weights.dtype)
        to_query = torch.bmm(to_scores, k).mul_(ctx.scale)
        to_key = torch.bmm(to_scores.transpose(1, 2), q).mul_(ctx.scale)
        to_value = torch.bmm(weights.transpose(1, 2), slope)
        return *(part.unflatten(0, (-1, ctx.heads)) for part in (to_query, to_key, to_value)), None, None


def _bias(mask: torch.Tensor | None, query: torch.Tensor) -> torch.Tensor:
    """What to add to scores, [texts · heads, tokens or 1, tokens], or one number: minus infinity where a token is not seen."""
    if mask is None:
        return query.new_zeros(1)
    if mask.stride(2) == 0:  # the same for every query: padding alone
        mask = mask[:, :, :1]
    bias = torch.zeros(mask.shape, dtype=query.dtype).masked_fill_(~mask, -math.inf)
    return bias.expand(query.shape[0], query.shape[1], -1, -1).flatten(0, 1)
