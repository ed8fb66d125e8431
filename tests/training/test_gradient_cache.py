import pytest
import torch

from adapt.inference.encoding import forward
from adapt.losses.ranking import multiple_negatives
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.models.dropout import set_dropout
from adapt.training import gradient_cache

from ..conftest import assert_alike


def ranking(vectors):
    half = len(vectors) // 2
    return multiple_negatives(vectors[:half], vectors[half:], torch.arange(half), torch.ones(half, half, dtype=torch.bool))


@pytest.fixture
def ids(embedder):
    words = "heart kidney liver lung brain skin bone blood".split()
    return token_ids(load_encoder(embedder), [" ".join(words[i % 8 : i % 8 + 1 + i % 5] * (1 + i % 3)) for i in range(24)])


def gradients(model, vectors):
    return torch.autograd.grad(ranking(vectors), [p for n, p in model.named_parameters() if "pooler" not in n], allow_unused=True)


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_gradients_equal_the_uncached_ones(embedder, ids, budget):
    model = load_encoder(embedder).train()
    set_dropout(model, 0.0)
    whole, cached = forward(model, ids), gradient_cache.forward_cached(model, ids, budget)
    torch.testing.assert_close(whole, cached, atol=1e-5, rtol=1e-5)
    assert_alike(gradients(model, cached), gradients(model, whole), bf16=2e-2, atol=1e-5, rtol=1e-5)


def test_dropout_falls_alike_in_both_passes(embedder, ids):
    """In chunks of the same texts, plain `forward` draws the same dropout from the same seed."""
    model = load_encoder(embedder).train()
    set_dropout(model, 0.3)
    found = []
    for encode in (forward, gradient_cache.forward_cached):
        torch.manual_seed(3)
        vectors = encode(model, ids, 40)
        found.append((vectors, gradients(model, vectors)))
    torch.testing.assert_close(found[0][0], found[1][0])
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_encoder(embedder, ids, monkeypatch):
    """A chunk is within the budget both times, and between the passes no activation of the encoder is held."""
    model = load_encoder(embedder).train()
    sizes = []
    padded = gradient_cache.pad_batch

    def seen(*args):
        features = padded(*args)
        sizes.append(features["input_ids"].numel())
        return features

    monkeypatch.setattr(gradient_cache, "pad_batch", seen)

    def kept(encode):
        held = {}
        parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}

        def pack(tensor):
            if tensor.untyped_storage().data_ptr() not in parameters:
                held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            vectors = encode(model, ids, 40)
        return sum(held.values()), vectors

    whole, cached = kept(forward)[0], kept(gradient_cache.forward_cached)[0]
    assert cached < whole / 50 and max(sizes) <= 40
