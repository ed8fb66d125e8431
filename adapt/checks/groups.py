"""Clusters of items that the bootstrap draws together: queries that share a passage, triplets of one anchor."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from adapt.components import components


def clusters(keys: Sequence[Iterable[str]]) -> list[str]:
    """A name for each item's cluster: items that share a key, directly or through others, are one, named by its first key."""
    first = [next(iter(item), f"\0{number}") for number, item in enumerate(keys)]  # no key of a user's begins so
    named: dict[int, str] = {}
    return [named.setdefault(number, name) for number, name in zip(components(keys), first, strict=True)]
