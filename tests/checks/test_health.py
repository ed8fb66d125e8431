"""Diagnostics of an embedding space against values known on paper and against brute force."""

import itertools
import math

import numpy as np
import pytest

from adapt import checks
from adapt.checks import health
from adapt.checks.kinds.reranking import RerankingQuery
from adapt.checks.kinds.retrieval import RetrievalData
from adapt.records import Parallel, ScoredPair, Text, Triplet
from adapt.retrieval.cosine_histogram import overlap_coefficient

from .fake import Fake


def unit(rng, n, d):
    vectors = rng.normal(size=(n, d))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_collapsed_space_has_rank_one_and_cosine_one():
    found = health.diagnostics(health.HealthData([f"t{i}" for i in range(30)]), Fake({f"t{i}": [0.6, 0.8, 0.0] for i in range(30)}))
    assert found["mean_cosine"] == pytest.approx(1, abs=1e-6) and found["uniformity"] == pytest.approx(0, abs=1e-6)
    assert found["effective_rank"] == pytest.approx(1, abs=1e-6)


def test_orthonormal_vectors_use_every_direction():
    vectors = np.eye(12)
    assert health.mean_cosine(vectors) == pytest.approx(0, abs=1e-12)
    assert health.uniformity(vectors) == pytest.approx(-4)  # every squared distance is 2
    assert health.effective_rank(vectors) == pytest.approx(12)


def test_two_opposite_vectors():
    vectors = np.array([[1.0, 0.0], [-1.0, 0.0]])
    assert health.uniformity(vectors) == pytest.approx(-8) and health.mean_cosine(vectors) == -1
    assert health.effective_rank(vectors) == pytest.approx(1)


def test_effective_rank_by_hand():
    # Singular values 3 and 1: shares 0.75 and 0.25.
    vectors = np.array([[3.0, 0.0], [0.0, 1.0]])
    assert health.effective_rank(vectors) == pytest.approx(math.exp(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25))))


@pytest.mark.parametrize("shape", [(50, 8), (6, 20)])
def test_effective_rank_from_singular_values(shape):
    vectors = np.random.default_rng(4).normal(size=shape) * np.geomspace(1, 1e-3, shape[1])
    values = np.linalg.svd(vectors, compute_uv=False)
    shares = values / values.sum()
    assert health.effective_rank(vectors) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), abs=1e-6)


def test_pairs_by_brute_force():
    rng = np.random.default_rng(1)
    vectors = unit(rng, 40, 6)
    pairs = list(itertools.permutations(range(40), 2))
    assert health.mean_cosine(vectors) == pytest.approx(np.mean([vectors[i] @ vectors[j] for i, j in pairs]), abs=1e-12)
    gaussian = np.mean([math.exp(-2 * ((vectors[i] - vectors[j]) ** 2).sum()) for i, j in pairs])
    assert health.uniformity(vectors) == pytest.approx(math.log(gaussian), abs=1e-12)
    topics = [("", "a", "b", "c")[rng.integers(4)] for _ in range(40)]
    found = health.by_topic(vectors, topics)
    for name, wanted in (("within_topic", True), ("between_topics", False)):
        cosines = [vectors[i] @ vectors[j] for i, j in pairs if topics[i] and topics[j] and (topics[i] == topics[j]) is wanted]
        assert found[name] == pytest.approx(np.mean(cosines), abs=1e-12)


def test_one_topic_and_single_texts_leave_out_what_they_cannot_tell():
    vectors = unit(np.random.default_rng(0), 3, 4)
    assert set(health.by_topic(vectors, ["a", "a", ""])) == {"within_topic"}
    assert set(health.by_topic(vectors, ["a", "b", ""])) == {"between_topics"}
    assert health.mean_cosine(vectors[:1]) == 1 and health.uniformity(vectors[:1]) == 0


@pytest.fixture
def judged():
    rng = np.random.default_rng(7)
    corpus = [Text(f"d{i}", f"passage {i}", topic="ab"[i % 2] if i < 20 else "") for i in range(30)]
    corpus.append(Text("copy", "passage 3"))  # the same text again is not a hard negative
    queries = [Text(f"q{i}", f"query {i}", topic="c") for i in range(8)] + [Text("q8", "passage 25")]
    relevant = {q.id: {f"d{j}": 1.0 for j in rng.choice(30, 2, replace=False)} for q in queries} | {"q0": {"d3": 1.0}}
    texts = list(dict.fromkeys(t.text for t in [*corpus, *queries]))
    return RetrievalData(queries, corpus, relevant), Fake(dict(zip(texts, unit(rng, len(texts), 5), strict=True)))


