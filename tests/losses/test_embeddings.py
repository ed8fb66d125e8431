"""Every loss against sentence-transformers' own on the same vectors, or against its formula where ST has none."""

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer import losses as theirs

from adapt.losses import embeddings as ours


class Given(torch.nn.Module):
    """Stands in for a model whose sentence vectors are given."""

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}


@pytest.fixture
def vectors():
    torch.manual_seed(4)
    return [torch.randn(6, 8, requires_grad=True) for _ in range(3)]


def same_value_and_gradients(mine, other, parameters):
    assert mine.item() == pytest.approx(other.item(), abs=1e-5)
    for a, b in zip(torch.autograd.grad(mine, parameters), torch.autograd.grad(other, parameters), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_multiple_negatives_equals_sentence_transformers_where_no_document_repeats(vectors):
    a, p, n = vectors
    mine = ours.multiple_negatives(a, torch.cat([p, n]), torch.arange(6), torch.ones(6, 12, dtype=torch.bool))
    other = theirs.MultipleNegativesRankingLoss(Given(), scale=20.0)([{"vectors": v} for v in vectors], None)
    same_value_and_gradients(mine, other, vectors)


def test_a_masked_document_does_not_count(vectors):
    a, p, _ = vectors
    allowed = torch.ones(6, 6, dtype=torch.bool)
    allowed[0, 3] = False
    masked = ours.multiple_negatives(a, p, torch.arange(6), allowed)
    cosines = 20 * torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(p, dim=1).T
    rows = [torch.logsumexp(cosines[i][allowed[i]], 0) - cosines[i, i] for i in range(6)]
    assert masked.item() == pytest.approx((sum(rows) / 6).item(), abs=1e-5)


def test_the_positive_counts_even_where_the_mask_forbids_it(vectors):
    a, p, _ = vectors
    nothing = torch.zeros(6, 6, dtype=torch.bool)
    assert ours.multiple_negatives(a, p, torch.arange(6), nothing).item() == pytest.approx(0.0, abs=1e-6)


def test_cosent_equals_sentence_transformers(vectors):
    a, b, _ = vectors
    scores = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])
    other = theirs.CoSENTLoss(Given(), scale=20.0)([{"vectors": a}, {"vectors": b}], scores)
    same_value_and_gradients(ours.cosent(a, b, scores), other, [a, b])


def test_cosine_mse_equals_sentence_transformers(vectors):
    a, b, _ = vectors
    scores = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])
    other = theirs.CosineSimilarityLoss(Given())([{"vectors": a}, {"vectors": b}], scores)
    same_value_and_gradients(ours.cosine_mse(a, b, scores), other, [a, b])


def test_triplet_equals_sentence_transformers_with_a_squared_distance(vectors):
    unit = [torch.nn.functional.normalize(v, dim=1) for v in vectors]
    squared = theirs.TripletLoss(Given(), distance_metric=lambda x, y: (x - y).square().sum(1), triplet_margin=0.3)
    same_value_and_gradients(ours.triplet(*vectors, margin=0.3), squared([{"vectors": v} for v in unit], None), vectors)


def test_squared_distance_by_hand():
    left, right = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    np.testing.assert_allclose(ours.squared_distance(left, right), [0.0, 2.0, 4.0], atol=1e-6)
