"""Every metric against the reference implementation of the field, on random data with ties."""

import random
from dataclasses import make_dataclass

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from adapt import checks
from adapt.records import ScoredPair, Triplet

from ..conftest import sentence
from .fake import Fake


def test_every_kind_is_found_by_name_and_by_ending():
    assert set(checks.names()) >= {"pairs", "retrieval", "sts", "triplets"}
    assert checks.kind_of("general-sts") == "sts" and checks.kind_of("sts-general") is None
    for kind in checks.names():
        check = checks.find(kind)
        assert check.main_metric and check.__class__.__doc__


@pytest.mark.parametrize("seed", range(3))
def test_sts_agrees_with_scipy_ties_included(seed):
    rng = np.random.default_rng(seed)
    pairs = [ScoredPair(f"a{i}", f"b{i}", round(float(rng.random()), 1)) for i in range(80)]
    vectors = {side: np.round(rng.normal(size=2), 1) for p in pairs for side in (p.sentence1, p.sentence2)}
    model = Fake(vectors)
    found = checks.find("sts").measure(pairs, model)
    predicted = model.score([(p.sentence1, p.sentence2) for p in pairs])
    gold = [p.score for p in pairs]
    assert found.metrics["spearman"] == pytest.approx(spearmanr(gold, predicted).statistic, abs=1e-9)
    assert found.metrics["pearson"] == pytest.approx(pearsonr(gold, predicted).statistic, abs=1e-9)


def test_spearman_within_thirds_of_the_scores():
    rng = np.random.default_rng(6)
    scores = [*np.linspace(0, 0.3, 40), *np.linspace(0.4, 0.6, 12), *np.linspace(0.7, 1, 30)]
    pairs = [ScoredPair(f"a{i}", f"b{i}", float(score)) for i, score in enumerate(scores)]
    model = Fake({side: rng.normal(size=3) for p in pairs for side in (p.sentence1, p.sentence2)})
    found = checks.find("sts").measure(pairs, model).metrics
    predicted = model.score([(p.sentence1, p.sentence2) for p in pairs])
    assert found["spearman_low"] == pytest.approx(spearmanr(scores[:40], predicted[:40]).statistic, abs=1e-9)
    assert found["spearman_high"] == pytest.approx(spearmanr(scores[52:], predicted[52:]).statistic, abs=1e-9)
    assert "spearman_middle" not in found  # twelve rows say nothing


def test_a_band_of_one_score_has_no_correlation():
    pairs = [ScoredPair(f"a{i}", f"b{i}", float(i % 2)) for i in range(60)]
    model = Fake({side: [1.0, i] for i, p in enumerate(pairs) for side in (p.sentence1, p.sentence2)})
    assert set(checks.find("sts").measure(pairs, model).metrics) == {"spearman", "pearson"}


def test_triplet_accuracy_by_hand_for_each_distance():
    table = {"a": [1, 0], "near": [3, 0.1], "far": [0.5, 0.5], "tie": [1, 0], "aside": [0.9, 0.43]}
    rows = [Triplet("a", "near", ("far",)), Triplet("a", "tie", ("a",)), Triplet("a", "far", ("near",))]
    found = checks.find("triplets").measure(rows, Fake(table))
    assert found.items["manhattan_accuracy"] == [0.0, 0.0, 1.0]
    assert found.items["margin_satisfied"] == [1.0, 0.0, 0.0]  # cosines 0.9994 and 0.7071
    close = checks.find("triplets").measure([Triplet("a", "near", ("aside",))], Fake(table))  # 0.9994 and 0.9023
    assert close.metrics["cosine_accuracy"] == 1 and close.metrics["margin_satisfied"] == 0
    assert found.items["cosine_accuracy"] == [1.0, 0.0, 0.0]  # by angle `near` wins; a tie is no success
    assert found.items["euclidean_accuracy"] == [0.0, 0.0, 1.0]  # by distance the short vector is nearer


