"""Hits of retrievers without the texts that must not be negatives."""

from types import SimpleNamespace

import numpy as np

from adapt.retrieval.hits import Hits


def test_ranks_are_the_retrievers_own_whatever_is_excluded():
    """Fusion weighs by rank: a hit behind excluded ones must not move up."""
    known = SimpleNamespace(exclusion_mask=lambda pair, places: np.isin(places, [4, 2]))
    ranked = {"dense": np.array([[4, 7, 2, 9, -1]])}
    places, ranks = Hits(["the pair"], [], known, [0], np.zeros((1, 2)), np.zeros((10, 2)), ranked).candidates(0, "dense")
    assert places.tolist() == [7, 9] and ranks.tolist() == [2, 4]
    places, ranks = Hits(["the pair"], [], known, [0], np.zeros((1, 2)), np.zeros((10, 2)), ranked, skip=2).candidates(0, "dense")
    assert places.tolist() == [9] and ranks.tolist() == [4]
