import math
import random

import numpy as np
import pytest
import torch

from adapt.records import Pair
from adapt.retrieval import bm25, dense, topk
from adapt.retrieval.exclusions import Exclusions
from adapt.text.stems import stems


def brute_force_bm25(corpus, query, k1=1.5, b=0.75):
    """Lucene's BM25, term by term (the method that bm25s calls `lucene`)."""
    documents = [stems(text) for text in corpus]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for term in stems(query):
            n = sum(term in d for d in documents)
            f = document.count(term)
            idf = math.log(1 + (len(documents) - n + 0.5) / (n + 0.5))
            score += idf * f / (f + k1 * (1 - b + b * len(document) / mean))
        scores.append(score)
    return np.array(scores)


def test_bm25_agrees_with_the_formula():
    rng = random.Random(2)
    words = ["heart", "failure", "oedema", "diuretic", "kidney", "potassium", "sodium", "dose", "morning", "night", "rash", "fever"]
    corpus = [" ".join(rng.choices(words, k=rng.randint(4, 12))) for _ in range(30)]
    indices, scores = bm25.top(corpus, ["potassium and the kidney", "night fever"], 30)
    for row, query in enumerate(["potassium and the kidney", "night fever"]):
        wanted = brute_force_bm25(corpus, query)
        np.testing.assert_allclose(scores[row], wanted[indices[row]], rtol=1e-5)
        assert (np.diff(scores[row]) <= 1e-6).all()


def test_a_query_without_a_known_word_scores_nothing():
    indices, scores = bm25.top(["heart failure", "kidney stones"], ["zebra"], 5)
    assert indices.tolist() == [[0, 1]] and scores.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("least", [0, 10**15])
def test_compiled_and_plain_search_give_the_order_of_the_formula_with_ties_by_index(monkeypatch, least):
    pytest.importorskip("numba")
    monkeypatch.setattr(topk, "COMPILED", least)
    rng = random.Random(4)
    words = [f"w{i}" for i in range(30)]
    corpus = [" ".join(rng.choices(words, k=rng.randint(1, 4))) for _ in range(400)]  # short: many documents score the same
    queries = [" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(50)] + ["unknown", "w1 w1 w2"]
    everything, scored = bm25.top(corpus, queries, 400)
    for row, query in enumerate(queries):
        np.testing.assert_allclose(scored[row], brute_force_bm25(corpus, query)[everything[row]], rtol=1e-5, atol=1e-6)
        by_score_then_index = sorted(zip(-np.round(scored[row].astype(np.float64), 6), everything[row], strict=True))
        assert everything[row].tolist() == [index for _, index in by_score_then_index]
    for k in (1, 7, 1_000):
        indices, scores = bm25.top(corpus, queries, k)
        assert (indices == everything[:, :k]).all() and (scores == scored[:, :k]).all()


def test_a_language_is_stemmed_by_its_own_rules():
    corpus = ["der Patient nimmt Tabletten", "die Behandlung der Niere", "das Herz schlägt"]
    assert bm25.top(corpus, ["Behandlungen"], 1, "german")[0][0, 0] == 1
    assert bm25.top(corpus, ["Behandlungen"], 1, "none")[1][0, 0] == 0


def test_texts_without_spaces_are_found_by_their_character_pairs():
    corpus = ["心脏病患者需要休息。", "高血压的治疗方法很多。", "糖尿病与饮食有关。"]
    assert bm25.top(corpus, ["如何治疗高血压"], 1)[0][0, 0] == 1


@pytest.mark.parametrize("way", ["compiled", "plain", "on a GPU"])
@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("size", [5, 90, 3_000])
def test_dense_top_equals_a_full_sort_whichever_way_it_goes(monkeypatch, size, digits, way):
    monkeypatch.setattr(topk, "COMPILED", 10**15 if way == "plain" else 0)
    monkeypatch.setattr(dense, "_gpu", lambda: torch.device("cpu") if way == "on a GPU" else None)
    monkeypatch.setattr(dense, "GPU_BLOCK", 900)
    monkeypatch.setattr(dense, "QUERIES", 64)
    monkeypatch.setattr(dense, "CORPUS", 700)
    monkeypatch.setattr(dense, "WIDE", 1)
    rng = np.random.default_rng(0)
    # To one digit hundreds of documents tie, within blocks and across them.
    queries = np.round(rng.normal(size=(150, 3)), digits).astype(np.float32)
    corpus = np.round(rng.normal(size=(size, 3)), digits).astype(np.float32)
    for k in (1, 7, 40, 5_000):
        indices, scores = dense.top(queries, corpus, k)
        wanted = np.argsort(-np.round((queries @ corpus.T).astype(np.float64), 6), axis=1, kind="stable")[:, :k]
        assert (indices == wanted).all()
        # A sum of three products of up to about 4 · 4 is off by 3 · 16 · 2^-24, and its order differs from one way to another.
        np.testing.assert_allclose(scores, np.take_along_axis(queries @ corpus.T, wanted, axis=1), rtol=1e-6, atol=4e-6)


@pytest.mark.parametrize("least", [0, 10**15])
def test_dense_top_never_holds_all_scores_at_once(monkeypatch, least):
    monkeypatch.setattr(topk, "COMPILED", least)
    import tracemalloc

    rng = np.random.default_rng(1)
    queries, corpus = rng.random((1_000, 4), dtype=np.float32), rng.random((80_000, 4), dtype=np.float32)
    tracemalloc.start()
    dense.top(queries, corpus, 10)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6 < 1_000 * 80_000 * 4


def test_ties_go_to_the_lower_index():
    corpus = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert dense.top(np.array([[1, 0]], dtype=np.float32), corpus, 2)[0].tolist() == [[1, 2]]


def test_texts_connected_by_pairs_are_one_family_in_either_direction_and_through_each_other():
    pairs = [Pair("q1", "p1"), Pair("q2", "p1"), Pair("p2", "q2"), Pair("q3", "p3")]
    pool = ["p1", "q2", "P2!", "p3", "unseen"]
    families = Exclusions(pairs, [], pool).families
    assert len(set(families[:3])) == 1 and len(set(families.tolist())) == 3
    assert [np.flatnonzero(Exclusions(pairs, [], pool).exclusion_mask(pair, np.arange(5))).tolist() for pair in pairs] == [
        [0, 1, 2], [0, 1, 2], [0, 1, 2], [3]
    ]  # fmt: skip


def test_near_duplicates_of_a_positive_belong_to_its_family():
    long = "the first choice for this is a water tablet taken in the morning with food and plenty to drink for a week or more"
    exclusions = Exclusions([Pair("q", long)], [], [long, long + " today", "something else"])
    assert exclusions.near_copies == 1
    assert exclusions.exclusion_mask(Pair("q", long), np.arange(3)).tolist() == [True, True, False]


@pytest.mark.parametrize("scale", [1.0, 1e5])
def test_what_is_held_is_sorted_best_first_and_ties_by_place_however_large_scores_are(scale):
    scores = (np.random.default_rng(4).integers(-20, 20, (6, 300)) * scale).astype(np.float32)
    held = topk.Held(6, 40)
    held.show(scores)
    places, values = held.sorted()
    wanted = np.argsort(-scores, axis=1, kind="stable")[:, :40]
    assert np.array_equal(places, wanted) and np.array_equal(values, np.take_along_axis(scores, wanted, axis=1))
