import json
import random

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from adapt import stages
from adapt.errors import UserError
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.records import ConcatSequence, CrossEncoder, Encoder, Labelled, Pair, ScoredPair, Triplet

Finetune = stages.find("finetune")


@pytest.fixture
def rows(texts):
    """Twenty examples of each kind."""
    rng = random.Random(3)
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    return {
        "pairs": pairs,
        "triplets": [Triplet(p.anchor, p.positive, (texts[i - 1].text,)) for i, p in enumerate(pairs)],
        "scored": [ScoredPair(p.anchor, rng.choice(texts).text, i % 2) for i, p in enumerate(pairs)],
        "labelled": [Labelled(p.anchor, rng.choice(texts).text, i % 3) for i, p in enumerate(pairs)],
    }


@pytest.fixture(scope="module")
def teacher(language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    CrossEncoderModel(language_model, new_head_seed=2).save(folder)
    return CrossEncoder(folder)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pairs", {"loss": "mnrl"}),
        ("triplets", {"loss": "mnrl"}),
        ("triplets", {"loss": "mnrl", "symmetric": True, "matryoshka": (16, 8), "matryoshka_weights": (0.5, 2)}),
        ("triplets", {"loss": "mnrl", "token_budget": 600, "lora_rank": 4}),
        ("triplets", {"loss": "triplet", "margin": 0.5}),
        ("triplets", {"loss": "triplet", "margin": "soft", "distance": "manhattan", "in_batch": "batch-hard"}),
        ("pairs", {"loss": "triplet", "margin": 0.5, "distance": "euclidean", "in_batch": "semi-hard"}),
        ("pairs", {"loss": "triplet", "margin": 0.5, "distance": "cosine", "in_batch": "all"}),
        ("triplets", {"loss": "margin-mse"}),
        ("scored", {"loss": "cosent"}),
        ("scored", {"loss": "angle", "matryoshka": (8,)}),
        ("scored", {"loss": "cosine"}),
        ("scored", {"loss": "contrastive"}),
        ("scored", {"loss": "online-contrastive"}),
        ("scored", {"loss": "mnrl", "positive_threshold": 0.5}),
        ("labelled", {"loss": "softmax", "matryoshka": (16,)}),
    ],
)
def test_finetuning_lowers_every_loss_on_what_fits_it(embedder, rows, teacher, kind, settings):
    job = Job(1)
    more = {"teacher": teacher} if settings["loss"] == "margin-mse" else {}
    made = Finetune.from_options(epochs=15, batch_size=10, learning_rate=2e-3, **settings).run(
        Encoder(embedder), rows[kind], job, **more
    )
    assert job.counts["last_loss"] < job.counts["first_loss"]
    assert np.isfinite(embed(made.path, ["heart"], Job())).all()


