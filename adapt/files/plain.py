"""Rows that are records already: a text, pairs, a scored pair, triplets, a labelled or a parallel pair."""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapt.errors import did_you_mean
from adapt.files.values import (  # fmt: skip
    ANCHOR,
    EXTRAS,
    GROUP,
    HYPOTHESIS,
    MATCH,
    POSITIVE,
    PREMISE,
    SCORE,
    Bad,
    Row,
    checked,
    label_in,
    optional_in,
    score_in,
    string_in,
    texts_in,
)
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet


def as_text(row: Row, number: int) -> Text:
    """A text; its title, where there is one, is joined in front. A title alone is a text, too."""
    title = optional_in(row, "title").strip() if isinstance(row.get("title"), str) else ""
    text = "" if title and row.get("text") == "" else string_in(row, ("text",))
    name = optional_in(row, "_id", "id") or str(number)
    return Text(
        name, f"{title} {text}".strip(), optional_in(row, *GROUP), optional_in(row, "origin"), title, optional_in(row, "topic")
    )


def as_pairs(row: Row, number: int) -> list[Pair] | None:
    """A row's pairs, one for each positive; None where its label or score says that the two do not belong together."""
    anchor, positives = string_in(row, ANCHOR), texts_in(row, POSITIVE)
    if any(row.get(name) not in (None, "") for name in SCORE) and score_in(row) < MATCH:
        return None
    group, origin, topic = optional_in(row, *GROUP), optional_in(row, "origin"), optional_in(row, "topic")
    return [Pair(anchor, positive, group, origin, topic) for positive in positives]


def one_list(parts: list[Any], left_out: Counter[str]) -> list[Any]:
    return [record for part in parts for record in part]


def as_scored(row: Row, number: int) -> ScoredPair:
    first, second = string_in(row, ("sentence1",)), string_in(row, ("sentence2",))
    return ScoredPair(first, second, score_in(row), optional_in(row, "origin"), topic=optional_in(row, "topic"))


def as_triplets(row: Row, number: int) -> list[Triplet]:
    """A row's triplets, one for each positive, each with all negatives."""
    names = sorted((n for n in row if (str(n).startswith("negative") or n == "neg") and row[n]), key=lambda n: (len(n), n))
    if not names:
        raise Bad(f"no column 'negative'.{did_you_mean('negative', [str(k) for k in row if k])}")
    negatives = tuple(text for name in names for text in texts_in(row, (name,)))
    anchor, origin, topic = string_in(row, ANCHOR), optional_in(row, "origin"), optional_in(row, "topic")
    return [Triplet(anchor, positive, negatives, origin, topic=topic) for positive in texts_in(row, POSITIVE)]


def as_labelled(row: Row, number: int) -> Labelled | None:
    label = label_in(row)
    first, second = string_in(row, PREMISE), string_in(row, HYPOTHESIS)
    return None if label is None else Labelled(first, second, label, optional_in(row, "origin"))


def as_parallel(row: Row, number: int) -> Parallel:
    """Columns `source` and `target`, or the only two columns of text there are, in their order: `en, fr`.

    The hub's translation data keep both in one: {"translation": {"en": ..., "fr": ...}}.
    """
    row = row["translation"] if isinstance(row.get("translation"), dict) else row
    names = [name for name in row if name not in EXTRAS]
    if "source" in row or "target" in row or len(names) != 2:
        if not {"source", "target"} <= set(row):
            raise Bad(f"columns are {', '.join(map(str, row))}; expected two columns of text, or 'source' and 'target' among them")
        names = ["source", "target"]
    return Parallel(checked(row[names[0]], names[0]), checked(row[names[1]], names[1]), optional_in(row, "origin"))
