"""int8 inference compared with fp32, on the tiny model and on the bundled one."""

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.stats import spearmanr

from adapt import stages
from adapt.cli import cli
from adapt.errors import UserError
from adapt.inference import encoding, scoring
from adapt.inference.encoding import embed
from adapt.inference.scoring import predict, quantize_cross_encoder
from adapt.job import Job
from adapt.models import int8, lookup
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.records import CrossEncoder, Encoder, Pair, Text

from ..conftest import sentence

MEDICAL = Path(__file__).parents[2] / "corpora" / "medical"


@pytest.fixture
def few(monkeypatch):
    """int8 is used however few the texts."""
    monkeypatch.setattr(int8, "MIN_TEXTS", 1)
    monkeypatch.setattr(int8, "CALIBRATION_TEXTS", 8)
    monkeypatch.setattr(int8, "VALIDATION_TEXTS", 24)


@pytest.fixture
def backend(few):
    """OpenVINO and NNCF; not by importorskip, which would have the former send word of it."""
    if int8.missing_packages():
        pytest.skip(int8.missing_packages())


class Rounded:
    """Stands for a body in int8: its outputs are rounded to a step that depends on what it was calibrated on."""

    def __init__(self, transformer, streams, calibration):
        self.transformer = transformer
        self.step = 1e-3 + 1e-8 * sum(float(features["input_ids"].sum()) for features in calibration)

    def __call__(self, features):
        return (self.transformer(**features, return_dict=False)[0] / self.step).round() * self.step


@pytest.fixture
def rounded(few, monkeypatch):
    monkeypatch.setattr(int8, "QuantizedTransformer", Rounded)
    monkeypatch.setattr(int8, "missing_packages", lambda: "")


@pytest.fixture
def said():
    """What a job has noted."""
    return []


@pytest.fixture
def job(tmp_path, said):
    return Job(
        seed=2, embedding_cache=tmp_path / "vectors", listener=lambda event: event.kind == "note" and said.append(event.text)
    )


@pytest.fixture
def labeller(language_model, tmp_path, monkeypatch):
    """A cross-encoder with random weights, large enough that scores differ. It loses more to rounding than a trained one."""
    reader = CrossEncoderModel(language_model, new_head_seed=0)
    for name, weights in reader.named_parameters():
        weights.data *= 60 if "classifier.weight" in name else 8 if weights.ndim == 2 and "pooler" not in name else 1
    reader.save(tmp_path / "labeller")
    monkeypatch.setattr(int8, "MIN_SPEARMAN", 0.95)
    return tmp_path / "labeller"


TEXTS = [sentence(random.Random(number), 3 + number % 9) for number in range(40)]


def kinds(job):
    """How the cached embeddings were computed: "" for the default."""
    return sorted(place.name.partition("-")[2] for place in job.embedding_cache.iterdir())


def test_vectors_in_int8_are_near_those_in_fp32_and_their_cosines_rank_alike(embedder, backend, job, said):
    whole, small = embed(embedder, TEXTS, Job()), embed(embedder, TEXTS, job, precision="int8")
    assert small.dtype == np.float32 and small.shape == whole.shape
    np.testing.assert_allclose(np.linalg.norm(small, axis=1), 1, atol=1e-5)
    assert 0.99 < (whole * small).sum(1).min() < 1 - 1e-6  # near, and not the same
    pairs = np.triu_indices(len(TEXTS), 1)
    assert spearmanr((whole @ whole.T)[pairs], (small @ small.T)[pairs]).statistic > int8.MIN_SPEARMAN
    assert len(said) == 1 and said[0].startswith("int8 inference: Spearman of cosines with fp32 0.99")


