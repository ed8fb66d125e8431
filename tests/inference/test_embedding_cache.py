"""What is kept is given back for the same weights and the same text, and for nothing else."""

import json

import numpy as np
import pytest

from adapt.inference import embedding_cache
from adapt.inference.embedding_cache import EmbeddingCache, cached_embeddings, prepend_prompt
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, token_ids

TEXTS = ["heart pain", "a red rash", "heart pain", ""]


def rows(count, seed):
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)


def test_vectors_come_back_in_the_order_asked_from_any_number_of_segments(embedder, tmp_path):
    first, second, third = rows(3, 1), rows(2, 2), rows(1, 3)
    store = EmbeddingCache(embedder, tmp_path)
    assert store.missing(["a", "b", "a"]) == ["a", "b"]
    store.put(["a", "b"], first[:2])
    store.put(["c"], first[2:])
    store.save()
    store.put(["d", "e"], second)
    np.testing.assert_array_equal(store.get(["e", "a", "d"]), [second[1], first[0], second[0]])
    store.save()
    store.save()
    again = EmbeddingCache(embedder, tmp_path)
    assert again.missing(["e", "f", "a", "g", "f"]) == ["f", "g"]
    np.testing.assert_array_equal(again.get(["c", "e", "c", "b"]), [first[2], second[1], first[2], first[1]])
    again.put(["f"], third)
    again.save()
    assert len(list(tmp_path.rglob("*.segment.npy"))) == 3
    np.testing.assert_array_equal(EmbeddingCache(embedder, tmp_path).get(["f", "a"]), [third[0], first[0]])


@pytest.mark.parametrize("hurt", ["flip head", "flip row", "cut", "empty"])
def test_a_damaged_segment_is_deleted_told_and_its_texts_are_missing(embedder, tmp_path, hurt):
    first, second = rows(2, 1), rows(1, 2)
    store = EmbeddingCache(embedder, tmp_path)
    store.put(["a", "b"], first)
    store.save()
    store.put(["c"], second)
    store.save()
    file = max(tmp_path.rglob("*.segment.npy"), key=lambda file: file.stat().st_size)
    content = bytearray(file.read_bytes())
    if hurt.startswith("flip"):
        content[20 if hurt == "flip head" else -7] ^= 4
    file.write_bytes({"cut": content[:-5], "empty": b""}.get(hurt, content))
    again, notes = EmbeddingCache(embedder, tmp_path), []
    assert again.missing(["a", "c"]) == ["a"] and not file.exists()
    np.testing.assert_array_equal(again.get(["c"]), second)
    embedding_cache.report_problems(Job(listener=lambda event: notes.append(event.text)))
    assert len(notes) == 1 and file.name in notes[0] and "damaged" in notes[0]
    again.put(["a", "b"], first)
    again.save()
    assert not EmbeddingCache(embedder, tmp_path).missing(["a", "b", "c"]) and file.is_file()


def test_files_of_writers_that_are_not_done_are_no_segments(embedder, tmp_path):
    store = EmbeddingCache(embedder, tmp_path)
    store.put(["a"], rows(1, 1))
    store.save()
    (file,) = tmp_path.rglob("*.segment.npy")
    for name in (".77-1.npy", f".{file.name}", "half.npy", "half.texts.npy"):
        file.with_name(name).write_bytes(b"half")
    assert EmbeddingCache(embedder, tmp_path).missing(["a", "b"]) == ["b"] and not embedding_cache.problems


def test_vectors_that_cannot_be_kept_stay_in_memory_and_it_is_told(embedder, tmp_path):
    (tmp_path / "file").write_text("")
    store = EmbeddingCache(embedder, tmp_path / "file")
    store.put(["a"], rows(1, 1))
    store.save()
    np.testing.assert_array_equal(store.get(["a"]), rows(1, 1))
    notes = []
    embedding_cache.report_problems(Job(listener=lambda event: notes.append(event.text)))
    assert len(notes) == 1 and "can't be cached" in notes[0] and not embedding_cache.problems


def test_another_model_and_another_way_of_making_them_have_vectors_of_their_own(embedder, language_model, tmp_path):
    store = EmbeddingCache(embedder, tmp_path)
    store.put(["a"], rows(1, 1))
    store.save()
    assert not EmbeddingCache(embedder, tmp_path).missing(["a"])
    assert EmbeddingCache(language_model, tmp_path).missing(["a"]) and EmbeddingCache(embedder, tmp_path, "-int8").missing(["a"])


def test_kept_vectors_are_the_encoders_own_and_need_all_texts(embedder, tmp_path):
    job = Job(embedding_cache=tmp_path)
    found = embed(embedder, TEXTS, job)
    np.testing.assert_array_equal(cached_embeddings(embedder, TEXTS, tmp_path), found)
    np.testing.assert_array_equal(
        cached_embeddings(embedder, TEXTS, tmp_path, "query"), found
    )  # without prompts a role makes no difference
    assert cached_embeddings(embedder, [*TEXTS, "new"], tmp_path) is None and cached_embeddings(embedder, TEXTS, None) is None


def test_a_prompt_is_part_of_the_text(embedder, tmp_path):
    model = load_encoder(embedder)
    model.prompts = {"query": "find: ", "document": "", "other": "any: "}
    model.default_prompt_name = "other"
    model.save_pretrained(str(tmp_path / "model"))
    folder = tmp_path / "model"
    assert prepend_prompt(folder, ["rash"], "query") == ["find: rash"] and prepend_prompt(folder, ["rash"], "") == ["any: rash"]
    found = embed(folder, ["rash"], Job(embedding_cache=tmp_path), "query")
    assert cached_embeddings(folder, ["rash"], tmp_path) is None
    np.testing.assert_array_equal(cached_embeddings(folder, ["rash"], tmp_path, "query"), found)
    for role in ("query", "document", ""):  # what is looked up is what the model itself is given
        assert token_ids(load_encoder(folder), ["rash"], role) == token_ids(model, ["rash"], role)
        given = prepend_prompt(folder, ["rash"], role)
        assert model.tokenizer(given)["input_ids"] == token_ids(model, ["rash"], role)
    settings = folder / embedding_cache.ST_CONFIG
    settings.write_text(json.dumps({}))
    assert prepend_prompt(folder, ["rash"], "query") == ["rash"]