@pytest.mark.parametrize(
    ("settings", "kinds", "problem"),
    [
        ({"loss": "cosent"}, "pairs", "loss 'cosent' takes scored, but examples are pairs. Try loss mnrl"),
        ({}, "scored", "or set positive_threshold, the score from which a row counts as a pair"),
        (
            {"loss": "triplet"},
            "pairs",
            "loss 'triplet' takes triplets, but examples are pairs. Try loss mnrl, or in_batch semi-hard",
        ),
        ({}, "labelled", "Try loss softmax"),
        ({"loss": "triplet", "margin": 4}, "triplets", "margin 4 can't be met: on unit vectors the squared distance is at most 4"),
        ({"loss": "triplet", "margin": 2, "distance": "euclidean"}, "triplets", "the euclidean distance is at most 2"),
        ({"loss": "triplet", "margin": 2.5, "distance": "cosine"}, "triplets", "the cosine distance is at most 2"),
        ({"loss": "contrastive", "margin": 2}, "scored", "the cosine distance is at most 2"),
        ({"loss": "margin-mse"}, "triplets", "learns from a cross-encoder; name one as teacher"),
        ({"loss": "triplet", "negatives": 0}, "triplets", "needs negatives of at least 1"),
        ({"shares": (0.5, 0.4)}, "pairs", r"shares must add up to 1, and 0.5 \+ 0.4 is 0.9"),
        ({"shares": (0.5, 0.5)}, "pairs", "2 shares for 1 sources of examples"),
        ({"matryoshka": (8,), "matryoshka_weights": (1, 2)}, "pairs", "2 weights for 1 dims"),
        ({"matryoshka": (8, 64)}, "pairs", "matryoshka 64 is more than the model's own dimension, 32"),
        ({"loss": "triplet", "distance": "manhattan", "margin": 11.4}, "triplets", "the manhattan distance is at most 11.3"),
        ({"positive_threshold": 1.0}, "scored", "no row that scores 1.0 or more"),
        ({"held_out": 1}, "pairs", "leaves nothing to train on"),
        ({"batch_size": 1}, "pairs", "batch_size 1 leaves a pair no negative"),
        ({"batch_size": 1, "negatives": 0}, "triplets", "batch_size 1 leaves a pair no negative"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(embedder, settings, kinds, problem):
    examples = {
        "pairs": [Pair("a", "b")], "scored": [ScoredPair("a", "b", 0.5)], "labelled": [Labelled("a", "b", 1)],
        "triplets": [Triplet("a", "b", ("c",))],
    }[kinds]  # fmt: skip
    with pytest.raises(UserError, match=problem):
        Finetune.from_options(**settings).run(Encoder(embedder), examples, Job())


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "triplet", "symmetric": True}, {"loss": "triplet", "batching": "grouped"}, {"loss": "cosent", "negatives": 2},
        {"loss": "cosine", "scale": 30}, {"loss": "mnrl", "margin": 0.2}, {"loss": "softmax", "positive_threshold": 0.5},
    ],
)  # fmt: skip
def test_a_loss_has_no_settings_of_other_losses(settings):
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Finetune.from_options(**settings)


def test_a_guide_or_teacher_that_the_loss_does_not_use_is_refused():
    assert (
        "a guide masks negatives" in Finetune.from_options(loss="triplet").problems({"examples": "triplets", "guide": "encoder"})[0]
    )
    assert (
        "a teacher is for loss 'margin-mse'"
        in Finetune.from_options().problems({"examples": "pairs", "teacher": "cross-encoder"})[0]
    )
    assert not Finetune.from_options(loss="triplet", in_batch="semi-hard").problems({"examples": "pairs", "guide": "encoder"})
    assert not Finetune.from_options(loss="triplet", margin=3.99).problems({"examples": "triplets"})


def first_loss(embedder, examples, **more):
    inputs = {name: more.pop(name) for name in ("guide", "teacher") if name in more}
    job = Job(1)
    Finetune.from_options(max_steps=1, **{"batch_size": 20} | more).run(Encoder(embedder), examples, job, **inputs)
    return job.counts["first_loss"]