@pytest.mark.slow
def test_the_bundled_model_keeps_its_cosines_in_int8(backend, job, said, monkeypatch):
    monkeypatch.setattr(int8, "VALIDATION_TEXTS", 40)
    rows = [json.loads(line)["text"] for line in (MEDICAL / "passages.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [" ".join(row.split()[: 5 + 7 * (number % 9)]) for number, row in enumerate(rows[:90])]
    base = lookup.find_model("all-MiniLM-L6-v2")
    whole, small = embed(base, texts, Job()), embed(base, texts, job, precision="int8")
    assert said[0].startswith("int8 inference: ")
    assert (whole * small).sum(1).min() > 0.98
    pairs = np.triu_indices(len(texts), 1)
    assert spearmanr((whole @ whole.T)[pairs], (small @ small.T)[pairs]).statistic >= 0.99


def test_scores_in_int8_are_near_those_in_fp32(labeller, backend, job, said):
    rng = random.Random(4)
    pairs = [(sentence(rng, rng.randint(3, 12)), sentence(rng)) for _ in range(60)]
    small = quantize_cross_encoder(labeller, pairs[:32], len(pairs), job)
    assert small and said[0].startswith("int8 inference: Spearman of scores with fp32 0.9")
    whole, found = predict(labeller, pairs, job), predict(labeller, pairs, job, quantized=small)
    assert spearmanr(whole, found).statistic > int8.MIN_SPEARMAN
    assert 1e-6 < np.abs(whole - found).mean() < 0.1 * np.ptp(whole)


def test_below_the_gate_fp32_reads_and_a_note_says_the_number(embedder, labeller, rounded, job, said, monkeypatch):
    monkeypatch.setattr(int8, "MIN_SPEARMAN", 1.1)
    np.testing.assert_array_equal(embed(embedder, TEXTS, job, precision="int8"), embed(embedder, TEXTS, Job()))
    assert "Spearman of cosines with fp32 is " in said[0] and said[0].endswith("below 1.1; using fp32")
    assert kinds(job) == [""]
    assert quantize_cross_encoder(labeller, list(zip(TEXTS[:32], TEXTS[8:], strict=False)), 32, job) is None


def test_vectors_in_int8_stand_apart_and_no_check_reads_them(embedder, rounded, job):
    small = embed(embedder, TEXTS, job, precision="int8")
    assert [kind.startswith("int8-") for kind in kinds(job)] == [True]
    whole = embed(embedder, TEXTS, job)
    np.testing.assert_array_equal(whole, embed(embedder, TEXTS, Job()))
    assert len(kinds(job)) == 2 and np.abs(whole - small).max() > 1e-5
    np.testing.assert_array_equal(embed(embedder, TEXTS, job, precision="int8"), whole)  # fp32's, now that they stand


def test_vectors_that_stand_are_read_back_and_nothing_is_quantised_again(embedder, rounded, job, monkeypatch):
    small = embed(embedder, TEXTS, job, precision="int8")
    monkeypatch.setattr(encoding, "_quantized", None)
    np.testing.assert_array_equal(embed(embedder, TEXTS[::-1], job, precision="int8"), small[::-1])  # the order does not matter


def test_a_sample_depends_on_the_texts_and_not_on_their_order():
    texts = [f"text {number}" for number in range(2_000)]
    found = int8.calibration_texts(texts)
    assert len(set(found)) == len(found) == int8.CALIBRATION_TEXTS + int8.VALIDATION_TEXTS
    assert int8.calibration_texts([*texts[::-1], *texts[:9]]) == found
    assert int8.cache_suffix(texts) == int8.cache_suffix(texts[::-1]) != int8.cache_suffix(texts[:1_000])


def test_few_texts_and_other_devices_are_read_as_ever(embedder, job, said, monkeypatch):
    monkeypatch.setattr(int8, "missing_packages", lambda: "")
    embed(embedder, TEXTS, job, precision="int8")
    assert said == ["int8 inference pays from 5,000 texts on: these 40 are computed in fp32"] and kinds(job) == [""]
    monkeypatch.setattr("adapt.runtime.device.device", lambda: torch.device("cuda"))
    assert int8.quantize(torch.nn.Linear(1, 1), 1, 10_000, job, list, list, "cosines") is None
    assert said[1] == "int8 inference is for CPUs: not used on cuda"


def test_a_model_that_can_not_be_converted_is_read_in_fp32(backend, job, said):
    rows = [{"input_ids": torch.ones(1, 3, dtype=torch.int64)}]
    assert int8.quantize(torch.nn.Linear(1, 1), 1, 10_000, job, lambda: rows, list, "cosines") is None
    assert said[0].startswith("int8: this model can't be converted (") and said[0].endswith("); using fp32")


def test_where_the_backend_is_not_installed_every_way_to_ask_says_what_to_install(embedder, domain, job, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("openvino", "nncf") else found(name))
    for name in ("silver", "mine"):
        wrong = stages.find(name)(precision="int8").problems({"model": "encoder"})
        assert wrong == ["precision int8 needs openvino and nncf: pip install 'adapt-embeddings[int8]', or use precision auto"]
        assert not stages.find(name)().problems({"model": "encoder"})
    with pytest.raises(UserError, match="pip install 'adapt-embeddings"):
        embed(embedder, TEXTS, job, precision="int8")
    texts = str(domain / "texts.jsonl")
    for command in (["embed", "--texts", texts, "--out", "v.npy"], ["search", "--corpus", texts, "heart"]):
        result = CliRunner().invoke(cli, [*command, "--model", str(embedder), "--precision", "int8"])
        assert isinstance(result.exception, UserError) and "pip install 'adapt-embeddings[int8]'" in str(result.exception)


def test_silver_and_mine_read_in_int8_where_they_are_asked(embedder, labeller, tmp_path, rounded, job, said):
    texts = [Text(str(number), text) for number, text in enumerate(dict.fromkeys(TEXTS))]
    made = {}
    for precision in ("auto", "int8"):
        stage = stages.find("silver")(pairs=40, min_words=2, precision=precision)
        here = Job(2, tmp_path / precision, tmp_path / f"work-{precision}", job.listener)
        for folder in (here.out, here.work):
            folder.mkdir()
        silver = stage.run(texts, CrossEncoder(labeller), here, model=Encoder(embedder))
        made[precision] = {(row.sentence1, row.sentence2): row.score for row in silver}
    assert [note.startswith("int8 inference: Spearman of cosines") for note in said].count(True) == 1
    assert [note.startswith("int8 inference: Spearman of scores") for note in said].count(True) == 1
    both = made["auto"].keys() & made["int8"].keys()
    assert len(both) > 30
    apart = [abs(made["auto"][pair] - made["int8"][pair]) for pair in both]
    assert 0 < np.mean(apart) < 0.1 * np.ptp(list(made["auto"].values()))
    said.clear()
    pairs = [Pair(f"{text.text.split()[0]} {number}?", text.text) for number, text in enumerate(texts)]
    stages.find("mine")(precision="int8", negatives=2).run(pairs, Encoder(embedder), Job(2, listener=job.listener), texts)
    assert sum(note.startswith("int8 inference: Spearman of cosines") for note in said) == 2  # the pool, the queries


def test_a_killed_labelling_goes_on_in_int8_to_the_same_scores(labeller, rounded, monkeypatch):
    texts = [Text(str(number), text) for number, text in enumerate(dict.fromkeys(TEXTS))]
    stage = stages.find("silver")(sampling=("bm25",), pairs=40, min_words=2, precision="int8", shard_size=10)
    whole = [row.raw for row in stage.run(texts, CrossEncoder(labeller), Job(2))]
    again = Job(2)
    asked = []

    def killed(*given, **how):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(given)
        return predict(*given, **how)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(scoring, "predict", killed)
        stage.run(texts, CrossEncoder(labeller), again)
    assert [row.raw for row in stage.run(texts, CrossEncoder(labeller), again)] == whole


def test_nobody_is_told_that_the_backend_is_used(backend):
    code = "from adapt.models import int8; int8._libraries(); import sys; assert sys.modules['openvino_telemetry'] is None"
    subprocess.run([sys.executable, "-c", code], check=True)
