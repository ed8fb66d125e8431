"""Parsers of rows that need no conversion: texts, pairs, scored pairs, triplets, labelled and parallel pairs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from adapt.errors import did_you_mean
from adapt.files.values import (  # fmt: skip
    ANCHOR,
    GROUP,
    HYPOTHESIS,
    MATCH_THRESHOLD,
    NON_TEXT_COLUMNS,
    POSITIVE,
    PREMISE,
    SCORE,
    Row,
    RowError,
    label_in,
    optional_in,
    require_text,
    score_in,
    text_in,
    texts_in,
)
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet


def parse_text(row: Row, number: int) -> Text:
    """A text, with its title in front where it has one; a title alone is a text, too. Raises RowError."""
    title = optional_in(row, "title").strip() if isinstance(row.get("title"), str) else ""
    text = "" if title and row.get("text") == "" else text_in(row, ("text",))
    name = optional_in(row, "_id", "id") or str(number)
    return Text(
        name, f"{title} {text}".strip(), optional_in(row, *GROUP), optional_in(row, "origin"), title, optional_in(row, "topic")
    )


def parse_pairs(row: Row, number: int) -> list[Pair] | None:
    """A pair for each positive; None where the row's label or score is below MATCH_THRESHOLD. Raises RowError."""
    anchor, positives = text_in(row, ANCHOR), texts_in(row, POSITIVE)
    if any(row.get(name) not in (None, "") for name in SCORE) and score_in(row) < MATCH_THRESHOLD:
        return None
    group, origin, topic = optional_in(row, *GROUP), optional_in(row, "origin"), optional_in(row, "topic")
    return [Pair(anchor, positive, group, origin, topic) for positive in positives]


def flatten(parts: list[Any], left_out: Counter[str]) -> list[Any]:
    return [record for part in parts for record in part]


def parse_scored_pair(row: Row, number: int) -> ScoredPair:
    first, second = text_in(row, ("sentence1",)), text_in(row, ("sentence2",))
    return ScoredPair(first, second, score_in(row), optional_in(row, "origin"), topic=optional_in(row, "topic"))


def parse_triplets(row: Row, number: int) -> list[Triplet]:
    """A triplet for each positive, each with all negatives. Raises RowError."""
    names = sorted((n for n in row if (str(n).startswith("negative") or n == "neg") and row[n]), key=lambda n: (len(n), n))
    if not names:
        raise RowError(f"no column 'negative'.{did_you_mean('negative', [str(k) for k in row if k])}")
    negatives = tuple(text for name in names for text in texts_in(row, (name,)))
    anchor, origin, topic = text_in(row, ANCHOR), optional_in(row, "origin"), optional_in(row, "topic")
    return [Triplet(anchor, positive, negatives, origin, topic=topic) for positive in texts_in(row, POSITIVE)]


def parse_labelled(row: Row, number: int) -> Labelled | None:
    label = label_in(row)
    first, second = text_in(row, PREMISE), text_in(row, HYPOTHESIS)
    return None if label is None else Labelled(first, second, label, optional_in(row, "origin"))


def parse_parallel(row: Row, number: int) -> Parallel:
    """Columns `source` and `target`, or the only two columns of text there are, in their order: `en, fr`.

    Translation data on the hub have one column: {"translation": {"en": ..., "fr": ...}}.
    """
    row = row["translation"] if isinstance(row.get("translation"), dict) else row
    names = [name for name in row if name not in NON_TEXT_COLUMNS]
    if "source" in row or "target" in row or len(names) != 2:
        if not {"source", "target"} <= set(row):
            raise RowError(
                f"columns are {', '.join(map(str, row))}; expected two columns of text, or 'source' and 'target' among them"
            )
        names = ["source", "target"]
    return Parallel(require_text(row[names[0]], names[0]), require_text(row[names[1]], names[1]), optional_in(row, "origin"))
