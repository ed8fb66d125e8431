"""A text is encoded once per model: checks, mining, the gate, the report and later commands share its embedding."""

from collections import Counter

import pytest

import adapt
from adapt import checks
from adapt.errors import UserError
from adapt.inference import cache_folder
from adapt.inference.embedding_cache import EmbeddingCache
from adapt.pipeline.inference import search_file
from adapt.pipeline.measurements import measure_all, measure_each
from adapt.runtime.precision import resolve


@pytest.fixture
def encoded(monkeypatch):
    """(where the vector is kept, text) of everything that a model encodes, in order."""
    seen = []
    keep = EmbeddingCache.put

    def noted(self, texts, vectors):
        seen.extend((self.folder, text) for text in texts)
        keep(self, texts, vectors)

    monkeypatch.setattr(EmbeddingCache, "put", noted)
    return seen


def test_a_run_encodes_each_text_once_for_checks_mining_gate_and_report(recipe_file, domain, tmp_path, encoded, monkeypatch):
    monkeypatch.setattr(
        "adapt.checks.speed.measure",
        lambda *_: {"latency_ms_p50": 1.0, "latency_ms_p95": 1.0, "texts_per_second": 1.0, "dimensions": 8.0},
    )
    (domain / "test" / "qrels" / "dev.tsv").write_text((domain / "test" / "qrels" / "test.tsv").read_text())
    recipe = adapt.load_recipe(str(recipe_file), ["checks.transfer-retrieval={dev: test, test: test, role: guard}"])
    adapt.run(recipe, tmp_path / "out")
    assert len(encoded) > 100 and all(file is not None for file, _ in encoded)
    twice = [entry for entry, count in Counter(encoded).items() if count > 1]
    assert not twice
    before = len(encoded)
    adapt.run(recipe, tmp_path / "out")
    assert len(encoded) == before


def test_measuring_again_by_hand_encodes_nothing(domain, embedder, encoded):
    said = []
    wanted = {"retrieval": ("retrieval", str(domain / "test")), "sts": ("sts", str(domain / "sts-test.csv"))}
    first = measure_all(str(embedder), wanted, "test", said.append)
    assert len(encoded) == len(set(encoded)) > 40
    sizes = [event.text for event in said if event.kind == "note"]
    assert len(sizes) == 1 and str(cache_folder.cache_root()) in sizes[0] and "MB" in sizes[0]
    encoded.clear()
    again = measure_all(str(embedder), wanted, "test", said.append)
    assert not encoded and again == first and len([e for e in said if e.kind == "note"]) == 1


def test_two_models_share_the_data_that_are_read_and_a_missing_one_is_told_first(
    domain, embedder, language_model, encoded, monkeypatch
):
    reads = []
    check = checks.find("retrieval")
    read = type(check).read
    monkeypatch.setattr(type(check), "read", lambda self, *which: reads.append(which) or read(self, *which))
    wanted = {"retrieval": ("retrieval", str(domain / "test"))}
    first, second = measure_each([str(embedder), str(language_model)], wanted, "test")
    assert len(reads) == 1 and first["retrieval"].items != second["retrieval"].items
    encoded.clear()
    with pytest.raises(UserError, match="not found"):
        measure_each([str(embedder), str(domain / "no-model")], wanted, "dev")
    assert not encoded


def test_an_empty_name_keeps_no_vectors(domain, embedder, encoded, monkeypatch):
    monkeypatch.setenv("ADAPT_CACHE", "")
    wanted = {"sts": ("sts", str(domain / "sts-test.csv"))}
    measure_all(str(embedder), wanted, "test")
    count = len(encoded)
    measure_all(str(embedder), wanted, "test")
    assert len(encoded) == 2 * count and cache_folder.cache_root() is None and cache_folder.size() == 0


def test_a_folder_that_can_not_be_written_keeps_no_vectors(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ADAPT_CACHE", str(tmp_path / "file"))
    assert cache_folder.embeddings_folder() is None


def test_without_a_name_the_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("ADAPT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder.cache_root() == tmp_path / "adapt"
    assert cache_folder.embeddings_folder() == tmp_path / "adapt" / "vectors" / f"cpu-{resolve()}"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder.cache_root() == tmp_path / ".cache" / "adapt"


def test_a_second_search_encodes_the_query_alone(domain, embedder, encoded):
    first = search_file(str(embedder), str(domain / "texts.jsonl"), "heart pain", 3, lambda event: None)
    assert len(encoded) == 31
    again = search_file(str(embedder), str(domain / "texts.jsonl"), "heart pain", 3, lambda event: None)
    assert len(encoded) == 32 and again == first
