import json
import os

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from adapt.errors import UserError
from adapt.inference.batching import length_groups
from adapt.inference.encoding import embed, forward
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, save_encoder, token_ids
from adapt.models.interpolation import interpolate

from ..conftest import tolerance

TEXTS = ["The heart helps.", "Fever.", "A mild rash and a cough after the tablet in the morning.", "Fever.", "Kidney dose falls."]


def test_embed_equals_sentence_transformers(embedder):
    wanted = SentenceTransformer(str(embedder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embed(embedder, TEXTS, Job()), wanted, atol=tolerance(1e-6, 1e-3))


def test_vectors_are_kept_by_model_and_text(embedder, tmp_path, monkeypatch):
    job = Job(embedding_cache=tmp_path)
    first = embed(embedder, TEXTS[:3], job)
    monkeypatch.setattr("adapt.inference.encoding._embeddings", None)  # nothing may be encoded again
    assert (embed(embedder, TEXTS[:3][::-1], job) == first[::-1]).all()


def test_texts_are_read_a_part_at_a_time_to_the_same_vectors(embedder, monkeypatch):
    whole = embed(embedder, TEXTS, Job())
    monkeypatch.setattr("adapt.inference.encoding.TOKENIZE_CHUNK", 2)
    np.testing.assert_allclose(embed(embedder, TEXTS, Job()), whole, atol=1e-6)


def test_forward_keeps_order_and_gradients(embedder):
    model = load_encoder(embedder)
    ids = token_ids(model, TEXTS)
    together, apart = forward(model, ids, budget=10_000), forward(model, ids, budget=1)
    torch.testing.assert_close(together, apart, atol=1e-6, rtol=1e-5)
    assert together.requires_grad


def test_groups_of_like_length_stay_within_the_budget():
    lengths = [5, 30, 7, 30, 2, 100]
    groups = length_groups(lengths, 64)
    assert sorted(i for g in groups for i in g) == list(range(6))
    assert all(len(g) == 1 or max(lengths[i] for i in g) * len(g) <= 64 for g in groups)


def test_a_plain_language_model_gets_the_cls_vector(language_model):
    model = load_encoder(language_model)
    states = model[0].auto_model(**model.tokenizer(TEXTS[:1], return_tensors="pt")).last_hidden_state
    torch.testing.assert_close(forward(model, token_ids(model, TEXTS[:1])), states[:, 0])


@pytest.mark.parametrize("base", ["embedder", "language_model"])
def test_a_saved_model_loads_the_same_and_in_the_spelling_that_older_servers_read(base, tmp_path, request):
    model = load_encoder(request.getfixturevalue(base))
    folder = save_encoder(model, tmp_path / "saved")
    again = SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), model.encode(TEXTS), atol=tolerance(1e-6, 5e-3))
    assert [m.__class__.__name__ for m in again] == [m.__class__.__name__ for m in model]
    assert again.max_seq_length == model.max_seq_length
    modules = json.loads((folder / "modules.json").read_text())
    assert all(m["type"].startswith("sentence_transformers.models.") for m in modules)
    assert "pooling_mode_mean_tokens" in json.loads((folder / "1_Pooling" / "config.json").read_text())
    assert all(os.stat(f).st_mode & 0o044 == 0o044 for f in folder.rglob("*") if f.is_file())
    assert not list(folder.rglob("*.bin"))


def test_blending_moves_every_weight_by_the_share(embedder, tmp_path):
    other = load_encoder(embedder)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(1.0)
    save_encoder(other, tmp_path / "other")
    blended = load_encoder(interpolate(embedder, tmp_path / "other", 0.25, tmp_path / "blended"))
    for old, new in zip(load_encoder(embedder).parameters(), blended.parameters(), strict=True):
        torch.testing.assert_close(new, old + 0.25)


def test_prompts_stand_before_queries_and_documents(embedder):
    model = load_encoder(embedder)
    model.prompts = {"query": "heart ", "document": "skin "}
    plain = token_ids(model, ["rash"])[0]
    assert len(token_ids(model, ["rash"], "query")[0]) == len(plain) + 1
    assert token_ids(model, ["rash"], "query") != token_ids(model, ["rash"], "document")


def test_a_folder_without_a_model_is_a_user_error(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds no model"):
        load_encoder(tmp_path)


def test_a_folder_that_is_replaced_is_opened_anew(embedder, tmp_path):
    folder = save_encoder(load_encoder(embedder), tmp_path / "model")
    before = embed(folder, TEXTS[:1], Job())
    other = load_encoder(embedder)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)
    save_encoder(other, folder)
    assert np.abs(embed(folder, TEXTS[:1], Job()) - before).max() > 1e-4
