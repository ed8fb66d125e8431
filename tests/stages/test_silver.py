import json
import random
import weakref

import numpy as np
import pytest

from adapt import files, records, stages
from adapt.errors import UserError, WorkFailed
from adapt.inference import scoring
from adapt.job import Job
from adapt.models import calibration
from adapt.models.calibration import Calibration
from adapt.models.lookup import weights_digest
from adapt.pipeline import single_stage
from adapt.records import Encoder, ScoredPair, SilverPair, Text, record_kind
from adapt.retrieval.matching import allocate, distance, histogram

from ..conftest import sentence
from .conftest import known

Silver = stages.find("silver")


def sides(pairs):
    return [frozenset((p.sentence1, p.sentence2)) for p in pairs]


def test_silver_never_repeats_a_pair_nor_gold_in_either_order(embedder, texts):
    rng = random.Random(5)
    gold = [ScoredPair(sentence(rng), sentence(rng), 0.5) for _ in range(10)]
    labeller = stages.find("cross-encoder")(max_steps=1, held_out=0).run(Encoder(embedder), gold, Job(1))
    made = Silver(sampling=("bm25", "dense", "random"), pairs=60).run(texts, labeller, Job(1), gold=gold, model=Encoder(embedder))
    keys = sides(made)
    assert len(made) == 60 == len(set(keys)) and all(len(key) == 2 for key in keys)
    assert not set(keys) & set(sides(gold))
    assert all(0 <= p.score <= 1 for p in made)
    assert {p.origin.split("@")[0] for p in made} == {"silver:bm25", "silver:dense", "silver:random"}


def test_gold_is_left_out_in_both_orders_and_whatever_its_case(labeller, many):
    near = Silver(sampling=("bm25",), pairs=30).run(many, labeller, Job(1))
    for turn in (False, True):
        gold = [ScoredPair(*((p.sentence2, p.sentence1) if turn else (p.sentence1, p.sentence2)), 0.5) for p in near[:10]]
        gold = [ScoredPair(p.sentence1.upper(), p.sentence2.replace(".", " !"), p.score) for p in gold]
        made = Silver(sampling=("bm25",), pairs=1_000, max_per_text=None).run(many, labeller, Job(1), gold=gold)
        plain = [frozenset(t.lower().strip(" .!") for t in pair) for pair in sides(made)]
        assert len(plain) == len(set(plain)) > 100
        assert not set(plain) & {frozenset(t.lower().strip(" .!") for t in pair) for pair in sides(gold)}


def test_no_text_is_in_more_pairs_than_the_cap(labeller, many):
    for sampling in (("bm25",), ("random",), ("bm25", "random")):
        made = Silver(sampling=sampling, pairs=1_000, max_per_text=3).run(many, labeller, Job(1))
        seen = [side for pair in made for side in (pair.sentence1, pair.sentence2)]
        assert max(map(seen.count, set(seen))) == 3 and len(made) > 100
    free = Silver(sampling=("bm25",), pairs=1_000, max_per_text=None).run(many, labeller, Job(1))
    seen = [side for pair in free for side in (pair.sentence1, pair.sentence2)]
    assert max(map(seen.count, set(seen))) > 5


def test_each_sampler_gives_its_share(labeller, many, gold, embedder):
    stage = Silver(sampling=("bm25", "dense", "random", "kde"), shares=(0.4, 0.3, 0.2, 0.1), pairs=60, max_per_text=None)
    job = Job(1)
    made = stage.run(many, labeller, job, gold=gold, model=Encoder(embedder))
    found = [p.sampler for p in made]
    assert {s: found.count(s) for s in stage.sampling} == {"bm25": 24, "dense": 18, "random": 12, "kde": 6}
    assert {s: job.counts[s] for s in stage.sampling} == {"bm25": 24, "dense": 18, "random": 12, "kde": 6}
    even = Silver(sampling=("bm25", "random"), pairs=41).run(many, labeller, Job(1))
    assert [p.sampler for p in even].count("bm25") == 21


