import math
import random

import numpy as np

from adapt.search import bm25, dense
from adapt.search.known import Related
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


def test_dense_top_equals_a_full_sort():
    rng = np.random.default_rng(0)
    queries, corpus = rng.normal(size=(700, 8)).astype(np.float32), rng.normal(size=(90, 8)).astype(np.float32)
    indices, scores = dense.top(queries, corpus, 7)
    wanted = np.argsort(-np.round((queries @ corpus.T).astype(np.float64), 6), axis=1, kind="stable")[:, :7]
    assert (indices == wanted).all()
    np.testing.assert_allclose(scores, np.take_along_axis(queries @ corpus.T, wanted, axis=1), rtol=1e-6)


def test_ties_go_to_the_lower_index():
    corpus = np.array([[0, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    assert dense.top(np.array([[1, 0]], dtype=np.float32), corpus, 2)[0].tolist() == [[1, 2]]


def test_related_texts_are_tied_in_either_direction_and_through_each_other():
    related = Related([("q1", "p1"), ("q2", "p1"), ("p2", "q2"), ("q3", "p3")])
    assert related.family("q1") == related.family("P2!") == related.family("p1")
    assert related.family("q3") != related.family("q1") and related.family("unseen") == "unseen"


def test_near_copies_of_a_positive_are_tied_to_it():
    long = "the first choice for this is a water tablet taken in the morning with food and plenty to drink for a week or more"
    related = Related([("q", long)])
    assert related.tie_near_copies([long], [long, long + " today", "something else"]) == 1
    assert related.family(long + " today") == related.family("q") != related.family("something else")
