"""Exact search on a GPU gives the CPU's neighbours."""

import numpy as np

from adapt.retrieval import dense, topk


def test_neighbours_are_those_of_a_full_sort(on, monkeypatch):
    on("cuda")
    monkeypatch.setattr(topk, "COMPILED", 0)
    rng = np.random.default_rng(0)
    queries, corpus = (rng.normal(size=(count, 48)).astype(np.float32) for count in (1_500, 70_000))
    queries, corpus = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (queries, corpus))
    indices, scores = dense.top(queries, corpus, 40)
    on("cpu")
    wanted, values = dense.top(queries, corpus, 40)
    np.testing.assert_allclose(scores, values, atol=2e-6)
    assert (indices == wanted).mean() > 0.999  # a tie to six digits may fall either way where the seventh differs