def test_kde_follows_golds_scores_where_bm25_does_not(labeller, many, gold):
    from scipy.stats import ks_2samp

    wanted = [p.score for p in gold]
    away = {}
    for sampler in ("bm25", "random", "kde"):
        stage = Silver(sampling=(sampler,), pairs=60, calibrate=False, oversample=20, max_per_text=None)
        made = stage.run(many, labeller, Job(1), gold=gold)
        assert len(made) == 60
        away[sampler] = ks_2samp([p.score for p in made], wanted).statistic
    assert away["kde"] < 0.2 and away["kde"] < 0.6 * min(away["bm25"], away["random"])


@pytest.mark.parametrize("target", ["gold", "uniform"])
def test_a_target_brings_the_scores_as_near_as_any_choice_could(labeller, many, gold, target):
    stage = Silver(sampling=("bm25", "random"), pairs=100, target_distribution=target, calibrate=False, oversample=8)
    job = Job(1)
    made = stage.run(many, labeller, job, gold=gold)
    summary = json.loads((job.out / "summary.json").read_text())
    wanted = np.ones(10) if target == "uniform" else histogram(np.array([p.score for p in gold]))
    available = np.array(summary["histogram"]["candidates"])
    assert len(made) == 100 and available.sum() == job.counts["candidates"] > 400
    silver = histogram(np.array([p.score for p in made]))
    assert silver.tolist() == summary["histogram"]["silver"] == allocate(available, wanted, 100).tolist()
    before, after = job.counts["distance_before"], job.counts["distance_after"]
    assert after < 0.8 * before and after == pytest.approx(distance(silver, wanted)) == summary["distance"]["after"]
    # The nearest that any hundred of these candidates can come: what the bins lack, no choice makes up for.
    lacking = np.maximum(100 * wanted / wanted.sum() - available, 0).sum() / 100
    assert lacking - 1e-9 <= after <= lacking + 0.05


def test_a_target_keeps_given_shares(labeller, many, gold):
    stage = Silver(sampling=("bm25", "random"), shares=(3, 1), pairs=80, target_distribution="gold", oversample=5)
    made = stage.run(many, labeller, Job(1), gold=gold)
    assert [p.sampler for p in made].count("random") == 20 == len(made) - 60


def test_scores_are_calibrated_and_every_row_says_where_it_came_from(labeller, many, tmp_path):
    curve = Calibration("platt", slope=3.0, intercept=-1.0)
    calibration.save(labeller.path, curve, {"rows": 40, "spearman": 0.5})
    made = Silver(sampling=("bm25",), pairs=50).run(many, labeller, Job(1))
    for pair in made:
        raw = known(pair.sentence1, pair.sentence2)
        assert pair.raw == pytest.approx(raw, abs=1e-6) and pair.score == pytest.approx(float(curve(raw)), abs=1e-6)
        assert abs(pair.score - pair.raw) > 1e-3  # the labeller's own score would be another
        assert pair.calibrated == pair.score and pair.origin == f"silver:bm25@{pair.rank}" and 1 <= pair.rank <= 5
        assert pair.labeller == weights_digest(labeller.path)[:16]
    plain = Silver(sampling=("bm25",), pairs=50, calibrate=False).run(many, labeller, Job(1))
    assert all(pair.score == pair.raw for pair in plain)
    for name in ("s.csv", "s.jsonl", "s.parquet", "s.csv.gz", "s.jsonl.gz"):
        files.write(made, tmp_path / name)
        back = files.read(tmp_path / name, "scored")
        assert list(back) == [ScoredPair(p.sentence1, p.sentence2, p.score, p.origin) for p in made]
        columns = set(next(iter(files.rows(tmp_path / name)))[1])
        assert columns >= {"sampler", "rank", "raw", "calibrated", "labeller", "origin"}
    assert record_kind(made) == "scored"


def test_binary_targets_are_the_calibrated_score_at_the_threshold(labeller, many):
    curve = Calibration("platt", slope=2.0, intercept=0.5)
    calibration.save(labeller.path, curve, {})
    made = Silver(sampling=("bm25", "random"), pairs=80, target_form="binary", threshold=0.4).run(many, labeller, Job(1))
    assert {p.score for p in made} == {0.0, 1.0}
    assert all(p.score == float(curve(known(p.sentence1, p.sentence2)) >= 0.4) for p in made)
    assert len({p.calibrated for p in made}) > 5


