"""The denoising loss against the formula itself, written out in float64 for a small BERT."""

import numpy as np
import pytest
import torch

from adapt.losses.denoising import Denoising
from adapt.models.bi_encoder import load_encoder

from ..conftest import tolerance

NOISY = ["The heart.", "Fever tablet.", "rash cough."]
TEXTS = ["The heart helps the kidney.", "Fever falls after the tablet.", "A mild rash and a cough."]


def reference(weights: dict[str, np.ndarray], heads: int, noisy: list[int], clean: list[int]) -> np.ndarray:
    """-log p of each token of `clean` after the first, given the CLS vector of `noisy` and the tokens before it."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def gelu(x):
        return x * 0.5 * (1 + torch.erf(torch.from_numpy(x / np.sqrt(2))).numpy())

    def attention(x, keys, name, mask):
        q, k, v = linear(x, f"{name}.self.query"), linear(keys, f"{name}.self.key"), linear(keys, f"{name}.self.value")
        parts = []
        for left, right, value in zip(*(np.split(t, heads, -1) for t in (q, k, v)), strict=True):
            scores = np.where(mask, left @ right.T / np.sqrt(left.shape[-1]), -np.inf)
            share = np.exp(scores - scores.max(-1, keepdims=True))
            parts.append(share / share.sum(-1, keepdims=True) @ value)
        return norm(linear(np.concatenate(parts, -1), f"{name}.output.dense") + x, f"{name}.output.LayerNorm")

    def body(ids, prefix, vector=None):
        tables = [weights[f"{prefix}.embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")]
        x = norm(tables[0][ids] + tables[1][: len(ids)] + tables[2][0], f"{prefix}.embeddings.LayerNorm")
        mask = np.tril(np.ones((len(ids), len(ids)), bool)) if vector is not None else np.ones((len(ids), len(ids)), bool)
        for layer in range(2):
            name = f"{prefix}.encoder.layer.{layer}"
            x = attention(x, x, f"{name}.attention", mask)
            if vector is not None:  # the one key that the decoder may look at
                x = attention(x, vector[None], f"{name}.crossattention", np.ones((len(ids), 1), bool))
            x = norm(linear(gelu(linear(x, f"{name}.intermediate.dense")), f"{name}.output.dense") + x, f"{name}.output.LayerNorm")
        return x

    hidden = body(clean[:-1], "decoder.bert", body(noisy, "encoder.0.model")[0])
    hidden = norm(gelu(linear(hidden, "decoder.cls.predictions.transform.dense")), "decoder.cls.predictions.transform.LayerNorm")
    logits = hidden @ weights["decoder.bert.embeddings.word_embeddings.weight"].T + weights["decoder.cls.predictions.bias"]
    return np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(clean) - 1), clean[1:]]


@pytest.mark.parametrize("tied", [True, False])
def test_the_loss_is_the_formula_in_float64(language_model, tied):
    encoder = load_encoder(language_model)
    module = Denoising(encoder, language_model, tied=tied, seed=0).eval()
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():  # fresh weights are so small that a wrong attention would hardly show
            parameter += 0.3 * torch.randn(parameter.shape, generator=noise)
    body = next(name for name, _ in module.named_parameters(remove_duplicate=False)).split(".embeddings")[0]
    weights = {name.replace(body, "encoder.0.model"): tensor.double().numpy() for name, tensor in module.state_dict().items()}
    noisy, clean = (encoder.tokenizer(texts)["input_ids"] for texts in (NOISY, TEXTS))
    wanted = np.concatenate([reference(weights, 2, *pair) for pair in zip(noisy, clean, strict=True)])
    assert module(noisy, clean).item() == pytest.approx(wanted.mean(), abs=tolerance(1e-5, 1.5e-2))
    other = np.concatenate([reference(weights, 2, *pair) for pair in zip(noisy[1:] + noisy[:1], clean, strict=True)])
    assert abs(other.mean() - wanted.mean()) > tolerance(1e-3, 3e-2)  # the vector matters
