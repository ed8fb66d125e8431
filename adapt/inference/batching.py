"""Which rows share a batch: shuffled afresh each epoch as a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

LAUNCH_OVERHEAD_TOKENS = 64  # tokens that could be computed in the time that a forward pass takes to begin


def length_bucketed_batches(lengths: Sequence[int], size: int, seed: int, epoch: int, mega: int = 50) -> list[list[int]]:
    """Batches of `size` rows of like length: rows are shuffled, sorted within `mega` batches' worth, batches shuffled again."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), size * mega):
        part = order[start : start + size * mega]
        part = part[np.argsort(np.asarray(lengths)[part], kind="stable")]
        batches += [part[i : i + size].tolist() for i in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def no_duplicates_batches(keys: Sequence[Sequence[Hashable]], size: int, seed: int, epoch: int) -> list[list[int]]:
    """Batches of up to `size` rows in which no two rows share a key (a text, a family of texts).

    In-batch negatives are false ones when a row's positive is another row's too. A row that does not fit waits for the next
    batch; every row is used once an epoch, whatever is left makes smaller batches at the end. A batch of one row teaches
    nothing in-batch and is left out.
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
    """Batches of about `size` rows that keep like with like: rows with one positive, then rows of that positive's neighbours.

    `positives[i]` names row i's positive, `neighbours[i]` its hard negatives. A document is encoded once for all its rows, and
    a hard negative that is another row's positive comes at no cost: it sits in the same batch. Documents that are right for an
    anchor must be masked by the loss. Every row is used once an epoch; a positive's rows are never torn apart.
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
                    break  # a neighbour that finds no room waits for its own turn
                batches.append([])
            used.add(positive)
            batches[-1] += rows_of[positive]
    return [batches[i] for i in rng.permutation(len(batches)) if len(batches[i]) > 1]


def length_groups(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices, longest first, in groups whose padded size stays within `budget` tokens (one text at least)."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for index in order:
        if groups and lengths[groups[-1][0]] * (len(groups[-1]) + 1) <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def least_padding_groups(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices, longest first, in groups whose padded size stays within `budget` (one text at least), at the least cost.

    A group costs its padded size and a START: short texts are not padded to long ones where a group of their own is cheaper. Of 33
    questions and 60 passages 4 % is padding, filled up from the longest 10 %.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    longest = np.array([lengths[i] for i in order])
    cost = np.zeros(len(order) + 1)  # of the first texts, grouped best
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
    """`least_padding_groups` for each core, with the least work for the busiest core: balances padding against even shares."""
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
