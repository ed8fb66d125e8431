"""The penalty on the way from the model that training started from, against its formula in float64."""

import numpy as np
import pytest
import torch

from adapt.inference.encoding import forward
from adapt.losses.retention import Retention, cosine_distance
from adapt.models.bi_encoder import load_encoder

TEXTS = ["The heart helps the kidney.", "Fever falls.", "A mild rash and a cough after the tablet."]


def test_value_and_gradient_equal_the_formula_in_float64():
    torch.manual_seed(3)
    vectors, wanted = torch.randn(5, 8, requires_grad=True), torch.randn(5, 8)
    value = cosine_distance(vectors, wanted)
    value.backward()
    v, w = vectors.detach().double().numpy(), wanted.double().numpy()
    lengths = np.linalg.norm(v, axis=1, keepdims=True)
    v, w = v / lengths, w / np.linalg.norm(w, axis=1, keepdims=True)
    cosines = (v * w).sum(1, keepdims=True)
    assert value.item() == pytest.approx((1 - cosines).mean(), abs=1e-6)
    np.testing.assert_allclose(vectors.grad.numpy(), (cosines * v - w) / lengths / 5, atol=1e-6)


def test_the_penalty_is_nothing_at_the_start_and_grows_with_the_way(embedder):
    encoder = load_encoder(embedder)
    ids = encoder.tokenizer(TEXTS)["input_ids"]
    before = forward(encoder, ids).detach().double()
    retained = Retention(embedder, 2.0)
    assert retained(ids, forward(encoder, ids)).item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9)))
    after = forward(encoder, ids)
    wanted = 2 * (1 - torch.nn.functional.cosine_similarity(after.detach().double(), before)).mean()
    assert retained(ids, after).item() == pytest.approx(wanted.item(), abs=1e-5) and wanted > 0.01
    assert Retention(embedder, 2.0, budget=20)(ids, after).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_the_model_that_it_started_from_takes_no_gradient_and_weight_0_costs_nothing(embedder):
    encoder = load_encoder(embedder)
    ids = encoder.tokenizer(TEXTS)["input_ids"]
    retained = Retention(embedder, 1.0)
    retained(ids, forward(encoder, ids)).backward()
    assert all(p.grad is None for p in retained.base.parameters())
    assert any(p.grad is not None for p in encoder.parameters())
    nothing = Retention(embedder, 0.0)
    assert nothing.base is None and nothing(ids, forward(encoder, ids)).item() == 0
