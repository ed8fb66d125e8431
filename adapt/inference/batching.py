"""Batches of rows: reshuffled every epoch as a pure function of (seed, epoch), and groups of similar length."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

LAUNCH_OVERHEAD_TOKENS = 64  # the fixed cost of a forward pass, in tokens computed in the same time


def length_bucketed_batches(lengths: Sequence[int], size: int, seed: int, epoch: int, mega: int = 50) -> list[list[int]]:
    """Batches of `size` rows of similar length: shuffled, sorted within chunks of `mega` batches, and the batches shuffled."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), size * mega):
        part = order[start : start + size * mega]
        part = part[np.argsort(np.asarray(lengths)[part], kind="stable")]
        batches += [part[i : i + size].tolist() for i in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def no_duplicates_batches(keys: Sequence[Sequence[Hashable]], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Batches of up to `size` rows in which no two rows share a key (a text, or a group of texts).

    A shared text would be a false in-batch negative. A row that does not fit goes into a later batch; every row is used once an
    epoch, the last batches may be smaller. A batch of one row has no in-batch negatives and is left out.
    """
    waiting = np.random.default_rng([seed, epoch]).permutation(len(keys)).tolist()
    batches: list[list[int]] = []
    while waiting:
        batch: list[int] = []
        taken: set[Hashable] = set()
        later: list[int] = []
        for position, row in enumerate(waiting):
            if len(batch) == size:
                later += waiting[position:]
                break
            if taken.isdisjoint(keys[row]):
                batch.append(row)
                taken.update(keys[row])
            else:
                later.append(row)
        waiting = later
        if len(batch) > 1:
            batches.append(batch)
    return batches


def grouped_batches(
    positives: Sequence[Hashable], neighbours: Sequence[Sequence[Hashable]], size: int, seed: int, epoch: int
) -> list[list[int]]:
    """Batches of about `size` rows grouped by document: the rows of one positive, then those of its neighbours.

    `positives[i]` is the key of row i's positive, `neighbours[i]` those of its hard negatives. A document is encoded once for all
    its rows, and a hard negative that is another row's positive costs nothing, being in the same batch. The loss must mask
    documents that are relevant to an anchor. Every row is used once an epoch; the rows of a positive stay together.
    """
    rng = np.random.default_rng([seed, epoch])
    rows_of: dict[Hashable, list[int]] = {}
    for row, positive in enumerate(positives):
        rows_of.setdefault(positive, []).append(row)
    waiting = [list(rows_of)[i] for i in rng.permutation(len(rows_of))]
    used: set[Hashable] = set()
    batches: list[list[int]] = [[]]
    for first in waiting:
        circle = [first, *(near for row in rows_of[first] for near in neighbours[row] if near in rows_of)]
        for positive in circle:
            if positive in used:
                continue
            if len(batches[-1]) >= size:
                if positive != first:
                    break  # a neighbour that does not fit goes into a later batch
                batches.append([])
            used.add(positive)
            batches[-1] += rows_of[positive]
    return [batches[i] for i in rng.permutation(len(batches)) if len(batches[i]) > 1]


def length_groups(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices, longest first, in groups whose padded size is at most `budget` tokens (or one text)."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for index in order:
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def least_padding_groups(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices, longest first, in groups whose padded size is at most `budget` tokens (or one text), at the lowest total cost.

    A group costs its padded size plus LAUNCH_OVERHEAD_TOKENS: short texts get a group of their own where that is cheaper than
    padding. Of 33 questions and 60 passages 4 % is padding; filling groups up from the longest text gives 10 %.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    longest = np.array([lengths[i] for i in order])
    cost = np.zeros(len(order) + 1)  # the lowest cost of the first texts
    start = np.zeros(len(order) + 1, dtype=int)  # where their last group begins
    first = 0
    for end in range(1, len(order) + 1):
        while first < end - 1 and longest[first] * (end - first) > budget:
            first += 1
        begin = np.arange(first, end)
        found = cost[begin] + longest[begin] * (end - begin) + LAUNCH_OVERHEAD_TOKENS
        start[end] = first + int(found.argmin())
        cost[end] = found.min()
    groups, end = [], len(order)
    while end:
        groups.append(order[start[end] : end])
        end = start[end]
    return groups[::-1]


def balance_groups(lengths: Sequence[int], budget: int, cores: int) -> list[list[list[int]]]:
    """For each core its `least_padding_groups`, with the lowest cost of the busiest core: balances padding against even shares."""
    total = sum(lengths)
    cores = max(1, min(cores, total // (4 * LAUNCH_OVERHEAD_TOKENS)))
    least = -(-total // (cores * budget))  # groups for a core
    found: list[tuple[int, int, list[list[list[int]]]]] = []
    for count in range(least, least + 3):
        groups = least_padding_groups(lengths, min(budget, -(-total // (cores * count)) + max(lengths) // 2))
        shares: list[list[list[int]]] = [[] for _ in range(cores)]
        work = [0] * cores
        for cost, group in sorted(
            ((lengths[group[0]] * len(group) + LAUNCH_OVERHEAD_TOKENS, group) for group in groups), reverse=True
        ):
            core = work.index(min(work))
            shares[core].append(group)
            work[core] += cost
        found.append((max(work), count, [share for share in shares if share]))
        if max(work) <= 1.05 * sum(work) / cores:
            break
    return min(found)[2]
