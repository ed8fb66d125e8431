import itertools

import numpy as np
import pytest

from adapt.inference.batching import (
    LAUNCH_OVERHEAD_TOKENS,
    balance_groups,
    grouped_batches,
    least_padding_groups,
    length_bucketed_batches,
    no_duplicates_batches,
)


def test_every_row_is_used_once_and_batches_hold_like_lengths():
    lengths = [i % 37 for i in range(500)]
    batches = length_bucketed_batches(lengths, 16, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == list(range(500))
    spread = sum(max(lengths[i] for i in b) - min(lengths[i] for i in b) for b in batches) / len(batches)
    assert spread < 2
    assert batches == length_bucketed_batches(lengths, 16, 1, 0) != length_bucketed_batches(lengths, 16, 1, 1)


def test_no_two_rows_of_a_batch_share_a_key():
    keys = [(("a", i // 3), ("p", i % 40)) for i in range(300)]
    batches = no_duplicates_batches(keys, 16, seed=1, epoch=0)
    used = [i for batch in batches for i in batch]
    assert len(used) == len(set(used)) >= 295
    for batch in batches:
        seen = [key for i in batch for key in keys[i]]
        assert len(seen) == len(set(seen))


def test_gathered_rows_bring_their_positives_and_neighbours_along():
    positives = [i // 3 for i in range(300)]  # three rows for each of a hundred positives, in clusters of five
    neighbours = [[5 * (p // 5) + (p + 1) % 5, "no row's positive"] for p in positives]
    batches = grouped_batches(positives, neighbours, 16, seed=1, epoch=0)
    assert sorted(i for batch in batches for i in batch) == list(range(300))
    home = {positives[i]: number for number, batch in enumerate(batches) for i in batch}
    assert all(home[positives[i]] == number for number, batch in enumerate(batches) for i in batch)
    together = sum(home[p] == home[n[0]] for p, n in zip(positives, neighbours, strict=True)) / 300
    assert together > 0.3  # 16 batches: by chance it would be 0.06


def cost(lengths, groups):
    return sum(max(lengths[i] for i in group) * len(group) + LAUNCH_OVERHEAD_TOKENS for group in groups)


def partitions(order):
    """Every way to cut an order in groups."""
    for cuts in itertools.product([False, True], repeat=len(order) - 1):
        groups = [[order[0]]]
        for index, cut in zip(order[1:], cuts, strict=True):
            if cut:
                groups.append([])
            groups[-1].append(index)
        yield groups


@pytest.mark.parametrize("seed", range(5))
def test_groups_with_least_padding_are_the_cheapest_of_all(seed):
    lengths = np.random.default_rng(seed).integers(3, 200, 9).tolist()
    groups = least_padding_groups(lengths, 400)
    assert sorted(i for group in groups for i in group) == list(range(9))
    order = sorted(range(9), key=lambda i: -lengths[i])
    fits = [some for some in partitions(order) if all(len(g) == 1 or lengths[g[0]] * len(g) <= 400 for g in some)]
    assert cost(lengths, groups) == min(cost(lengths, some) for some in fits)


def test_a_text_longer_than_the_budget_has_a_group_alone_and_short_texts_are_not_padded_to_long_ones():
    assert least_padding_groups([500, 10, 9, 10], 100) == [[0], [1, 3, 2]]
    groups = least_padding_groups([150] * 6 + [15] * 30, 1_024)
    assert groups == [list(range(6)), list(range(6, 36))]


def test_shares_of_cores_are_even_and_hold_every_text_once():
    lengths = [*np.random.default_rng(1).integers(90, 250, 60).tolist(), *np.random.default_rng(2).integers(8, 25, 32).tolist()]
    for cores in (2, 3, 8):
        shares = balance_groups(lengths, 1_024, cores)
        assert sorted(i for share in shares for group in share for i in group) == list(range(92))
        work = [cost(lengths, share) for share in shares]
        assert max(work) < 1.15 * sum(work) / cores
        padded = sum(lengths[group[0]] * len(group) for share in shares for group in share)
        assert padded < 1.12 * sum(lengths)
    assert balance_groups([7], 1_024, 4) == [[[0]]]
