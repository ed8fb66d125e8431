"""Connected components of items that share keys."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence


def components(keys: Sequence[Iterable[Hashable]]) -> list[int]:
    """The number of each item's component: items that share a key, directly or through other items, have the same number.

    An item without a key is a component of its own.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    numbers: dict[Hashable, int] = {}
    edges = [(row, numbers.setdefault(key, len(numbers))) for row, item in enumerate(keys) for key in item]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    size = len(keys) + len(numbers)  # items, then keys
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, len(keys) + columns)), shape=(size, size))
    found: list[int] = connected_components(graph, directed=False)[1][: len(keys)].tolist()
    return found
