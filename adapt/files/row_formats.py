"""Row formats: sets of columns that a file may have, and the records that are made of them.

A format parses row by row; some then combine all rows (NLI rows of one premise, the texts of a cluster, clicks on one document), so
that the order of rows does not matter.
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
    """`columns`: the required columns, each with its accepted names. `read`: (row, row number) → a record, records, or None."""

    columns: tuple[tuple[str, ...], ...]
    read: Callable[[Row, int], Any]
    gather: Callable[[list[Any], Counter[str]], list[Any]] = _as_they_are  # parsed rows → records; counts what is left out
    none: str = ""  # the reason where `read` returns None
    further: tuple[str, ...] = ()  # optional columns

    @property
    def uses(self) -> set[str]:
        """All required and optional columns."""
        return {name for names in self.columns for name in names} | set(self.further)

    def fit(self, row: Row) -> float:
        """The share of required columns that the row has, 0 to 1."""
        found = [any(name in row for name in names) for names in self.columns]
        return sum(found) / len(found) if found else 1.0

    def hint(self, row: Row) -> str:
        """A hint to a column whose name is similar to a missing one; "" where there is none."""
        for names in self.columns:
            if not any(name in row for name in names):
                near = (did_you_mean(name, [str(column) for column in row if column], list_all=False) for name in names)
                if found := next((hint for hint in near if hint), ""):
                    return f" No column '{names[0]}'.{found}"
        return ""


def best_format(row: Row, kinds: Sequence[str]) -> RowFormat:
    """The format that fits a row best, for records of one of these kinds; the first one in a tie."""
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
# Columns that every format accepts: fields of all records, and columns of BEIR files.
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


def is_negative(name: object, form: RowFormat) -> bool:
    """Whether a column holds hard negatives that the format uses."""
    return form.read is parse_triplets and (str(name).startswith("negative") or name == "neg")


def columns_used(kinds: Sequence[str]) -> set[str]:
    """All columns that a format of these kinds uses."""
    found = {name for kind in kinds for form in ROW_FORMATS[kind] for name in form.uses}
    return found | set(NEGATIVE) if "triplets" in kinds else found