def test_grouped_batches_and_those_without_duplicates_agree_on_what_is_a_negative(embedder, rows):
    """One batch of everything is the same either way, as long as no positive repeats."""
    losses = [first_loss(embedder, rows["pairs"], batching=batching) for batching in ("no_duplicates", "grouped")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_the_loss_of_a_batch_equals_the_formula_on_the_encoders_vectors(embedder, rows):
    """A hard negative that is another row's positive counts once; nothing but the positive is masked here."""
    anchors = embed(embedder, [t.anchor for t in rows["triplets"]], Job())
    positives = embed(embedder, [t.positive for t in rows["triplets"]], Job())
    logits = torch.tensor(20 * anchors @ positives.T)
    wanted = torch.nn.functional.cross_entropy(logits, torch.arange(20)).item()
    assert first_loss(embedder, rows["triplets"]) == pytest.approx(wanted, abs=1e-4)
    near, far = (((anchors - other) ** 2).sum(1) for other in (positives, np.roll(positives, 1, axis=0)))
    wanted = np.maximum(0, 0.3 + near - far).mean()
    assert first_loss(embedder, rows["triplets"], loss="triplet") == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("threshold", [None, 0.8])
def test_a_score_of_half_means_the_same_unless_positive_threshold_is_set(embedder, rows, threshold):
    scored = [ScoredPair(e.sentence1, e.sentence2, (0.1, 0.5, 0.7, 0.9)[i % 4]) for i, e in enumerate(rows["scored"])]
    first, second = (embed(embedder, [getattr(e, side) for e in scored], Job()) for side in ("sentence1", "sentence2"))
    distance, same = 1 - (first * second).sum(1), np.array([e.score >= (threshold or 0.5) for e in scored])
    wanted = np.where(same, distance**2, np.maximum(0, 0.5 - distance) ** 2).mean() / 2
    found = first_loss(embedder, scored, loss="contrastive", **({"positive_threshold": threshold} if threshold else {}))
    assert found == pytest.approx(wanted, abs=1e-5)


def test_a_guide_masks_negatives_and_one_that_doubts_all_leaves_none(embedder, rows):
    guide = Encoder(embedder)
    plain, guided, doubted = (
        first_loss(embedder, rows["pairs"], **more)
        for more in ({}, {"guide": guide}, {"guide": guide, "guide_margin": 2, "guide_margin_strategy": "absolute"})
    )
    assert 0 < guided < plain and doubted == pytest.approx(0, abs=1e-6)


def moved(embedder, texts, made):
    """1 - the mean cosine of texts under the base and under what training made."""
    before, after = (embed(folder, texts, Job()) for folder in (embedder, made.path))
    return 1 - float((before * after).sum(1).mean())


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pairs", {"loss": "mnrl", "matryoshka": (16,)}),
        ("triplets", {"loss": "mnrl", "token_budget": 200}),
        ("triplets", {"loss": "mnrl", "lora_rank": 4, "learning_rate": 2e-2}),
        ("triplets", {"loss": "triplet"}),
        ("triplets", {"loss": "margin-mse"}),
        ("scored", {"loss": "cosent"}),
        ("scored", {"loss": "angle"}),
        ("scored", {"loss": "cosine"}),
        ("scored", {"loss": "contrastive"}),
        ("scored", {"loss": "online-contrastive"}),
        ("labelled", {"loss": "softmax"}),
    ],
)
def test_retention_holds_the_vectors_whatever_the_loss(embedder, rows, teacher, kind, settings):
    more = {"teacher": teacher} if settings["loss"] == "margin-mse" else {}
    texts = [text for pair in rows["pairs"] for text in (pair.anchor, pair.positive)]
    ways = {}
    for retain in (0.0, 100.0):
        stage = Finetune.from_options(**{"epochs": 8, "batch_size": 10, "learning_rate": 1e-3, "retain": retain} | settings)
        ways[retain] = moved(embedder, texts, stage.run(Encoder(embedder), rows[kind], Job(1), **more))
    assert ways[0.0] > 0.003 and ways[100.0] < 0.2 * ways[0.0]


def test_retention_is_added_to_the_loss_of_training_alone(embedder, rows, monkeypatch):
    """The held-out loss stays the task's, so that it may be compared between weights of the penalty."""
    from adapt.losses.retention import Retention

    told = {}
    for penalty in (0.0, 7.0):
        monkeypatch.setattr(Retention, "__call__", lambda self, ids, vectors, penalty=penalty: vectors.new_tensor(penalty))
        job = Job(1)
        Finetune.from_options(held_out=0.2, max_steps=1).run(Encoder(embedder), rows["pairs"], job)
        told[penalty] = (job.counts["first_loss"], job.counts["held_out_loss"])
    assert told[7.0] == pytest.approx((told[0.0][0] + 7, told[0.0][1]), abs=1e-5)


def test_replayed_pairs_share_an_epoch_with_triplets(embedder, rows):
    """General pairs beside the domain's triplets, as a recipe's `examples: {triplets: 0.8, replay: 0.2}` hands them over."""
    replay = [Pair(f"which {word} is it", f"the {word} of the child") for word in ("heart", "kidney", "liver", "lung", "brain")]
    examples = ConcatSequence([rows["triplets"], replay])
    for mixing in ("mixed", "separate"):
        job = Job(1)
        stage = Finetune.from_options(shares=(0.8, 0.2), mixing=mixing, epochs=10, batch_size=5, learning_rate=1e-3)
        made = stage.run(Encoder(embedder), examples, job)
        assert job.counts["rows_an_epoch"] == [20, 5] and job.counts["last_loss"] < job.counts["first_loss"]
        anchors, documents = (embed(made.path, [getattr(p, side) for p in replay], Job()) for side in ("anchor", "positive"))
        assert ((anchors @ documents.T).argmax(1) == np.arange(5)).all()


