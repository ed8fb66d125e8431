"""Ranking losses against sentence-transformers' own on the same embeddings, and against hand-computed values."""

import pytest
import torch
from sentence_transformers.sentence_transformer import losses as theirs
from sentence_transformers.util import pairwise_cos_sim

from adapt.losses import ranking as ours

from .conftest import Given, features, same_value_and_gradients


def everything(rows, columns):
    return torch.ones(rows, columns, dtype=torch.bool)


def test_multiple_negatives_equals_sentence_transformers_where_no_document_repeats(vectors):
    a, p, n = vectors
    mine = ours.multiple_negatives(a, torch.cat([p, n]), torch.arange(6), everything(6, 12), scale=35.0)
    other = theirs.MultipleNegativesRankingLoss(Given(), scale=35.0)(features(vectors), None)
    same_value_and_gradients(mine, other, vectors)


def test_symmetric_multiple_negatives_equals_sentence_transformers(vectors):
    a, p, n = vectors
    mine = ours.multiple_negatives(a, torch.cat([p, n]), torch.arange(6), everything(6, 12), symmetric=True)
    both = {"directions": ("query_to_doc", "doc_to_query"), "partition_mode": "per_direction"}
    same_value_and_gradients(
        mine, theirs.MultipleNegativesRankingLoss(Given(), scale=20.0, **both)(features(vectors), None), vectors
    )


def test_a_masked_document_does_not_count(vectors):
    a, p, _ = vectors
    allowed = everything(6, 6)
    allowed[0, 3] = False
    masked = ours.multiple_negatives(a, p, torch.arange(6), allowed)
    cosines = 20 * torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(p, dim=1).T
    rows = [torch.logsumexp(cosines[i][allowed[i]], 0) - cosines[i, i] for i in range(6)]
    assert masked.item() == pytest.approx((sum(rows) / 6).item(), abs=1e-5)


def test_the_way_back_masks_every_anchor_that_the_document_is_right_for(vectors):
    """Rows 0 and 1 share a document; document 3 is right for anchor 2, too."""
    a, p, _ = vectors
    target, allowed = torch.tensor([0, 0, 2, 3, 4, 5]), everything(6, 6)
    allowed[2, 3] = False
    back = 2 * ours.multiple_negatives(a, p, target, allowed, symmetric=True) - ours.multiple_negatives(a, p, target, allowed)
    cosines = 20 * torch.nn.functional.normalize(a, dim=1) @ torch.nn.functional.normalize(p, dim=1).T
    right = {0: {0, 1}, 1: {0, 1}, 3: {2, 3}}
    rows = []
    for i in range(6):
        others = [j for j in range(6) if j == i or j not in right.get(i, {i})]
        rows.append(torch.logsumexp(cosines[others, target[i]], 0) - cosines[i, target[i]])
    assert back.item() == pytest.approx((sum(rows) / 6).item(), abs=1e-5)


def test_the_positive_counts_even_where_the_mask_forbids_it(vectors):
    a, p, _ = vectors
    assert ours.multiple_negatives(a, p, torch.arange(6), ~everything(6, 6)).item() == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.05, 0.5])
@pytest.mark.parametrize("how", ["absolute", "relative"])
def test_a_guide_masks_what_sentence_transformers_masks(vectors, how, margin):
    class Guide(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["guide"]}

    torch.manual_seed(5)
    guides = [torch.randn(6, 4) for _ in range(3)]
    gist = theirs.GISTEmbedLoss.__new__(theirs.GISTEmbedLoss)  # its __init__ wants tokenizers
    torch.nn.Module.__init__(gist)
    gist.model, gist.guide, gist.temperature, gist.must_retokenize = Given(), Guide(), 0.05, False
    gist.similarity_fct, gist.cross_entropy_loss = torch.nn.CosineSimilarity(dim=-1), torch.nn.CrossEntropyLoss()
    gist.margin_strategy, gist.margin, gist.gather_across_devices = how, margin, False
    gist.contrast_anchors = gist.contrast_positives = False
    other = gist([{"vectors": v, "guide": g} for v, g in zip(vectors, guides, strict=True)], None)

    a, p, n = vectors
    anchors, documents = (torch.nn.functional.normalize(v, dim=1) for v in (guides[0], torch.cat(guides[1:])))
    masked = ours.guide_positives(anchors @ documents.T, torch.arange(6), margin, relative=how == "relative")
    assert masked.any() and not masked.all()
    mine = ours.multiple_negatives(a, torch.cat([p, n]), torch.arange(6), ~masked, scale=20.0)
    same_value_and_gradients(mine, other, vectors)


def test_a_relative_margin_lies_below_a_negative_cosine_too():
    guide = torch.tensor([[-0.5, -0.51, -0.56, 0.1]])
    assert ours.guide_positives(guide, torch.tensor([0]), 0.1, relative=True).tolist() == [[False, True, False, True]]


def test_margin_mse_equals_sentence_transformers(vectors):
    margins = torch.tensor([0.9, -0.2, 0.0, 0.4, 0.1, 1.0])
    other = theirs.MarginMSELoss(Given(), similarity_fct=pairwise_cos_sim)(features(vectors), margins)
    same_value_and_gradients(ours.margin_mse(*vectors, margins), other, vectors)