def test_triplet_accuracy_agrees_with_sentence_transformers(embedder, monkeypatch):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator

    from adapt.job import Job
    from adapt.pipeline.measurements import BiEncoderModel

    rng = random.Random(9)
    rows = [Triplet(sentence(rng, 4), sentence(rng, 6), (sentence(rng, 6),)) for _ in range(40)]
    names = ["cosine", "euclidean", "manhattan"]
    sides = [r.anchor for r in rows], [r.positive for r in rows], [r.negatives[0] for r in rows]
    plain = TripletEvaluator(*sides, name="t", similarity_fn_names=names)
    apart = TripletEvaluator(*sides, name="t", similarity_fn_names=["cosine"], margin=0.02)
    monkeypatch.setattr("adapt.checks.kinds.triplets.MARGIN", 0.02)  # random weights set nothing far apart
    model = SentenceTransformer(str(embedder), device="cpu")
    theirs = {**plain(model), "margin": apart(model)["t_cosine_accuracy"]}
    found = checks.find("triplets").measure(rows, BiEncoderModel(embedder, Job())).metrics
    for name in names:
        assert found[f"{name}_accuracy"] == pytest.approx(theirs[f"t_{name}_accuracy"], abs=1e-7)  # theirs is a float32 mean
    assert found["margin_satisfied"] == pytest.approx(theirs["margin"], abs=1e-7) and 0 < theirs["margin"] < 1


def test_triplets_of_one_anchor_are_one_group():
    table = {text: [1.0, i] for i, text in enumerate("apnmb")}
    found = checks.find("triplets").measure([Triplet("a", "p", ("n", "m")), Triplet("b", "p", ("n",))], Fake(table))
    assert found.groups == ["a", "a", "b"] and found.rows == 3 and found.topics == ()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("digits", [1, 2, 12])  # the fewer, the more ties
def test_pairs_agree_with_scikit_learn_and_sentence_transformers_ties_included(seed, digits):
    from sentence_transformers.sentence_transformer.evaluation import BinaryClassificationEvaluator
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    rng = np.random.default_rng(seed)
    gold = rng.random(90) < 0.3
    scores = np.round(np.clip(rng.normal(0.3 + 0.3 * gold, 0.25), 0, 1), digits)

    class Scores:
        def score(self, pairs):
            return scores

    found = checks.find("pairs").measure([ScoredPair("a", "b", float(g)) for g in gold], Scores()).metrics
    assert found["ap"] == pytest.approx(average_precision_score(gold, scores), abs=1e-9)
    assert found["auc"] == pytest.approx(roc_auc_score(gold, scores), abs=1e-9)
    f1, _, _, threshold = BinaryClassificationEvaluator.find_best_f1_and_threshold(scores, gold.astype(int), True)
    assert found["f1"] == pytest.approx(f1, abs=1e-9) and found["f1_threshold"] == pytest.approx(threshold, abs=1e-9)
    assert f1_score(gold, scores >= found["f1_threshold"]) == pytest.approx(found["f1"], abs=1e-9)


def test_the_threshold_where_all_pairs_match_best_is_the_lowest_score():
    from adapt.checks.kinds.pairs import best_threshold

    assert best_threshold(np.array([True, False, True]), np.array([0.9, 0.5, 0.2])) == 0.2
    assert best_threshold(np.array([True, True, False]), np.array([0.9, 0.5, 0.2])) == pytest.approx(0.35)


@pytest.mark.parametrize("kind", ["sts", "pairs", "triplets"])
def test_rows_with_a_topic_keep_it(kind):
    scored, triplet = make_dataclass("S", [("topic", str)], bases=(ScoredPair,), frozen=True, kw_only=True), Triplet
    rows = [scored("a", "b", 0.0, topic="x"), scored("b", "c", 1.0, topic="")]
    if kind == "triplets":
        triplet = make_dataclass("T", [("topic", str)], bases=(Triplet,), frozen=True, kw_only=True)
        rows = [triplet("a", "b", ("c",), topic="x"), triplet("b", "c", ("a",), topic="")]
    assert checks.find(kind).measure(rows, Fake({"a": [1, 0], "b": [0, 1], "c": [1, 1]})).topics == ["x", ""]


def test_pairs_agree_with_scikit_learn_by_hand():
    table = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.2, 0.8], "d": [0.5, 0.5]}
    rows = [ScoredPair("a", "b", 1.0), ScoredPair("a", "c", 0.0), ScoredPair("a", "d", 1.0), ScoredPair("b", "d", 0.0)]
    found = checks.find("pairs").measure(rows, Fake(table))  # cosines 0.9, 0.2, 0.5, 0.5: one tie across the classes
    assert found.metrics["auc"] == pytest.approx((2 + 1 + 0.5) / 4)