def test_a_second_file_of_pairs_is_named_by_hand(embedder, rows, tmp_path):
    from adapt import files
    from adapt.pipeline.single_stage import run_stage

    files.write(rows["triplets"], tmp_path / "triplets.jsonl")
    files.write(rows["pairs"][:5], tmp_path / "replay.csv")
    sources = {"model": str(embedder), "examples": [str(tmp_path / "triplets.jsonl"), str(tmp_path / "replay.csv")]}
    stage = Finetune.from_options(shares=(0.8, 0.2), batch_size=5, max_steps=2)
    counts = run_stage(stage, sources, tmp_path / "tuned", 1, lambda event: None).counts
    assert counts["rows_an_epoch"] == [20, 5] and (tmp_path / "tuned" / "modules.json").is_file()


@pytest.mark.parametrize("retain", [0.0, 5.0])
def test_a_token_budget_trains_the_same_weights(embedder, rows, retain):
    settings = {"max_steps": 3, "batch_size": 10, "learning_rate": 1e-3, "dropout": 0.0, "precision": "fp32", "retain": retain}
    whole, cached = (
        Finetune.from_options(token_budget=budget, **settings).run(Encoder(embedder), rows["triplets"], Job(1))
        for budget in (None, 64)
    )
    words = ["heart falls", "kidney rises slow", "fever"]
    np.testing.assert_allclose(embed(whole.path, words, Job()), embed(cached.path, words, Job()), atol=1e-4)


def test_adapters_are_merged_into_an_ordinary_folder_and_touch_attention_alone(embedder, rows):
    made = Finetune.from_options(lora_rank=2, max_steps=3, batch_size=10, learning_rate=1e-2).run(
        Encoder(embedder), rows["pairs"], Job(1)
    )
    base, tuned = load_file(embedder / "model.safetensors"), load_file(made.path / "model.safetensors")
    assert base.keys() == tuned.keys()
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed and all("attention" in name and name.endswith("weight") for name in changed)


def test_shares_hold_in_every_epoch(embedder, rows):
    examples = ConcatSequence([rows["pairs"][:15], rows["triplets"][15:]])
    for mixing in ("mixed", "separate"):
        job = Job(1)
        Finetune.from_options(shares=(0.5, 0.5), mixing=mixing, epochs=2, batch_size=5).run(Encoder(embedder), examples, job)
        assert job.counts["rows_an_epoch"] == [5, 5] and job.counts["rows"] == 20


def test_only_rows_that_score_enough_are_positives(embedder, rows):
    job = Job(1)
    Finetune.from_options(positive_threshold=1.0, max_steps=1).run(Encoder(embedder), rows["scored"], job)
    assert job.counts["examples"] == 10


def test_held_out_examples_choose_the_weights(embedder, rows):
    job = Job(1)
    Finetune.from_options(held_out=0.2, epochs=10, batch_size=8, learning_rate=5e-3, patience=2).run(
        Encoder(embedder), rows["pairs"], job
    )
    seen = json.loads((job.out / "training.json").read_text())["held_out"]
    assert job.counts["held_out"] == 4 and job.counts["held_out_loss"] == min(loss for _, loss in seen)
    assert len(seen) <= 10 and job.counts["rows"] == job.counts["steps"] * 8


def test_cosines_are_not_rounded_to_bf16_by_mixed_precision(embedder, rows, monkeypatch):
    from adapt.losses import ranking

    seen, real = [], ranking.multiple_negatives

    def watched(anchors, documents, *more):
        seen.append((torch.is_autocast_enabled("cpu"), (anchors @ documents.T).dtype))
        return real(anchors, documents, *more)

    monkeypatch.setattr(ranking, "multiple_negatives", watched)
    Finetune.from_options(max_steps=1, precision="bf16").run(Encoder(embedder), rows["pairs"], Job(1))
    assert set(seen) == {(False, torch.float32)}


def test_the_same_seed_makes_the_same_weights_and_another_does_not(embedder, rows):
    made = [Finetune.from_options(max_steps=2, batch_size=8).run(Encoder(embedder), rows["pairs"], Job(seed)) for seed in (1, 1, 2)]
    bits = [(m.path / "model.safetensors").read_bytes() for m in made]
    assert bits[0] == bits[1] != bits[2]
