"""Pairs that are longer than what a cross-encoder reads are counted and reported, by every stage and check that reads pairs."""

import random

import pytest

from adapt import stages
from adapt.errors import UserError
from adapt.inference.scoring import Truncation, predict
from adapt.job import Job, ignore_events
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.pipeline import plan
from adapt.pipeline.measurements import Measurements
from adapt.pipeline.single_stage import run_stage
from adapt.recipe import loading
from adapt.records import CrossEncoder, Encoder, Pair, ScoredPair, Text
from adapt.storage.store import Store

from .. import tiny
from ..conftest import sentence


@pytest.fixture(scope="module")
def labeller(language_model, tmp_path_factory):
    return tiny.cross_encoder(language_model, tmp_path_factory.mktemp("labeller") / "model")


def heard():
    notes = []
    return Job(1, listener=lambda event: notes.append(event.text) if event.kind == "note" else None), notes


@pytest.mark.parametrize("max_length", [16, 40, 64, 256])
def test_truncated_pairs_are_counted_and_those_that_just_fit_are_not(labeller, max_length):
    limit = min(max_length, 64)  # the model has 64 positions
    pairs = [("fever " * words, "cough " * other) for words in range(0, 70, 3) for other in (1, 5, 33)]
    pairs += [("fever " * (limit - 4 + more), "cough") for more in (0, 1)]  # with three special tokens: just fits, one too many
    wanted = sum(words.count(" ") + other.count(" ") + other.endswith("h") + 3 > limit for words, other in pairs)
    seen = Truncation()
    predict(labeller, pairs, Job(), max_length, truncation=seen)
    assert (seen.pairs, seen.truncated, seen.limit) == (len(pairs), wanted, limit)
    job, notes = heard()
    predict(labeller, pairs, job, max_length, label="scores")
    assert job.counts["truncated_pairs"] == wanted
    assert [note for note in notes if f"scores: {wanted} of {len(pairs)} pairs" in note and f"longer than {limit} tokens" in note]


def test_without_a_truncated_pair_nothing_is_said(labeller):
    job, notes = heard()
    predict(labeller, [("fever", "cough"), ("a rash", "pain")], job)
    assert not notes and not job.counts


def test_a_slow_tokenizer_counts_what_reaches_the_limit(labeller):
    reader = CrossEncoderModel(labeller)
    whole = reader.tokenizer

    def slow(*args, **kwargs):
        found = whole(*args, **kwargs)
        found._encodings = None
        return found

    reader.tokenizer = slow
    assert reader.ids_and_truncated(["fever " * 80, "fever"], ["cough"] * 2, 64)[1] == 1


ROWS = [("fever " * 20, "cough " * 20, 1.0), ("rash", "pain", 0.0), ("skin " * 30, "blood", 0.5), ("bone", "brain", 0.2)] * 5


def cross_encoder(embedder, labeller, job):
    stage = stages.find("cross-encoder")(max_steps=1, held_out=0.25, max_length=24)
    stage.run(Encoder(embedder), [ScoredPair(f"{a} {i}", b, s) for i, (a, b, s) in enumerate(ROWS)], job)
    return 10  # training pairs and held-out ones together: half of all


def silver(embedder, labeller, job):
    rng = random.Random(3)
    texts = [Text(str(i), sentence(rng, 12)) for i in range(20)]
    stage = stages.find("silver")(sampling=("random",), pairs=30, max_length=20, shard_size=8, max_per_text=None)
    stage.run(texts, CrossEncoder(labeller), job)
    return job.counts["candidates"]


def mine(embedder, labeller, job):
    rng = random.Random(3)
    pairs = [Pair(sentence(rng, 40), sentence(rng, 40)) for _ in range(12)]
    stage = stages.find("mine")(negatives=2, retrievers=("dense",))
    stage.run(pairs, Encoder(embedder), job, cross_encoder=CrossEncoder(labeller))
    return None


def teacher(embedder, labeller, job):
    rng = random.Random(3)
    pairs = [Pair(sentence(rng, 40), sentence(rng, 40)) for _ in range(6)]
    from adapt.records import Triplet

    triplets = [Triplet(p.anchor, p.positive, (pairs[i - 1].positive,)) for i, p in enumerate(pairs)]
    stage = stages.find("finetune")(loss="margin-mse", batch_size=3, max_steps=1)
    stage.run(Encoder(embedder), triplets, job, teacher=CrossEncoder(labeller))
    return 12


@pytest.mark.parametrize("work", [cross_encoder, silver, mine, teacher])
def test_every_stage_that_reads_pairs_reports_them(embedder, labeller, work):
    job, notes = heard()
    wanted = work(embedder, labeller, job)
    said = [note for note in notes if "tokens and were truncated" in note]
    assert said and job.counts["truncated_pairs"] == (wanted if wanted is not None else job.counts["truncated_pairs"]) > 0
    assert sum(int(note.split(": ")[-1].split(" of ")[0].replace(",", "")) for note in said) == job.counts["truncated_pairs"]


def test_a_check_reports_them(labeller, tmp_path):
    (tmp_path / "sts.csv").write_text(
        "sentence1,sentence2,score\n" + "".join(f"{'fever ' * (i * 9)}x,cough,{i / 10}\n" for i in range(11))
    )
    job, notes = heard()
    Measurements(job).measure(CrossEncoder(labeller), "sts", str(tmp_path / "sts.csv"), "test")
    assert [note for note in notes if note.startswith("WARNING: scoring for checks: 4 of 11 pairs (36.4%)")]


def test_a_resumed_silver_reports_the_pairs_of_the_parts_that_it_reads_back(embedder, labeller, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    counts = []
    for _ in range(2):
        job = Job(1, work=work)
        silver(embedder, labeller, job)
        counts.append(job.counts["truncated_pairs"])
        monkeypatch.setattr("adapt.inference.scoring.predict", None)  # the second time nothing is scored
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("word", ["cross-encoder", "silver"])
def test_more_tokens_than_positions_are_refused_before_a_stage_by_hand_runs(domain, embedder, labeller, word):
    stage = stages.find(word)(max_length=65)
    models = {"cross-encoder": {"model": str(embedder), "pairs": "gold.csv"}, "silver": {"cross_encoder": str(labeller)}}[word]
    sources = {"texts": str(domain / "texts.jsonl")} if word == "silver" else {}
    sources |= {name: value if value.startswith("/") else str(domain / value) for name, value in models.items()}
    with pytest.raises(UserError, match="max_length 65 is more than the 64 tokens that the model supports"):
        run_stage(stage, sources, domain / "out.csv" if word == "silver" else domain / "out", 1, ignore_events)
    assert not list(domain.glob("*out*"))


def test_the_positions_of_the_cross_encoder_decide_and_not_those_of_the_encoder_beside_it(recipe_file, domain, labeller, embedder):
    import json
    import shutil

    short = shutil.copytree(labeller, domain / "short")
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 32}))
    named = [f"stages.silver.cross_encoder={short}", f"stages.silver.model={embedder}"]
    for length, fits in ((32, True), (33, False)):
        loaded = loading.load(str(recipe_file), [*named, f"stages.silver.max_length={length}"])
        if fits:
            plan.make(loaded, Store(domain / "run"))
        else:
            with pytest.raises(UserError, match="step 'silver': max_length 33 is more than the 32 tokens"):
                plan.make(loaded, Store(domain / "run"))