def test_a_cross_encoder_off_the_shelf_labels_without_gold_and_is_calibrated_on_gold(labeller, many, gold):
    plain = Silver(sampling=("bm25",), pairs=30).run(many, labeller, Job(1))
    assert all(pair.score == pair.raw for pair in plain)
    rng = np.random.default_rng(0)
    gold = [ScoredPair(a.text, b.text, 0.0) for a, b in (rng.choice(np.array(many, dtype=object), 2) for _ in range(60))]
    gold = [ScoredPair(p.sentence1, p.sentence2, min(1.0, 1.4 * (known(p.sentence1, p.sentence2) - 0.05))) for p in gold]
    job = Job(1)
    made = Silver(sampling=("bm25",), pairs=30, min_spearman=0.9).run(many, labeller, job, gold=gold)
    curve = calibration.fit([known(p.sentence1, p.sentence2) for p in gold], [p.score for p in gold])
    assert curve.kind == "platt"
    assert all(p.score == pytest.approx(float(curve(known(p.sentence1, p.sentence2))), abs=1e-6) for p in made)
    summary = json.loads((job.out / "summary.json").read_text())
    assert summary["agreement"]["spearman"] == pytest.approx(1.0) and summary["calibration"] == "platt"


def test_a_real_classifier_off_the_shelf_labels_texts_alone(language_model, many, tmp_path):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoModelForSequenceClassification.from_pretrained(language_model, num_labels=1).save_pretrained(tmp_path / "m")
    AutoTokenizer.from_pretrained(language_model).save_pretrained(tmp_path / "m")
    (tmp_path / "texts.txt").write_text("\n".join(text.text for text in many))
    out = tmp_path / "silver.parquet"
    sources = {"texts": str(tmp_path / "texts.txt"), "cross_encoder": str(tmp_path / "m")}
    counts = single_stage.run_stage(Silver(sampling=("bm25", "random"), pairs=40), sources, out, 1, lambda event: None).counts
    made = files.read(out, "scored")
    assert len(made) == 40 == counts["rows"] and len({pair.score for pair in made}) > 10
    summary = json.loads((tmp_path / "silver.summary.json").read_text())
    assert summary["pairs"] == 40 == sum(summary["histogram"]["silver"]) and summary["agreement"] == {}
    assert (summary["bm25"], summary["random"]) == (20, 20)


def test_a_labeller_below_the_bound_is_refused(labeller, many, gold):
    ask = Silver(sampling=("bm25",), pairs=20, min_spearman=0.4)
    with pytest.raises(UserError, match="agreement with gold is unknown"):
        ask.run(many, labeller, Job(1))
    calibration.save(labeller.path, Calibration(), {})  # trained here, without held-out pairs
    with pytest.raises(UserError, match="agreement with gold is unknown"):
        ask.run(many, labeller, Job(1), gold=gold)
    calibration.save(labeller.path, Calibration(), {"rows": 40, "spearman": 0.39})
    with pytest.raises(WorkFailed, match=r"Spearman with gold is 0\.390 on 40 pairs, below min_spearman 0\.4"):
        ask.run(many, labeller, Job(1))
    calibration.save(labeller.path, Calibration(), {"rows": 40, "spearman": 0.4})
    assert len(ask.run(many, labeller, Job(1))) == 20


def test_the_same_seed_gives_the_same_rows_and_another_seed_others(labeller, many, gold):
    for sampling in (("bm25",), ("random",), ("kde",), ("bm25", "random")):
        stage = Silver(sampling=sampling, pairs=30, target_distribution="gold" if len(sampling) > 1 else "none")
        first, again, other = (list(stage.run(many, labeller, Job(seed), gold=gold)) for seed in (1, 1, 2))
        assert first == again and sides(first) != sides(other)


