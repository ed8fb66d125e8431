import numpy as np
import pytest

from adapt.retrieval.candidates import at_random, counts, from_neighbours, joined, mixed, quotas

NONE = np.zeros(0, dtype=np.int64)


def pairs(candidates):
    return list(zip(candidates.first.tolist(), candidates.second.tolist(), strict=True))


def test_neighbours_come_rank_by_rank_and_a_text_is_no_neighbour_of_itself():
    found = np.array([[7, 1, 2], [3, 8, 4], [5, 6, -1]])
    made = from_neighbours(np.array([7, 8, 9]), found)
    # 7 is its own first hit; 8 its own second; 9 is not among its hits, of which two count.
    assert pairs(made) == [(7, 1), (8, 3), (9, 5), (7, 2), (8, 4), (9, 6)]
    assert made.rank.tolist() == [1, 1, 1, 2, 2, 2]


def test_random_pairs_are_of_different_units_and_reach_all_of_them():
    made = at_random(5, 2_000, np.random.default_rng(1))
    assert len(made) == 2_000 and (made.first != made.second).all() and not made.rank.any()
    seen = np.bincount(made.first * 5 + made.second, minlength=25).reshape(5, 5)
    assert (seen[~np.eye(5, dtype=bool)] > 50).all()  # 100 expected of each of the 20
    assert len(at_random(1, 10, np.random.default_rng(1))) == 0


def test_quotas_are_exact_and_as_near_to_the_shares_as_whole_numbers_are():
    assert quotas(100, [1, 1]) == [50, 50]
    assert quotas(10, [1, 1, 1]) == [4, 3, 3]
    assert quotas(7, [0.5, 0.3, 0.2]) == [4, 2, 1]
    assert quotas(3, [8, 1, 1]) == [3, 0, 0]  # 2.4, 0.3, 0.3
    rng = np.random.default_rng(0)
    for _ in range(50):
        shares = rng.random(4) + 0.01
        found = quotas(97, shares)
        assert sum(found) == 97 and np.abs(found - 97 * shares / shares.sum()).max() < 1


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_repeats_nothing_in_either_direction_and_keeps_its_quotas(seed):
    rng = np.random.default_rng(seed)
    parts = [at_random(30, 400, np.random.default_rng([seed, i])) for i in range(3)]
    gold = rng.integers(0, 30, (40, 2))
    taken = np.minimum(*gold.T) * 30 + np.maximum(*gold.T)
    made = mixed(parts, [40, 20, 10], 30, taken, per_unit=9, fill=False)
    sides = [frozenset(pair) for pair in pairs(made)]
    assert len(sides) == len(set(sides)) == 70 and all(len(side) == 2 for side in sides)
    assert not set(sides) & {frozenset(pair) for pair in gold.tolist()}
    assert counts(made, ["a", "b", "c"]) == {"a": 40, "b": 20, "c": 10}
    assert np.bincount(np.concatenate([made.first, made.second])).max() <= 9
    assert counts(made.take(np.arange(35)), ["a", "b", "c"])["a"] == pytest.approx(20, abs=2)  # any part is mixed alike


def test_what_one_sampler_lacks_the_others_give_only_where_they_may():
    few = from_neighbours(np.array([0]), np.array([[0, 1]]))
    many = from_neighbours(np.arange(10), (np.arange(10)[:, None] + np.arange(5)) % 10)
    assert counts(mixed([few, many], [10, 10], 10, NONE), "ab") == {"a": 1, "b": 19}
    assert counts(mixed([few, many], [10, 10], 10, NONE, fill=False), "ab") == {"a": 1, "b": 10}


def test_a_pair_that_two_samplers_found_counts_once():
    one = from_neighbours(np.array([0, 2]), np.array([[1], [3]])[:, [0, 0]])
    other = from_neighbours(np.array([1, 4]), np.array([[0], [5]])[:, [0, 0]])  # (1, 0) is (0, 1)
    made = mixed([one, other], [5, 5], 6, NONE)
    assert {frozenset(pair) for pair in pairs(made)} == {frozenset((0, 1)), frozenset((2, 3)), frozenset((4, 5))}
    assert counts(made, "ab") == {"a": 2, "b": 1}


def test_joined_samplers_take_turns():
    one, other = from_neighbours(np.arange(3), np.arange(3)[:, None] + [0, 1]), at_random(9, 5, np.random.default_rng(0))
    made = joined([one, other])
    assert len(made) == 8 and made.rank.tolist() == [1, 0, 1, 0, 1, 0, 0, 0]
