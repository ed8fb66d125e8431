"""What every stage promises, and what each one makes of a small domain."""

import random

import numpy as np
import pytest

from adapt import records, stages
from adapt.engine.encoder import embed
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Encoder, Pair, ScoredPair, Text

from ..conftest import sentence

CHAIN = {"tsdae", "cross-encoder", "silver", "mine", "finetune"}


def test_the_folder_is_the_registry():
    assert set(stages.names()) == CHAIN


@pytest.mark.parametrize("word", sorted(CHAIN))
def test_a_stage_declares_everything_that_help_validation_and_keys_need(word):
    stage = stages.find(word)
    assert stage.word() == word and stage.help().endswith(".") and stage.example.startswith(f"adapt {word} ")
    assert all(field.description for field in stage.model_fields.values())
    assert stage.makes() in {"encoder", "cross-encoder", "scored", "triplets"} and stage.product
    assert stage.inputs() and all(want.kinds for want in stage.inputs())
    assert stage() == stage.model_validate(stage().model_dump(mode="json"))
    with pytest.raises(ValueError, match="Extra inputs"):
        stage(unknown=1)


@pytest.fixture
def texts():
    rng = random.Random(11)
    return [Text(str(i), " ".join(sentence(rng) for _ in range(3))) for i in range(20)]


def test_gentle_tsdae_stays_nearer_to_the_base_than_the_papers_way(embedder, texts):
    probe = [t.text for t in texts]
    base = embed(embedder, probe, Job())
    moved = {}
    for start, rate in (("tuned", 1e-3), ("raw", 1e-3)):
        stage = stages.find("tsdae")(start=start, epochs=4, batch_size=8, learning_rate=rate, anchor=5.0)
        made = stage.run(Encoder(embedder), texts, Job(1))
        moved[start] = 1 - float((embed(made.path, probe, Job()) * base).sum(1).mean())
    assert 0 < moved["tuned"] < 0.5 * moved["raw"]


def test_tsdae_keeps_the_pooling_of_its_base(embedder, language_model, texts):
    from adapt.engine.encoder import open_encoder

    for base, mode in ((embedder, "mean"), (language_model, "cls")):
        job = Job(1)
        made = stages.find("tsdae")(max_steps=1).run(Encoder(base), texts, job)
        assert open_encoder(made.path)[1].pooling_mode == mode
        assert job.counts["treated_as"] == ("tuned" if mode == "mean" else "raw")


def test_tsdae_learns_to_restore(language_model, texts):
    job = Job(1)
    stages.find("tsdae")(epochs=20, batch_size=8, learning_rate=3e-3).run(Encoder(language_model), texts, job)
    assert job.counts["last_loss"] < job.counts["first_loss"] - 0.5


def test_tsdae_without_a_usable_sentence_says_so(embedder):
    with pytest.raises(UserError, match="min_words"):
        stages.find("tsdae")().run(Encoder(embedder), [Text("1", "Too short.")], Job())


def test_silver_never_repeats_a_pair_nor_gold_in_either_order(embedder, texts):
    rng = random.Random(5)
    gold = [ScoredPair(sentence(rng), sentence(rng), 0.5) for _ in range(10)]
    labeller = stages.find("cross-encoder")(max_steps=1, held_out=0).run(Encoder(embedder), gold, Job(1))
    made = stages.find("silver")(sampling=("bm25", "dense", "random"), pairs=60).run(
        texts, labeller, Job(1), gold=gold, model=Encoder(embedder)
    )
    keys = [frozenset((p.sentence1, p.sentence2)) for p in made]
    assert len(made) == 60 == len(set(keys)) and all(len(key) == 2 for key in keys)
    assert not set(keys) & {frozenset((p.sentence1, p.sentence2)) for p in gold}
    assert all(0 <= p.score <= 1 for p in made)
    assert {p.origin.split("@")[0] for p in made} == {"silver:bm25", "silver:dense", "silver:random"}


def test_cross_encoder_learns_its_pairs(embedder):
    rng = random.Random(5)
    gold = [ScoredPair(f"left {sentence(rng, 3)}", f"left {sentence(rng, 3)}", 1.0) for _ in range(20)]
    gold += [ScoredPair(f"high {sentence(rng, 3)}", f"low {sentence(rng, 3)}", 0.0) for _ in range(20)]
    job = Job(1)
    stage = stages.find("cross-encoder")(epochs=30, batch_size=8, learning_rate=3e-3, held_out=0.25, dropout=0.0)
    stage.run(Encoder(embedder), gold, job)
    assert job.counts["last_loss"] < 0.4 * job.counts["first_loss"] and job.counts["held_out_spearman"] > 0.7