def test_a_killed_run_goes_on_with_the_first_part_that_is_missing(labeller, many, gold, tmp_path, monkeypatch):
    stage = Silver(sampling=("bm25", "kde"), pairs=40, shard_size=16)
    whole = list(stage.run(many, labeller, Job(1), gold=gold))
    sizes = list(labeller.asked)[1:]  # the first is gold's
    assert len(sizes) > 5 and set(sizes[:-1]) == {16}
    real, calls = scoring.predict, 0

    def dies(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == 5:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(scoring, "predict", dies)
    with pytest.raises(KeyboardInterrupt):
        stage.run(many, labeller, Job(1, work=work), gold=gold)
    monkeypatch.setattr(scoring, "predict", real)
    from adapt.retrieval import bm25

    monkeypatch.setattr(bm25, "top", None)  # the candidates are not looked for again
    labeller.asked.clear()
    resumed = list(stage.run(many, labeller, Job(1, work=work), gold=gold))
    assert resumed == whole and list(labeller.asked)[1:] == sizes[3:]


def test_rows_are_made_one_at_a_time_and_never_all_held(labeller, many, tmp_path, monkeypatch):
    alive, most = weakref.WeakSet(), 0

    class Watched(SilverPair):
        def __init__(self, *values):
            nonlocal most
            super().__init__(*values)
            alive.add(self)
            most = max(most, len(alive))

        __hash__ = object.__hash__

    import sys

    monkeypatch.setattr(sys.modules[Silver.__module__], "SilverPair", Watched)
    made = Silver(sampling=("random",), pairs=1_000, shard_size=50, max_per_text=None).run(many, labeller, Job(1))
    assert len(made) == 1_000 and most == 0 and max(labeller.asked) == 50
    files.write(made, tmp_path / "silver.csv")
    assert len(files.read(tmp_path / "silver.csv", "scored")) == 1_000 and 0 < most <= 3
    assert made[-1].sentence1 == made[999].sentence1 and len(made[10:20]) == 10
    assert isinstance(made, records.LazySequence)


def test_notes_show_the_histogram_and_say_when_there_are_fewer(labeller, many, gold):
    notes = []
    job = Job(1, listener=lambda event: notes.append(event.text) if event.kind == "note" else None)
    made = Silver(sampling=("bm25",), pairs=5_000).run(many, labeller, job, gold=gold)
    assert len(made) < 5_000 and "5,000 were requested" in notes[-1]
    assert notes[-13].startswith("silver: ") and notes[-12].split() == ["score", "candidates", "silver", "gold"]


def test_settings_that_do_not_fit_are_told_together():
    assert Silver().problems({"texts": "texts", "model": "encoder"}) == []
    assert "needs an encoder" in Silver().problems({})[0]
    found = Silver(sampling=("kde", "kde"), shares=(1,), target_distribution="gold").problems({})
    assert [word for word in ("follows gold", "needs gold", "each once", "1 numbers for 2") if any(word in f for f in found)] == [
        "follows gold", "needs gold", "each once", "1 numbers for 2",
    ]  # fmt: skip
    assert Silver(sampling=("kde",), target_distribution="gold").problems({"gold": "scored"}) == []


def test_texts_that_give_no_pair_are_refused(labeller):
    with pytest.raises(UserError, match="gave no candidate pair"):
        Silver(sampling=("bm25",)).run([Text("1", "Only one sentence stands in here.")], labeller, Job(1))


def test_lexical_candidates_go_by_the_words_of_their_language(labeller):
    # French endings: "traitements" and "traitement" share a stem in French, and in no other way.
    texts = [Text(str(i), text) for i, text in enumerate(["Les traitements curatifs.", "Le traitement curatif.", "Un autre cas."])]
    settings = {"sampling": ("bm25",), "pairs": 2, "unit": "text", "min_words": 1}
    (pair,) = Silver(**settings, language="french").run(texts, labeller, Job(1))
    assert {pair.sentence1, pair.sentence2} == {texts[0].text, texts[1].text}
    with pytest.raises(UserError, match="no candidate pair"):
        Silver(**settings, language="none").run(texts, labeller, Job(1))
