import pytest
import torch
from sentence_transformers.sentence_transformer import losses as theirs

from adapt.losses import ranking, similarity
from adapt.losses.matryoshka import matryoshka

from .conftest import Given, features, same_value_and_gradients

SCORES = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])


@pytest.mark.parametrize("weights", [{8: 1.0, 4: 1.0, 2: 1.0}, {8: 1.0, 5: 0.25}, {3: 2.0}])
def test_matryoshka_around_a_loss_equals_sentence_transformers(vectors, weights):
    a, b, c = vectors
    every = torch.ones(6, 12, dtype=torch.bool)
    cases = [
        (lambda v: ranking.multiple_negatives(v[:6], v[6:], torch.arange(6), every), theirs.MultipleNegativesRankingLoss, None),
        (lambda v: similarity.angle(v[:6], v[6:12], SCORES), theirs.AnglELoss, SCORES),
    ]
    for ours, kind, labels in cases:
        stock = kind(Given())
        columns = [a, b, c] if labels is None else [a, b]
        around = theirs.MatryoshkaLoss(stock.model, stock, list(weights), list(weights.values()))
        same_value_and_gradients(matryoshka(ours, torch.cat(columns), weights), around(features(columns), labels), columns)


def test_every_width_is_made_of_unit_vectors():
    """A loss that does not normalise by itself; sentence-transformers' shrink does the same."""
    vectors = torch.tensor([[3.0, 4.0, 12.0], [0.0, 2.0, 0.0]])
    seen = []
    matryoshka(lambda part: seen.append(part) or part.sum(), vectors, {3: 1.0, 2: 1.0})
    torch.testing.assert_close(seen[0], torch.tensor([[3 / 13, 4 / 13, 12 / 13], [0.0, 1.0, 0.0]]))
    torch.testing.assert_close(seen[1], torch.tensor([[0.6, 0.8], [0.0, 1.0]]))
