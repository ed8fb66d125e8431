"""Keep what a check measures on out of training: rows whose text stands, exactly or nearly, in held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet
from adapt.text.clean import normalised
from adapt.text.near import near


@dataclass(frozen=True)
class Clean:
    """The records that may be trained on, and how many were removed for standing exactly or nearly in held-out data."""

    kept: list[Any]
    exact: int
    nearly: int


def sides(record: Any) -> tuple[str, ...]:
    """The texts of a record that training would learn from."""
    if isinstance(record, Text):
        return (record.text,)
    if isinstance(record, Pair):
        return (record.anchor, record.positive)
    if isinstance(record, Triplet):
        return (record.anchor, record.positive)
    if isinstance(record, Parallel):
        return (record.source, record.target)
    assert isinstance(record, (ScoredPair, Labelled))
    return (record.sentence1, record.sentence2)


def without_held_out(records: Sequence[Any], held_out: Sequence[str], threshold: float = 0.8) -> Clean:
    """`records` less those with a side that equals a held-out text, or whose word 5-grams overlap it at Jaccard ≥ 0.8."""
    forbidden = {normalised(text) for text in held_out}
    exact = {i for i, record in enumerate(records) if any(normalised(side) in forbidden for side in sides(record))}
    rest = [i for i in range(len(records)) if i not in exact]
    owners, texts = [], []
    for i in rest:
        for side in sides(records[i]):
            owners.append(i)
            texts.append(side)
    nearly = {owners[i] for i, _, _ in near(texts, list(held_out), threshold)}
    return Clean([records[i] for i in rest if i not in nearly], len(exact), len(nearly))