def test_retrieval_by_brute_force(judged):
    data, model = judged
    found = health.health("retrieval", data, model)
    text_of = {t.id: t.text for t in data.corpus}
    positive, hard = [], []
    for query in data.queries:
        right = {text_of[name] for name in data.relevant[query.id]}
        positive += [model.table[query.text] @ model.table[text] for text in right]
        hard.append(max(model.table[query.text] @ model.table[t] for t in text_of.values() if t not in right | {query.text}))
    assert found["positive_mean"] == pytest.approx(np.mean(positive)) and found["positive_sd"] == pytest.approx(np.std(positive))
    assert found["hard_negative_mean"] == pytest.approx(np.mean(hard)) and found["hard_negative_sd"] == pytest.approx(np.std(hard))
    assert found["alignment"] == pytest.approx(2 - 2 * np.mean(positive))
    assert found["overlap_hard_negative"] == pytest.approx(overlap_coefficient(np.array(positive), np.array(hard)))
    everything = [model.table[q.text] @ model.table[t] for q in data.queries for t in set(text_of.values())]
    assert found["random_mean"] == pytest.approx(np.mean(everything), abs=0.25) and 0 <= found["overlap_random"] <= 1
    assert found == health.health("retrieval", data, model)  # what is drawn is drawn the same again


def test_a_passage_without_a_topic_has_that_of_its_question(judged):
    data, _ = judged
    space = checks.find("retrieval").health_data(data)
    asked = {name for grades in data.relevant.values() for name in grades}
    for text in data.corpus[:30]:
        wanted = text.topic or ("c" if any(q.topic and text.id in data.relevant[q.id] for q in data.queries) else "")
        assert space.topics[space.texts.index(text.text)] == wanted, (text, asked)


def test_every_kind_of_check_has_finite_diagnostics():
    texts = [Text(f"{i}", f"text {i}", topic="abc"[i % 3]) for i in range(30)]
    scored = [ScoredPair(f"text {i}", f"text {i + 1}", i % 2) for i in range(28)]
    data = {
        "sts": scored, "pairs": scored, "clustering": texts, "classification": texts,
        "triplets": [Triplet(f"text {i}", f"text {i + 1}", (f"text {i + 2}", f"text {i + 3}")) for i in range(20)],
        "reranking": [RerankingQuery(f"text {i}", (f"text {i + 1}",), (f"text {i + 2}",)) for i in range(20)],
        "translation": [Parallel(f"text {i}", f"text {i + 1}") for i in range(20)],
        "retrieval": RetrievalData(texts[:5], texts[5:], {f"{i}": {f"{i + 6}": 1.0} for i in range(5)}),
    }  # fmt: skip
    model = Fake(dict(zip((t.text for t in texts), unit(np.random.default_rng(2), 30, 4), strict=True)))
    assert set(data) == set(checks.names())
    for kind, rows in data.items():
        found = health.health(kind, rows, model)
        assert all(isinstance(v, float) and math.isfinite(v) for v in found.values()), kind
        assert {"mean_cosine", "uniformity", "effective_rank"} <= set(found)
        assert ("within_topic" in found) == (kind in ("clustering", "classification", "retrieval"))
        assert ("alignment" in found) == (kind not in ("clustering", "classification"))


def test_triplets_have_their_own_negatives_and_scored_pairs_any_other_text():
    table = {"a": [1, 0], "p": [0.8, 0.6], "n": [0.6, 0.8], "m": [0, 1], "z": [0.9, math.sqrt(0.19)]}
    own = health.health("triplets", [Triplet("a", "p", ("n", "m")), Triplet("z", "p", ("m",))], Fake(table))
    assert own["hard_negative_mean"] == pytest.approx((0.6 + math.sqrt(0.19)) / 2)
    rows = [ScoredPair("a", "p", 0.9), ScoredPair("a", "n", 0.1), ScoredPair("z", "m", 0.2)]
    assert health.health("sts", rows, Fake(table))["hard_negative_mean"] == pytest.approx(0.9)


def test_hard_negatives_come_from_the_search_that_the_measurement_made(monkeypatch):
    from adapt.retrieval import dense, neighbours

    rng = np.random.default_rng(6)
    vectors = {name: v / np.linalg.norm(v) for name, v in ((f"t{i}", rng.normal(size=16)) for i in range(700))}
    queries, corpus = [Text(f"q{i}", f"t{i}") for i in range(40)], [Text(f"p{i}", f"t{i}") for i in range(40, 700)]
    data = RetrievalData(queries, corpus, {f"q{i}": {f"p{40 + i}": 1.0} for i in range(40)})
    check = checks.find("retrieval")
    neighbours._recent.clear()
    apart = health.health("retrieval", data, Fake(vectors))
    check.measure(data, Fake(vectors))
    searches = []
    monkeypatch.setattr(dense, "top", lambda *given: searches.append(given))
    assert health.health("retrieval", data, Fake(vectors)) == apart and not searches


def test_neighbours_are_those_of_the_passages_and_queries_that_were_searched():
    from adapt.checks import ranking
    from adapt.retrieval import dense, neighbours

    rng = np.random.default_rng(7)
    queries, passages = rng.normal(size=(9, 8)).astype(np.float32), rng.normal(size=(300, 8)).astype(np.float32)
    list(ranking.ranks(queries, passages, [np.array([3])] * 9, [5] * 9))  # what a query excludes is a neighbour all the same
    for asked, searched, k in (
        (queries, passages, 7), (queries[[4, 2]], passages, 100), (queries, passages, 200), (queries, passages[:50], 7),
        (queries + 1, passages, 7),
    ):  # fmt: skip
        found, wanted = neighbours.nearest(asked, searched, k), dense.top(asked, searched, k)
        assert np.array_equal(found[0], wanted[0]) and np.array_equal(found[1], wanted[1])
