import numpy as np
import pytest
import torch

from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.records import Labelled, Pair, ScoredPair, Triplet
from adapt.training import ranking_data as module
from adapt.training.ranking_data import RankingData
from adapt.training.scored_data import ScoredPairData

ROWS = [
    Triplet("heart", "blood", ("lung", "Kidney.")),
    Triplet("Heart!", "kidney", ("skin",)),
    Pair("rash", "skin"),
    Triplet("cough", "lung", ("skin", "bone", "brain")),
]


@pytest.fixture
def ranked(embedder):
    return RankingData(load_encoder(embedder), ROWS, 32, negatives=5, grouped=False, seed=1)


def documents(ranked, batch):
    return [ranked.texts[i] for i in batch.documents]


def test_every_document_that_the_data_tie_to_an_anchor_is_masked(ranked):
    """Case and punctuation do not count: Heart! is heart, and Kidney. its positive, not its negative."""
    batch = ranked.batch(0, [0, 2, 3])
    texts = documents(ranked, batch)
    assert texts == ["blood", "skin", "lung", "Kidney.", "bone", "brain"]
    tied = {(i, texts[j]) for i, j in (~batch.allowed).nonzero().tolist()}
    assert tied == {(0, "blood"), (0, "Kidney."), (1, "skin"), (2, "lung")}
    assert [texts[j] for j in batch.target] == ["blood", "skin", "lung"]


def test_own_negatives_are_those_of_the_row_without_the_tied(ranked):
    batch = ranked.batch(0, [0, 3])
    texts = documents(ranked, batch)
    assert [(i, texts[j]) for i, j in zip(*map(torch.Tensor.tolist, batch.own), strict=True)] == [
        (0, "lung"), (1, "skin"), (1, "bone"), (1, "brain")
    ]  # fmt: skip


def test_ids_are_the_anchors_then_each_document_once(embedder, ranked):
    batch = ranked.batch(0, [0, 2, 3])
    assert batch.ids == token_ids(load_encoder(embedder), ["heart", "rash", "cough", *documents(ranked, batch)])


def test_negatives_are_drawn_anew_each_epoch_and_again_the_same(embedder):
    few = RankingData(load_encoder(embedder), ROWS, 32, negatives=1, grouped=False, seed=1)
    drawn = [few.batch(epoch, [3]).documents for epoch in range(20)]
    assert all(len(some) == 2 for some in drawn) and len(set(map(tuple, drawn))) == 3
    assert drawn == [few.batch(epoch, [3]).documents for epoch in range(20)]


def test_rows_of_one_anchor_or_one_positive_never_share_a_batch(embedder):
    rows = [Pair(f"anchor {i // 3}", f"positive {i % 40}") for i in range(120)]
    rows += [Pair(f"Anchor {i // 3}!", f"Positive, {i % 40}") for i in range(120)]
    data = RankingData(load_encoder(embedder), rows, 16, 0, False, seed=1)
    for batch in data.batches(range(240), 16, 0):
        assert len({(i % 120) // 3 for i in batch}) == len({(i % 120) % 40 for i in batch}) == len(batch)


def test_batches_of_some_rows_hold_those_rows_alone(ranked, embedder):
    assert sorted(i for batch in ranked.batches([1, 2, 3], 3, 0) for i in batch) == [1, 2, 3]
    rated = ScoredPairData(load_encoder(embedder), [ScoredPair("heart", "blood", i / 10) for i in range(10)], 16, seed=1)
    assert sorted(i for batch in rated.batches([9, 3, 5], 2, 0) for i in batch) == [3, 5, 9]


def test_rated_batches_hold_first_texts_then_their_partners(embedder):
    encoder = load_encoder(embedder)
    rows = [Labelled("heart falls", "blood", 2), Labelled("rash", "skin", 0)]
    batch = ScoredPairData(encoder, rows, 16, seed=1).batch(0, [1, 0])
    assert batch.ids == token_ids(encoder, ["rash", "heart falls", "skin", "blood"])
    assert batch.wanted.tolist() == [0, 2] and batch.wanted.dtype == torch.long


def test_a_guide_gives_its_cosines(embedder, ranked):
    ranked.add_guide(embedder, Job())
    batch = ranked.batch(0, [0, 2, 3])
    wanted = embed(embedder, ["heart", "rash", "cough"], Job()) @ embed(embedder, documents(ranked, batch), Job()).T
    np.testing.assert_allclose(batch.guide, wanted, atol=1e-6)


def test_a_teacher_gives_the_score_of_the_positive_less_that_of_the_negative(ranked, monkeypatch):
    def lengths(folder, pairs, job, label):
        return np.array([len(b) / 10 for _, b in pairs])

    monkeypatch.setattr(module, "predict", lengths)
    ranked.add_teacher("a folder", Job())
    batch = ranked.batch(0, [0, 3])  # blood less lung; lung less skin, bone, brain
    assert batch.margins.tolist() == pytest.approx([0.1, 0.0, 0.0, -0.1])
