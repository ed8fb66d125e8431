"""The closed-form map from corrupted to clean vectors: against scikit-learn, by hand, and in its limits."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from adapt.inference.encoding import embed, forward
from adapt.job import Job
from adapt.losses.linear_denoiser import DenoisedEmbeddings, linear_denoiser
from adapt.models.bi_encoder import load_encoder

from ..conftest import tolerance


@pytest.fixture
def sides():
    rng = np.random.default_rng(2)
    clean = rng.normal(size=(160, 12)) @ rng.normal(size=(12, 12)) + 3
    return clean + rng.normal(size=clean.shape) - 1, clean


@pytest.mark.parametrize("ridge", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("texts", [160, 30])  # more than ten texts to each of the 12 numbers, and fewer
def test_the_map_is_scikit_learns_ridge_regression_of_what_to_change(sides, ridge, texts):
    corrupted, clean = (rows[:texts] for rows in sides)
    variance = corrupted.var(axis=0).mean()
    theirs = Ridge(alpha=ridge * variance * max(texts, 120), fit_intercept=True).fit(corrupted, clean - corrupted)
    np.testing.assert_allclose(linear_denoiser(corrupted, clean, ridge), np.eye(12) + theirs.coef_.T, atol=1e-9)


def test_the_map_is_the_lowest_point_of_what_it_says_it_minimises(sides):
    corrupted, clean = (torch.from_numpy(rows - rows.mean(0)) for rows in sides)
    found = torch.from_numpy(linear_denoiser(*sides, 0.5)).requires_grad_()
    variance = corrupted.var(dim=0, correction=0).mean()
    value = (corrupted @ found - clean).square().sum(1).mean() + 0.5 * variance * (found - torch.eye(12)).square().sum()
    (slope,) = torch.autograd.grad(value, found)
    assert slope.abs().max() < 1e-10


def test_one_number_by_hand():
    """Centred x = ±1, y = ±3: (x W - y)² + r (W - 1)² is lowest where W = (3 + r) / (1 + r); two texts count a fifth of ten."""
    for texts, pull in ((10, 0.5), (2, 2.5)):
        found = linear_denoiser(np.array([[4.0], [6.0]] * (texts // 2)), np.array([[7.0], [13.0]] * (texts // 2)), 0.5)
        assert found[0, 0] == pytest.approx((3 + pull) / (1 + pull))


def test_clean_texts_and_a_strong_pull_change_nothing(sides):
    corrupted, clean = sides
    np.testing.assert_allclose(linear_denoiser(clean, clean, 0.1), np.eye(12), atol=1e-9)
    np.testing.assert_allclose(linear_denoiser(corrupted, clean, 1e9), np.eye(12), atol=1e-6)


def test_fewer_texts_than_numbers_leave_the_other_directions_as_they_are():
    rng = np.random.default_rng(2)
    corrupted, clean = rng.normal(size=(2, 4, 12))
    unseen = np.linalg.svd(corrupted - corrupted.mean(0))[2][-1]  # no difference between two texts points there
    np.testing.assert_allclose(unseen @ linear_denoiser(corrupted, clean, 1.0), unseen, atol=1e-9)


def test_what_an_encoder_is_to_give_is_the_bases_vectors_through_the_map(embedder):
    model = load_encoder(embedder)
    clean = model.tokenizer([f"the heart {word} the kidney" for word in ("helps", "harms", "starts", "stops")] * 80)["input_ids"]
    corrupted = [ids[:2] + ids[3:] for ids in clean]
    told = []
    goal = DenoisedEmbeddings(embedder, corrupted, clean, 0.3, "auto", Job(listener=told.append))
    with torch.no_grad():
        before, after = (torch.nn.functional.normalize(forward(model, ids), dim=1).double().numpy() for ids in (corrupted, clean))
    wanted = before @ linear_denoiser(before, after, 0.3)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(goal(corrupted).numpy(), wanted, atol=tolerance(1e-5, 1e-3))
    assert not goal(corrupted).requires_grad and told[-1].data["done"] == told[-1].data["total"] == 640
    assert np.linalg.norm(wanted - after) < np.linalg.norm(before - after)
    np.testing.assert_allclose(
        before[0], embed(embedder, [model.tokenizer.decode(corrupted[0][1:-1])], Job())[0], atol=tolerance(1e-5, 1e-3)
    )
