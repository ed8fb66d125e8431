"""Losses on scored pairs against sentence-transformers' own on the same vectors."""

import pytest
import torch
from sentence_transformers.sentence_transformer import losses as theirs

from adapt.losses import similarity as ours

from .conftest import Given, features, same_value_and_gradients

SCORES = torch.tensor([0.1, 0.9, 0.5, 0.5, 0.0, 1.0])


@pytest.mark.parametrize("scale", [20.0, 7.0])
@pytest.mark.parametrize(("mine", "other"), [(ours.cosent, theirs.CoSENTLoss), (ours.angle, theirs.AnglELoss)])
def test_losses_on_the_order_of_scores_equal_sentence_transformers(vectors, mine, other, scale):
    a, b, _ = vectors
    same_value_and_gradients(mine(a, b, SCORES, scale), other(Given(), scale=scale)(features([a, b]), SCORES), [a, b])


def test_an_odd_width_has_an_angle_too(vectors):
    a, b = (v[:, :7] for v in vectors[:2])
    other = theirs.AnglELoss(Given())(features([a, b]), SCORES)
    same_value_and_gradients(ours.angle(a, b, SCORES), other, vectors[:2])


def test_cosine_mse_equals_sentence_transformers(vectors):
    a, b, _ = vectors
    other = theirs.CosineSimilarityLoss(Given())(features([a, b]), SCORES)
    same_value_and_gradients(ours.cosine_mse(a, b, SCORES), other, [a, b])


@pytest.mark.parametrize("margin", [0.5, 1.2])
@pytest.mark.parametrize("labels", [[1, 0, 0, 1, 0, 1], [0] * 6, [1] * 6])
def test_contrastive_losses_equal_sentence_transformers(vectors, labels, margin):
    a, b, _ = vectors
    labels = torch.tensor(labels)
    other = theirs.ContrastiveLoss(Given(), margin=margin)(features([a, b]), labels)
    same_value_and_gradients(ours.contrastive(a, b, labels == 1, margin), other, [a, b])
    other = theirs.OnlineContrastiveLoss(Given(), margin=margin)(features([a, b]), labels)
    same_value_and_gradients(6 * ours.online_contrastive(a, b, labels == 1, margin), other, [a, b])
