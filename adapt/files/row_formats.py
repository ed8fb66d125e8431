"""What the rows of a user's file become: one form is one set of columns, and the records that are made of them.

A form reads row by row; some then look at all rows together (NLI rows of one premise, the texts of a cluster, clicks on one
document), so that the order of a file never matters to what is made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from adapt.errors import did_you_mean
from adapt.files.conversions import (  # fmt: skip
    CLICKED,
    CLICKS,
    clicked_pairs,
    cluster_pairs,
    nli_pair,
    nli_scored_pair,
    nli_triplets,
    pair_of_scored,
    parse_click,
    parse_cluster,
    parse_cluster_member,
)
from adapt.files.parsers import flatten, parse_labelled, parse_pairs, parse_parallel, parse_scored_pair, parse_text, parse_triplets
from adapt.files.values import ANCHOR, HYPOTHESIS, LABEL, MATCH_THRESHOLD, NEGATIVE, POSITIVE, PREMISE, SCORE, Row


def _as_they_are(records: list[Any], left_out: Counter[str]) -> list[Any]:
    return records


@dataclass(frozen=True)
class RowFormat:
    """`columns`: what a row must have, each under one of several names. `read`: a row and its number → a record, or None."""

    columns: tuple[tuple[str, ...], ...]
    read: Callable[[Row, int], Any]
    gather: Callable[[list[Any], Counter[str]], list[Any]] = _as_they_are  # what was read → records, counting what is left out
    none: str = ""  # what a row is for which `read` gives None
    further: tuple[str, ...] = ()  # columns that it uses where they are there

    @property
    def uses(self) -> set[str]:
        """Every column that it looks at."""
        return {name for names in self.columns for name in names} | set(self.further)

    def fit(self, row: Row) -> float:
        """Share of the columns that the row has."""
        found = [any(name in row for name in names) for names in self.columns]
        return sum(found) / len(found) if found else 1.0

    def hint(self, row: Row) -> str:
        """The column that may be a missing one, misspelt."""
        for names in self.columns:
            if not any(name in row for name in names):
                near = (did_you_mean(name, [str(column) for column in row if column], list_all=False) for name in names)
                if found := next((hint for hint in near if hint), ""):
                    return f" No column '{names[0]}'.{found}"
        return ""


def best_format(row: Row, kinds: Sequence[str]) -> RowFormat:
    """The form that a file with such a row has when one of these kinds is wanted; the first of those that fit best."""
    kind = kinds[0]
    if "scored" in kinds and "sentence1" in row:
        kind = "scored"
    if "triplets" in kinds and any(str(name).startswith("negative") or name == "neg" for name in row):
        kind = "triplets"
    return max(ROW_FORMATS[kind], key=lambda form: form.fit(row))


NLI = (("premise",), ("hypothesis",), LABEL)
BELOW_THRESHOLD = f"scored below {MATCH_THRESHOLD}"
ROW_FORMATS: dict[str, tuple[RowFormat, ...]] = {
    "texts": (RowFormat((("text", "title"),), parse_text),),
    "pairs": (
        RowFormat((("anchor",), ("positive",)), parse_pairs, flatten, none=BELOW_THRESHOLD, further=SCORE),
        RowFormat(NLI, nli_pair, none="not labelled as entailment"),
        RowFormat((("sentence1",), ("sentence2",), ("score", "label")), pair_of_scored, none=BELOW_THRESHOLD),
        RowFormat((("text",), ("cluster",)), parse_cluster_member, cluster_pairs),
        RowFormat((("query",), CLICKED, CLICKS), parse_click, clicked_pairs),
        RowFormat((("cluster",),), parse_cluster, cluster_pairs),
        RowFormat((ANCHOR, POSITIVE), parse_pairs, flatten, none=BELOW_THRESHOLD, further=SCORE),
    ),
    "scored": (
        RowFormat((("sentence1",), ("sentence2",), ("score", "label")), parse_scored_pair),
        RowFormat(NLI, nli_scored_pair, none="without a label"),
    ),
    "triplets": (
        RowFormat((ANCHOR, POSITIVE), parse_triplets, flatten),
        RowFormat((PREMISE, HYPOTHESIS, LABEL), parse_labelled, nli_triplets, none="without a label"),
    ),
    "labelled": (RowFormat((PREMISE, HYPOTHESIS, LABEL), parse_labelled, none="without a label"),),
    "parallel": (RowFormat((), parse_parallel, further=("source", "target")),),
}  # fmt: skip
EXPECTED_COLUMNS = {
    "texts": "a column 'text'",
    "pairs": "columns 'anchor, positive' (or query, question, title; passage, answer, document, body), "
    "'premise, hypothesis, label', 'sentence1, sentence2, score', 'text, cluster' or 'query, clicked, clicks'",
    "scored": "columns 'sentence1, sentence2, score'",
    "triplets": "columns 'anchor, positive, negative' or 'premise, hypothesis, label'",
    "labelled": "columns 'premise, hypothesis, label' or 'sentence1, sentence2, label'",
    "parallel": "columns 'source, target', or two columns of text",
}
# Columns that any row may have beside those of its form: what records carry along, and what BEIR's files have.
OPTIONAL_COLUMNS = {
    "",
    "id",
    "_id",
    "origin",
    "group",
    "focus",
    "topic",
    "title",
    "metadata",
    "sampler",
    "rank",
    "raw",
    "calibrated",
    "labeller",
}
KNOWN_COLUMNS = OPTIONAL_COLUMNS | {name for some in ROW_FORMATS.values() for form in some for name in form.uses} | set(NEGATIVE)


def is_negative(name: Any, form: RowFormat) -> bool:
    """Whether a column holds hard negatives, and the form takes them."""
    return form.read is parse_triplets and (str(name).startswith("negative") or name == "neg")


def columns_used(kinds: Sequence[str]) -> set[str]:
    """Every column that some form of these kinds looks at."""
    found = {name for kind in kinds for form in ROW_FORMATS[kind] for name in form.uses}
    return found | set(NEGATIVE) if "triplets" in kinds else found
