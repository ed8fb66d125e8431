"""Which rows share a batch: shuffled afresh each epoch as a pure function of (seed, epoch)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np


def by_like_length(lengths: Sequence[int], size: int, seed: int, epoch: int, mega: int = 50) -> list[list[int]]:
    """Batches of `size` rows of like length: rows are shuffled, sorted within `mega` batches' worth, batches shuffled again."""
    rng = np.random.default_rng([seed, epoch])
    order = rng.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), size * mega):
        part = order[start : start + size * mega]
        part = part[np.argsort(np.asarray(lengths)[part], kind="stable")]
        batches += [part[i : i + size].tolist() for i in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def without_repeats(keys: Sequence[Sequence[Hashable]], size: int, seed: int, epoch: int) -> list[list[int]]:
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


def gathered(
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
