import json
import random

import numpy as np
import pytest

from adapt import stages
from adapt.inference import scoring
from adapt.inference.scoring import predict
from adapt.job import Job
from adapt.models import calibration
from adapt.records import Encoder, ScoredPair

from ..conftest import sentence

CrossEncoder = stages.find("cross-encoder")
QUICK = {"batch_size": 8, "learning_rate": 3e-3, "dropout": 0.0}


@pytest.fixture
def gold():
    rng = random.Random(5)
    alike = [ScoredPair(f"left {sentence(rng, 3)}", f"left {sentence(rng, 3)}", 1.0) for _ in range(20)]
    return alike + [ScoredPair(f"high {sentence(rng, 3)}", f"low {sentence(rng, 3)}", 0.0) for _ in range(20)]


def test_cross_encoder_learns_its_pairs(embedder, gold):
    job = Job(1)
    CrossEncoder(epochs=30, held_out=0.25, **QUICK).run(Encoder(embedder), gold, job)
    assert job.counts["last_loss"] < 0.4 * job.counts["first_loss"] and job.counts["held_out_spearman"] > 0.7
    low, high = job.counts["held_out_ap_interval"]
    assert 0.7 < low <= job.counts["held_out_ap"] <= high <= 1


def test_held_out_pairs_are_not_trained_on_and_agreement_is_measured_on_them(embedder, gold, monkeypatch):
    asked = []

    def measured(folder, pairs, *args, **kwargs):
        asked.extend(pairs)
        return np.linspace(0, 1, len(pairs))

    monkeypatch.setattr(scoring, "predict", measured)
    both = [*gold, *(ScoredPair(p.sentence2, p.sentence1, p.score) for p in gold)]
    job = Job(1)
    made = CrossEncoder(max_steps=1, held_out=0.25).run(Encoder(embedder), both, job)
    assert (job.counts["held_out"], job.counts["pairs"]) == (20, 60) and len(asked) == 20
    held = {frozenset(pair) for pair in asked}
    assert len(held) == 10  # a pair and its reverse are held out together
    _, agreed = calibration.load(made.path)
    order = {frozenset((p.sentence1, p.sentence2)): p.score for p in gold}
    wanted = calibration.agreement(np.linspace(0, 1, 20), [order[frozenset(pair)] for pair in asked], 1)
    assert agreed == wanted and job.counts["held_out_spearman"] == wanted["spearman"]


def test_the_saved_calibration_is_the_one_of_the_held_out_scores(embedder, gold):
    for kind in ("isotonic", "platt", "none"):
        job = Job(1)
        made = CrossEncoder(epochs=8, held_out=0.5, calibration=kind, **QUICK).run(Encoder(embedder), gold, job)
        curve, _ = calibration.load(made.path)
        order = np.random.default_rng(1).permutation(len(gold))[:20]
        held = [gold[i] for i in order]
        raw = predict(made.path, [(p.sentence1, p.sentence2) for p in held], Job())
        assert curve == calibration.fit(raw, [p.score for p in held], kind) and curve.kind == kind
        assert job.counts["calibration"] == kind


def test_it_loads_in_sentence_transformers_with_the_same_raw_scores(embedder, gold):
    import sentence_transformers

    made = CrossEncoder(epochs=30, held_out=0.25, **QUICK).run(Encoder(embedder), gold, Job(1))
    pairs = [(p.sentence1, p.sentence2) for p in gold]
    theirs = sentence_transformers.CrossEncoder(str(made.path), device="cpu")
    there, back = (theirs.predict(x, show_progress_bar=False) for x in (pairs, [(b, a) for a, b in pairs]))
    ours = predict(made.path, pairs, Job())
    np.testing.assert_allclose(ours, (there + back) / 2, atol=1e-5)
    assert np.ptp(ours) > 0.3


def test_of_several_seeds_the_best_on_held_out_gold_stays(embedder, gold):
    job, notes = Job(4), []
    job.listener = lambda event: notes.append(event.text) if event.kind == "note" else None
    rng = random.Random(2)  # scores of every size: of two alone, each seed would soon know all
    graded = [ScoredPair(p.sentence1, p.sentence2, 0.5 * p.score + 0.5 * rng.random()) for p in gold]
    made = CrossEncoder(seeds=3, max_steps=6, held_out=0.5, **QUICK).run(Encoder(embedder), graded, job)
    each = job.counts["spearman_by_seed"]
    assert len(set(each)) > 1 and job.counts["held_out_spearman"] == max(each)
    assert job.counts["kept_seed"] == 4 + each.index(max(each))
    assert job.counts["spearman_sd"] == pytest.approx(np.std(each, ddof=1))
    assert calibration.load(made.path)[1]["spearman"] == max(each) and any("by seed" in note for note in notes)


def test_a_run_killed_between_two_seeds_trains_the_second_only(embedder, gold, tmp_path, monkeypatch):
    from adapt.training import loop

    stage = CrossEncoder(seeds=2, max_steps=3, held_out=0.5, **QUICK)
    whole = stage.run(Encoder(embedder), gold, Job(4))
    real, trained = loop.fit, []

    def fit(module, loss, plan, groups, job, **how):
        trained.append(job.seed)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(module, loss, plan, groups, job, **how)

    monkeypatch.setattr(loop, "fit", fit)
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir(), work.mkdir()
    with pytest.raises(KeyboardInterrupt):
        stage.run(Encoder(embedder), gold, Job(4, out, work))
    resumed = stage.run(Encoder(embedder), gold, Job(4, out, work))
    assert trained == [4, 5, 5]
    for file in ("model.safetensors", calibration.FILE):
        assert (resumed.path / file).read_bytes() == (whole.path / file).read_bytes()


def test_patience_stops_on_the_held_out_loss_and_keeps_its_best_weights(embedder, gold):
    rng = random.Random(2)
    noise = [ScoredPair(sentence(rng), sentence(rng), rng.random()) for _ in range(40)]  # nothing to learn: it soon gets worse
    job = Job(1)
    made = CrossEncoder(epochs=60, held_out=0.5, patience=3, **QUICK).run(Encoder(embedder), noise, job)
    held = [noise[i] for i in np.random.default_rng(1).permutation(40)[:20]]
    assert job.counts["steps"] < 60 * 3 and job.counts["best_step"] <= job.counts["steps"]
    seen = json.loads((job.out / "training.json").read_text())["held_out"]
    assert job.counts["held_out_loss"] == min(loss for _, loss in seen)
    assert calibration.load(made.path) is not None and len(held) == job.counts["held_out"]


def test_settings_that_the_held_out_pairs_decide_need_some():
    assert "held_out is 0" in CrossEncoder(held_out=0, seeds=2).problems({})[0]
    assert "held_out is 0" in CrossEncoder(held_out=0, patience=2).problems({})[0]
    assert "no pair to train on" in CrossEncoder(held_out=1).problems({})[0]
    assert CrossEncoder(held_out=0).problems({}) == [] == CrossEncoder(seeds=3).problems({})
