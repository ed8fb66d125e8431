"""Which items are no independent evidence: queries that share a passage, triplets of one anchor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def sharing(keys: Sequence[Iterable[str]]) -> list[str]:
    """A name for each item's group: items that share a key, directly or through others, are one group, named by its first key.

    These are the connected components of items and keys. An item without a key is a group of its own.
    """
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    first = []
    for number, item in enumerate(keys):
        names = list(item) or [f"\0{number}"]  # no key of a user's begins so
        for name in names[1:]:
            parent[root(name)] = root(names[0])
        first.append(names[0])
    named: dict[str, str] = {}
    return [named.setdefault(root(key), key) for key in first]
