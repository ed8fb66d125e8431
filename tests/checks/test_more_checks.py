"""Reranking, clustering and classification against the reference implementations of the field."""

import json

import numpy as np
import pytest

from adapt import checks
from adapt.checks.kinds.reranking import RerankingQuery
from adapt.errors import UserError
from adapt.records import Text

from .test_checks import Fake


def test_reranking_agrees_with_sentence_transformers(embedder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import RerankingEvaluator

    from adapt.job import Job
    from adapt.pipeline.measurements import BiEncoderModel

    words = ("pain", "rash", "fever", "dose", "left", "mild", "severe", "clinic")
    rows = [
        RerankingQuery(
            f"heart {w}.", (f"heart {w} cough.", f"liver {w}."), tuple(f"skin {v} tablet {w}." for v in words[:5] if v != w)
        )
        for w in words
    ]
    samples = [{"query": r.query, "positive": list(r.positives), "negative": list(r.negatives)} for r in rows]
    theirs = RerankingEvaluator(samples, at_k=10, name="t")(SentenceTransformer(str(embedder), device="cpu"))
    found = checks.find("reranking").measure(rows, BiEncoderModel(embedder, Job()))
    wanted = {"map": "t_map", "mrr@10": "t_mrr@10", "ndcg@10": "t_ndcg@10"}
    for metric, name in wanted.items():
        assert found.metrics[metric] == pytest.approx(theirs[name], abs=1e-9), metric
        assert np.mean(found.items[metric]) == pytest.approx(found.metrics[metric])


def test_a_model_that_tells_nothing_apart_ranks_the_positive_last():
    blind = Fake({text: [1, 0] for text in "qpnm"})
    found = checks.find("reranking").measure([RerankingQuery("q", ("p",), ("n", "m"))], blind)
    assert found.metrics["map"] == pytest.approx(1 / 3)


def test_reranking_rows_are_read_and_bad_ones_told(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps({"query": "q", "positive": "p", "negative": ["n", "m"]}) + "\n")
    assert checks.find("reranking").read(str(file)) == [RerankingQuery("q", ("p",), ("n", "m"))]
    file.write_text(json.dumps({"query": "q", "positive": []}) + "\n" + json.dumps({"query": ""}) + "\n")
    with pytest.raises(UserError) as caught:
        checks.find("reranking").read(str(file))
    assert len(caught.value.problems) == 2 and "line 1" in caught.value.problems[0]


def test_reranked_queries_that_share_a_positive_are_one_group():
    rows = [
        RerankingQuery("q", ("p", "r"), ("n",), "skin"),
        RerankingQuery("s", ("r",), ("n",)),
        RerankingQuery("t", ("u",), ("n",)),
    ]
    found = checks.find("reranking").measure(rows, Fake({text: [1, i] for i, text in enumerate("qprnstu")}))
    assert found.groups == ["p", "p", "u"] and found.topics == ["skin", "", ""]


@pytest.fixture
def topics():
    """Three topics around three directions, the last two near each other."""
    rng = np.random.default_rng(3)
    texts = [Text(f"{i}", f"text {i}", topic="abc"[i % 3]) for i in range(60)]
    centres = {"a": [1, 0, 0], "b": [0, 1, 0.0], "c": [0, 0.8, 0.6]}
    vectors = {t.text: rng.normal(centres[t.topic], 0.25) for t in texts}
    return texts, Fake({text: v / np.linalg.norm(v) for text, v in vectors.items()})


def test_clustering_by_brute_force_and_scikit_learn(topics):
    from sklearn.cluster import KMeans
    from sklearn.metrics import v_measure_score

    texts, model = topics
    found = checks.find("clustering").measure(texts, model)
    vectors = model.embed([t.text for t in texts]).astype(np.float64)
    gold = [t.topic for t in texts]
    wanted = np.mean([v_measure_score(gold, KMeans(3, n_init=1, random_state=s).fit_predict(vectors)) for s in range(10)])
    assert found.metrics["v_measure"] == pytest.approx(wanted, abs=1e-9)
    cosines = vectors @ vectors.T
    for i in range(60):
        own = [cosines[i, j] for j in range(60) if gold[j] == gold[i] and j != i]
        other = [cosines[i, j] for j in range(60) if gold[j] != gold[i]]
        assert found.items["separation"][i] == pytest.approx(np.mean(own) - np.mean(other), abs=1e-9)


def test_a_probe_judges_each_text_unseen(topics):
    texts, model = topics
    found = checks.find("classification").measure(texts, model)
    assert found.metrics["accuracy"] == np.mean(found.items["accuracy"]) and 0.8 < found.metrics["accuracy"] <= 1
    rng = np.random.default_rng(0)
    lost = [Text(t.id, t.text, topic="abc"[rng.integers(3)]) for t in texts]  # topics that the vectors know nothing of
    assert checks.find("classification").measure(lost, model).metrics["accuracy"] < 0.6


def test_texts_without_topics_are_refused(tmp_path):
    file = tmp_path / "texts.csv"
    file.write_text("text,topic\na b,x\nc d,x\n")
    for kind in ("clustering", "classification"):
        with pytest.raises(UserError, match="two topics or more"):
            checks.find(kind).read(str(file))
