"""Alignment of two languages: its losses against sentence-transformers, what it learns, and from whom."""

import random

import numpy as np
import pytest
import torch

from adapt import checks, stages
from adapt.errors import UserError
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.losses.alignment import to_teacher
from adapt.models.bi_encoder import load_encoder, save_encoder
from adapt.pipeline.measurements import BiEncoderModel
from adapt.records import Encoder, Parallel

from ..conftest import WORDS, sentence


@pytest.fixture
def parallel():
    """Another language: every word's neighbour in the list, in reverse order."""
    rng = random.Random(3)
    other = dict(zip(WORDS, [*WORDS[1:], WORDS[0]], strict=True))
    made = [sentence(rng, 5).lower().rstrip(".") for _ in range(48)]
    return [Parallel(text, " ".join(other[word] for word in reversed(text.split()))) for text in made]


def test_the_squared_error_agrees_with_sentence_transformers():
    from sentence_transformers.sentence_transformer.losses import MSELoss

    generator = torch.Generator().manual_seed(1)
    source, target, teacher = (torch.randn(7, 12, generator=generator) for _ in range(3))

    class Given(torch.nn.Module):
        """A model whose vectors are the features themselves."""

        def forward(self, features):
            return {"sentence_embedding": features["vectors"]}

    theirs = MSELoss(Given())([{"vectors": source}, {"vectors": target}], teacher)
    ours = to_teacher(source, target, teacher)
    assert float(ours) == pytest.approx(float(theirs), abs=1e-5)
    by_hand = (np.square(source - teacher).mean() + np.square(target - teacher).mean()) / 2
    assert float(ours) == pytest.approx(float(by_hand), abs=1e-6)


@pytest.mark.parametrize(("mse", "contrastive"), [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_alignment_teaches_which_sentence_is_whose_translation(embedder, parallel, mse, contrastive):
    check, job = checks.find("translation"), Job(1)
    stage = stages.find("align")(mse_weight=mse, contrastive_weight=contrastive, epochs=15, batch_size=16, learning_rate=2e-3)
    made = stage.run(Encoder(embedder), parallel, job)
    before, after = (check.measure(parallel, BiEncoderModel(folder, Job())).metrics["accuracy"] for folder in (embedder, made.path))
    assert after > before + 0.1 and job.counts["last_loss"] < job.counts["first_loss"]


def test_squared_error_holds_the_models_own_language_in_place(embedder, parallel):
    """The teacher is the initial model: sentences of its own language stay nearer to where they were."""
    sources = [row.source for row in parallel]
    base, moved = embed(embedder, sources, Job()), {}
    for mse, contrastive in ((1.0, 0.0), (0.0, 1.0)):
        stage = stages.find("align")(mse_weight=mse, contrastive_weight=contrastive, epochs=10, batch_size=16, learning_rate=2e-3)
        made = stage.run(Encoder(embedder), parallel, Job(1))
        moved[mse] = 1 - float((embed(made.path, sources, Job()) * base).sum(1).mean())
    assert 0 < moved[1.0] < 0.5 * moved[0.0]


def test_retention_holds_both_languages_in_place(embedder, parallel):
    texts = [text for row in parallel for text in (row.source, row.target)]
    base, moved = embed(embedder, texts, Job()), {}
    for retain in (0.0, 100.0):
        stage = stages.find("align")(retain=retain, epochs=10, batch_size=16, learning_rate=2e-3)
        made = stage.run(Encoder(embedder), parallel, Job(1))
        moved[retain] = 1 - float((embed(made.path, texts, Job()) * base).sum(1).mean())
    assert moved[0.0] > 0.05 and moved[100.0] < 0.2 * moved[0.0]


def test_another_teacher_is_followed_where_one_is_named(embedder, parallel, tmp_path):
    model = load_encoder(embedder)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9)))
    teacher = Encoder(save_encoder(model, tmp_path / "teacher"))
    targets = [row.target for row in parallel]
    wanted = embed(teacher.path, [row.source for row in parallel], Job())
    stage = stages.find("align")(contrastive_weight=0.0, epochs=15, batch_size=16, learning_rate=2e-3)
    nearness = []
    for named in ({}, {"teacher": teacher}):
        made = stage.run(Encoder(embedder), parallel, Job(1), **named)
        nearness.append(float((embed(made.path, targets, Job()) * wanted).sum(1).mean()))
    assert nearness[1] > nearness[0] + 0.05


def test_settings_and_rows_that_teach_nothing_are_refused(embedder):
    assert stages.find("align")(mse_weight=0, contrastive_weight=0).problems({})
    with pytest.raises(UserError, match="no batch of two different sentences"):
        stages.find("align")().run(Encoder(embedder), [Parallel("heart", "x"), Parallel("heart", "y")], Job())
