"""Embedding denoising: what it learns, what it does not change, and what it refuses."""

import json

import numpy as np
import pytest
from safetensors.torch import load_file

from adapt import stages
from adapt.errors import UserError
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder
from adapt.records import Encoder, Text
from adapt.training import loop

EmbeddingDenoising = stages.find("embedding-denoising")
SETTINGS = {"batch_size": 8, "learning_rate": 1e-3}


@pytest.fixture
def many(texts):
    """Each sentence of the texts as a text."""
    return [Text(f"{t.id}-{i}", part) for t in texts for i, part in enumerate(t.text.split(". "))]


def test_the_distance_to_the_denoised_vectors_falls(embedder, many):
    job = Job(1)
    EmbeddingDenoising(**SETTINGS, epochs=15).run(Encoder(embedder), many, job)
    assert job.counts["last_loss"] < 0.6 * job.counts["first_loss"] and job.counts["texts"] == len(many)


def test_the_architecture_stays_and_the_weights_move(embedder, many):
    made = EmbeddingDenoising(**SETTINGS, max_steps=3).run(Encoder(embedder), many, Job(1))
    before, after = (load_file(folder / "model.safetensors") for folder in (embedder, made.path))
    assert {name: value.shape for name, value in before.items()} == {name: value.shape for name, value in after.items()}
    assert any(not np.array_equal(before[name], after[name]) for name in before)
    assert json.loads((made.path / "modules.json").read_text()) == json.loads((embedder / "modules.json").read_text())
    assert load_encoder(made.path)[1].pooling_mode == "mean"


def test_a_strong_ridge_teaches_what_the_base_gives_already(embedder, many):
    losses = {}
    for ridge in (0.1, 1e6):
        job = Job(1)
        EmbeddingDenoising(**SETTINGS, ridge=ridge, max_steps=1).run(Encoder(embedder), many, job)
        losses[ridge] = job.counts["first_loss"]
    assert losses[1e6] == pytest.approx(0, abs=1e-6) and losses[0.1] > 1e-3


def test_texts_are_read_whole_and_cut_at_max_length_unless_sentences_are_asked_for(embedder, texts):
    for settings, unit, count in (({}, "texts", 20), ({"unit": "sentence"}, "sentences", 60)):
        job = Job(1)
        EmbeddingDenoising(**SETTINGS, max_length=12, max_steps=1, **settings).run(Encoder(embedder), texts, job)
        assert job.counts[unit] == count
    job = Job(1)
    tsdae = stages.find("tsdae")(unit="text", max_steps=1, decoder={"layers": 1})
    tsdae.run(Encoder(embedder), [*texts, Text("x", texts[0].text)], job)
    assert job.counts["texts"] == 20 and job.counts["duplicates"] == 1


def test_retention_holds_the_vectors_of_clean_texts(embedder, many):
    losses = {}
    for retain in (0.0, 50.0):
        job = Job(1)
        EmbeddingDenoising(**SETTINGS, epochs=2, retain=retain).run(Encoder(embedder), many, job)
        losses[retain] = job.counts["last_loss"]
    assert losses[0.0] != losses[50.0]


def test_a_killed_run_goes_on_to_the_same_bits_and_another_seed_makes_others(embedder, many, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    stage = EmbeddingDenoising(**SETTINGS, epochs=2, dropout=0.1)

    def go(name, seed=1, listener=lambda event: None):
        out, work = tmp_path / f"{name}-out", tmp_path / name
        out.mkdir(exist_ok=True)
        work.mkdir(exist_ok=True)
        made = stage.run(Encoder(embedder), many, Job(seed, out, work, listener))
        return (made.path / "model.safetensors").read_bytes()

    def interrupt(event):
        if event.kind == "progress" and event.text == "embedding-denoising" and event.data["done"] >= 60:
            raise KeyboardInterrupt

    whole = go("whole")
    with pytest.raises(KeyboardInterrupt):
        go("cut", listener=interrupt)
    assert (tmp_path / "cut" / "checkpoint.pt").is_file()
    assert go("cut") == whole != go("other", seed=2)


def test_held_out_texts_choose_the_weights(embedder, many):
    job = Job(1)
    EmbeddingDenoising(**SETTINGS, early_stopping={"held_out": 0.2}, epochs=5).run(Encoder(embedder), many, job)
    assert 0 < job.counts["held_out_loss"] < job.counts["first_loss"]


def test_a_plain_language_model_and_texts_too_short_are_refused(language_model, embedder, texts):
    with pytest.raises(UserError, match=r"plain language model.*use tsdae"):
        EmbeddingDenoising().run(Encoder(language_model), texts, Job())
    assert "use tsdae" in EmbeddingDenoising(base_type="language-model").problems({})[0]
    with pytest.raises(UserError, match=r"contain 0 texts of 5 words or more.*lower min_words"):
        EmbeddingDenoising().run(Encoder(embedder), [Text("1", "Too short.")], Job())
