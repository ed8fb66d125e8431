"""A model whose settings keep its first dimensions alone gives the embeddings that sentence-transformers gives for its folder."""

import json
import shutil

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from adapt.inference.encoding import embed, forward
from adapt.job import Job
from adapt.models import lookup
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.pipeline.inference import embed_file, search_file
from adapt.pipeline.measurements import BiEncoderModel
from adapt.records import Encoder, Pair
from adapt.stages.finetune import Finetune

from .. import tiny
from ..conftest import tolerance
from . import damages

TEXTS = ["fever and cough", "a tablet in the morning", "severe pain after injection", "cream", "rash on the left"]
MODELS = {
    "unit": {},
    "not unit": {"unit": False},
    "dot product": {"unit": False, "similarity_fn_name": "dot"},
    "dense": {"dense": 24},
    "prompts": {"prompts": {"query": "is it ", "document": ""}},
}


def shortened(folder, where, dim):
    shutil.copytree(folder, where)
    damages.settings("config_sentence_transformers.json", truncate_dim=dim)(where)
    return where


@pytest.fixture(params=[*MODELS, "static"])
def whole(request, language_model, tmp_path):
    if request.param == "static":
        return tiny.static(tmp_path / "whole")
    return tiny.embedder(language_model, tmp_path / "whole", **MODELS[request.param])


@pytest.mark.parametrize("dim", [2, 8, 23, 1_000])
@pytest.mark.parametrize("role", ["", "query"])
def test_embeddings_are_those_of_sentence_transformers(whole, tmp_path, dim, role):
    folder = shortened(whole, tmp_path / "short", dim)
    reference = SentenceTransformer(str(folder), device="cpu")
    for unit in (True, False):
        name = role if role in reference.prompts else None
        wanted = reference.encode(TEXTS, normalize_embeddings=unit, prompt_name=name)
        found = embed(folder, TEXTS, Job(embedding_cache=tmp_path / "kept"), role, normalize=unit)
        again = embed(folder, TEXTS, Job(embedding_cache=tmp_path / "kept"), role, normalize=unit)
        assert found.shape == wanted.shape == (5, min(dim, found.shape[1]))
        np.testing.assert_allclose(found, wanted, atol=tolerance(1e-6, 2e-2) * max(1, np.abs(wanted).max()))
        assert np.array_equal(found, again)


def test_kept_vectors_of_the_whole_model_are_not_taken_for_truncated_ones(embedder, tmp_path):
    kept, folder = tmp_path / "kept", shortened(embedder, tmp_path / "short", 8)
    assert embed(embedder, TEXTS, Job(embedding_cache=kept)).shape[1] == 32
    assert (
        embed(folder, TEXTS, Job(embedding_cache=kept)).shape[1]
        == 8
        == BiEncoderModel(folder, Job(embedding_cache=kept)).embed(TEXTS).shape[1]
    )
    assert lookup.weights_digest(folder) != lookup.weights_digest(shortened(embedder, tmp_path / "other", 9))
    assert lookup.embedding_dimension(folder) == 8 and lookup.embedding_dimension(embedder) == 32


def test_files_hold_truncated_vectors_and_that_is_said(embedder, tmp_path):
    folder, texts, told = shortened(embedder, tmp_path / "short", 8), tmp_path / "texts.txt", []
    texts.write_text("\n".join(TEXTS))
    assert embed_file(str(folder), str(texts), tmp_path / "x.npy", lambda event: told.append(event.text)) == (5, 8)
    reference = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(np.load(tmp_path / "x.npy"), reference, atol=tolerance(1e-6, 2e-2))
    assert [text for text in told if f"{folder}: its embeddings are truncated to 8 dimensions" in text]
    score, best = search_file(str(folder), str(texts), TEXTS[2], 1, lambda event: None)[0]
    assert best.text == TEXTS[2] and score == pytest.approx(1, abs=tolerance(1e-5, 1e-2))


PAIRS = [Pair(f"{text} {word}", f"{word} {text} in the night") for text in TEXTS for word in ("mild", "slow", "child")]
TRAINED = {
    "mnrl": (Finetune(batch_size=4, max_steps=2), {"examples": PAIRS}),
    "cached": (Finetune(batch_size=4, max_steps=2, token_budget=64), {"examples": PAIRS}),
    "matryoshka": (Finetune(batch_size=4, max_steps=2, matryoshka=(4,)), {"examples": PAIRS}),
    "retain": (Finetune(batch_size=4, max_steps=2, retain=1.0), {"examples": PAIRS}),
}


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_keeps_the_truncation_and_trains_what_is_used(embedder, tmp_path, name):
    stage, inputs = TRAINED[name]
    folder = shortened(embedder, tmp_path / "short", 8)
    made = stage.run(model=Encoder(folder), job=Job(), **inputs)
    assert json.loads((made.path / "config_sentence_transformers.json").read_text())["truncate_dim"] == 8
    before, after = (embed(path, TEXTS, Job()) for path in (folder, made.path))
    assert after.shape == (5, 8) and not np.allclose(before, after, atol=1e-4)


def test_the_loss_sees_the_dimensions_that_are_used_alone(embedder, tmp_path):
    model = load_encoder(shortened(embedder, tmp_path / "short", 8))
    found = forward(model, token_ids(model, TEXTS))
    whole = load_encoder(embedder)
    wanted = forward(whole, token_ids(whole, TEXTS))
    assert found.shape == (5, 8) and bool((found == wanted[:, :8]).all())
