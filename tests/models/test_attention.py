"""Attention in bf16, compared with torch's own kernel in float64."""

import pytest
import torch
import torch.nn.functional as F

from adapt.models.attention import MAX_TOKENS_FORWARD, attention


def inputs(tokens, texts=3, heads=4, width=8):
    torch.manual_seed(tokens)
    return [torch.randn(texts, tokens, heads, width).to(torch.bfloat16).transpose(1, 2).requires_grad_() for _ in range(3)]


def masks(tokens, causal, padded):
    """(what is seen [texts, 1, tokens, tokens] or None, the same for the reference)."""
    seen = torch.ones(3, 1, tokens, tokens, dtype=torch.bool)
    if padded:
        lengths = torch.tensor([tokens, max(1, tokens - 2), max(1, tokens // 2)])
        seen = (torch.arange(tokens) < lengths[:, None])[:, None, None].expand(3, 1, tokens, tokens)
    reference = seen & torch.ones(tokens, tokens, dtype=torch.bool).tril() if causal else seen
    return (reference if padded else None), reference


def relative(found, wanted):
    return float((found.detach().double() - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("tokens", [1, 5, 31, 40, 130])
def test_values_and_gradients_equal_torchs_in_float64_within_the_rounding_of_bf16(tokens, causal, padded):
    given = inputs(tokens)
    seen, reference = masks(tokens, causal, padded)
    exact = [part.detach().double().requires_grad_() for part in given]
    wanted = F.scaled_dot_product_attention(*exact, attn_mask=reference).transpose(1, 2)
    slope = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted_slopes = torch.autograd.grad(wanted, exact, slope)
    found = attention(None, *given, seen, is_causal=causal)
    slopes = torch.autograd.grad(found, given, slope.to(torch.bfloat16))
    # A rounding to bf16 is off by 2^-9 at most; some five of them stand behind a value, ten behind a gradient.
    assert relative(found, wanted) < 5 * 2**-9 and found.is_contiguous()
    for mine, theirs in zip(slopes, wanted_slopes, strict=True):
        assert float((mine.double() - theirs).norm()) < 10 * 2**-9 * float(theirs.norm()) + 1e-12


def test_the_scale_that_a_model_asks_for_is_used():
    given = inputs(12)
    exact = [part.detach().double() for part in given]
    wanted = F.scaled_dot_product_attention(*exact, scale=0.9).transpose(1, 2)
    assert relative(attention(None, *given, None, is_causal=False, scaling=0.9), wanted) < 5 * 2**-9


def test_what_it_does_not_compute_is_left_to_torch():
    query, key, value = inputs(12)
    assert attention(None, query, key, value, None, is_causal=False) is not None
    assert attention(None, query.float(), key.float(), value.float(), None, is_causal=False) is None
    assert attention(None, query, key[:, :2], value[:, :2], None, is_causal=False) is None  # grouped queries
    assert attention(None, query, key, value, torch.zeros(3, 1, 12, 12), is_causal=False) is None  # biases of places
    assert attention(None, query, key, value, None, is_causal=False, dropout=0.1) is None
    long = inputs(MAX_TOKENS_FORWARD + 1, texts=1)
    assert attention(None, *long, None, is_causal=False) is not None
    with torch.no_grad():  # as fast in torch's kernel, which rounds less
        assert attention(None, *long, None, is_causal=False) is None