def test_mining_never_takes_what_the_pairs_tie_to_the_query(embedder, texts):
    t = [text.text for text in texts]
    copy = t[0] + " Again."
    pairs = [Pair("heart?", t[0]), Pair("kidney?", t[0]), Pair("kidney?", t[1]), Pair(t[2], "fever?"), Pair("fever?", t[3])]
    corpus = [*texts, Text("copy", copy), Text("q", "heart?")]
    for strategy in ("top", "random"):
        made = stages.find("mine")(negatives=30, max_share=None, strategy=strategy).run(pairs, Encoder(embedder), Job(2), corpus)
        assert [(m.anchor, m.positive) for m in made] == [(p.anchor, p.positive) for p in pairs]  # no pair is lost
        tied = {t[0], t[1], "heart?", "kidney?", copy}  # shared positives, other questions, near-copies
        assert not set(made[0].negatives) & tied and not set(made[2].negatives) & tied
        assert not set(made[3].negatives) & {t[2], t[3], "fever?"}
        assert len(made[0].origin.split()) == len(made[0].negatives) > 10


def test_mining_passes_over_hits_too_near_to_the_positive(embedder, texts):
    pairs = [Pair(f"{t.text.split('.')[0]}?", t.text) for t in texts[:8]]
    queries = embed(embedder, [p.anchor for p in pairs], Job(), "query")
    for share in (0.95, 0.5):
        made = stages.find("mine")(finders=("dense",), negatives=20, max_share=share).run(pairs, Encoder(embedder), Job(2), texts)
        for row, triplet in enumerate(made):
            if triplet.origin == "random":
                continue
            found = embed(embedder, [triplet.positive, *triplet.negatives], Job(), "document") @ queries[row]
            assert (found[1:] <= share * found[0] + 1e-6).all()


def test_range_min_counts_raw_ranks(embedder, texts):
    pairs = [Pair("heart kidney?", texts[0].text)]
    full = stages.find("mine")(finders=("dense",), negatives=30, max_share=None).run(pairs, Encoder(embedder), Job(2), texts)
    late = stages.find("mine")(finders=("dense",), negatives=30, max_share=None, range_min=5).run(
        pairs, Encoder(embedder), Job(2), texts
    )
    ranks = [int(o.split("@")[1]) for o in full[0].origin.split()]
    assert late[0].origin.split() == [f"dense@{r}" for r in ranks if r > 5]


@pytest.mark.parametrize(
    ("loss", "kind"), [("mnrl", "pairs"), ("mnrl", "triplets"), ("triplet", "triplets"), ("cosent", "scored"), ("cosine", "scored")]
)
def test_finetuning_lowers_every_loss_on_what_fits_it(embedder, texts, loss, kind):
    rng = random.Random(3)
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    examples = {
        "pairs": pairs,
        "triplets": [records.Triplet(p.anchor, p.positive, (texts[i - 1].text,)) for i, p in enumerate(pairs)],
        "scored": [ScoredPair(p.anchor, rng.choice(texts).text, i % 2) for i, p in enumerate(pairs)],
    }[kind]
    job = Job(1)
    stage = stages.find("finetune")(loss=loss, epochs=15, batch_size=10, learning_rate=2e-3, margin=0.5)
    stage.run(Encoder(embedder), examples, job)
    assert job.counts["last_loss"] < job.counts["first_loss"]


def test_a_loss_that_does_not_fit_is_refused(embedder):
    with pytest.raises(UserError, match="loss 'cosent' takes scored, but examples are pairs"):
        stages.find("finetune")(loss="cosent").run(Encoder(embedder), [Pair("a", "b")], Job())


def test_gathered_and_spread_batches_agree_on_what_is_a_negative(embedder, texts):
    """One batch of everything is the same either way, as long as no positive repeats."""
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    losses = []
    for batching in ("spread", "gathered"):
        job = Job(1)
        stages.find("finetune")(batching=batching, batch_size=20, max_steps=1).run(Encoder(embedder), pairs, job)
        losses.append(job.counts["first_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_the_same_seed_makes_the_same_weights_and_another_does_not(embedder, texts):
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    made = [stages.find("finetune")(max_steps=2, batch_size=8).run(Encoder(embedder), pairs, Job(seed)) for seed in (1, 1, 2)]
    bits = [(m.path / "model.safetensors").read_bytes() for m in made]
    assert bits[0] == bits[1] != bits[2]
    assert np.isfinite(embed(made[0].path, ["heart"], Job())).all()
