"""What the rows of a user's file become: one form is one set of columns, and the records that are made of them.

A form reads row by row; some then look at all rows together (NLI rows of one premise, the texts of a cluster, clicks on one
document), so that the order of a file never matters to what is made.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

from adapt.errors import did_you_mean
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet

Row = dict[str, Any]
ANCHOR = ("anchor", "query", "question")
POSITIVE = ("positive", "passage", "answer", "document")
PREMISE, HYPOTHESIS = ("premise", "sentence1"), ("hypothesis", "sentence2")
LABEL = ("label", "gold_label")
CLICKED, CLICKS = ("clicked", "document", "passage", "text"), ("clicks", "count")
GROUP = ("group", "focus")
EXTRAS = {"", "id", "_id", "origin", "group"}  # columns that are no sentence of a parallel text

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2, "0": 0, "1": 1, "2": 2}  # numbers as SNLI and MNLI have them
NO_LABEL = {"", "-", "-1", "nan", "none"}
MATCH = 0.8  # 4 of 5 on the STS scale: "mostly equivalent, but some unimportant details differ" (SemEval 2017, task 1)
SMALL_CLUSTER = 5  # texts; all pairs of such a cluster are ten
MIN_CLICKS = 2  # a single click may be a slip


class Bad(Exception):
    """A row that can't become a record; the message says why."""


def _as_they_are(records: list[Any], left_out: Counter[str]) -> list[Any]:
    return records


@dataclass(frozen=True)
class Form:
    """`columns`: what a row must have, each under one of several names. `read`: a row and its number → a record, or None."""

    columns: tuple[tuple[str, ...], ...]
    read: Callable[[Row, int], Any]
    gather: Callable[[list[Any], Counter[str]], list[Any]] = _as_they_are  # what was read → records, counting what is left out
    none: str = ""  # what a row is for which `read` gives None

    def fit(self, row: Row) -> float:
        """Share of the columns that the row has."""
        return sum(any(name in row for name in names) for names in self.columns) / max(1, len(self.columns))


def of(row: Row, kinds: Sequence[str]) -> Form:
    """The form that a file with such a row has when one of these kinds is wanted; the first of those that fit best."""
    kind = kinds[0]
    if "scored" in kinds and "sentence1" in row:
        kind = "scored"
    if "triplets" in kinds and any(str(name).startswith("negative") for name in row):
        kind = "triplets"
    return max(FORMS[kind], key=lambda form: form.fit(row))


# ---------------------------------------------------------------------------------------------- values of a row


def _value(row: Row, names: Sequence[str]) -> Any:
    """What stands in the first of these columns that the row has; None where it has none."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def _string(row: Row, names: Sequence[str]) -> str:
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        columns = [str(column) for column in row if column]
        near = next((hint for wanted in names if (hint := did_you_mean(wanted, columns, tell_all=False))), "")
        raise Bad(f"no column '{names[0]}'.{near or did_you_mean(names[0], columns)}")
    return _text(row[name], name)


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Bad(f"column '{name}' holds {type(value).__name__}, expected text")
    if not value.strip():
        raise Bad(f"column '{name}' is empty")
    return value.strip()


def _optional(row: Row, *names: str) -> str:
    return next((str(row[name]) for name in names if row.get(name) not in (None, "")), "")


def _number(row: Row, names: Sequence[str]) -> float:
    value = _value(row, names)
    if value is None:
        raise Bad(f"no column '{names[0]}'.{did_you_mean(names[0], [str(k) for k in row if k])}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Bad(f"{names[0]} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise Bad(f"{names[0]} {value!r} is not a finite number")
    return number


def _label(row: Row) -> int | None:
    """0 entailment, 1 neutral, 2 contradiction; None where the annotators did not agree on one."""
    if not any(name in row for name in LABEL):
        raise Bad(f"no column 'label'.{did_you_mean('label', [str(k) for k in row if k])}")
    word = str(_value(row, LABEL)).strip().lower().removesuffix(".0")
    if word in NO_LABEL:
        return None
    if word not in LABELS:
        raise Bad(f"label {word!r} is none of entailment, neutral, contradiction (or 0, 1, 2; -1: no label)")
    return LABELS[word]


# ---------------------------------------------------------------------------------------------- records as they stand


def _as_text(row: Row, number: int) -> Text:
    """A text; its title, where there is one, is joined in front. A title alone is a text, too."""
    title = row.get("title")
    title = title.strip() if isinstance(title, str) else ""
    text = "" if title and row.get("text") == "" else _string(row, ("text",))
    name = _optional(row, "_id", "id") or str(number)
    return Text(name, f"{title} {text}".strip(), _optional(row, *GROUP), _optional(row, "origin"), title, _optional(row, "topic"))


def _as_pair(row: Row, number: int) -> Pair:
    return Pair(
        _string(row, ANCHOR), _string(row, POSITIVE), _optional(row, *GROUP), _optional(row, "origin"), _optional(row, "topic")
    )


def _as_scored(row: Row, number: int) -> ScoredPair:
    first, second = _string(row, ("sentence1",)), _string(row, ("sentence2",))
    score = _number(row, ("score", "label"))
    if not 0 <= score <= 1:
        raise Bad(f"score {score:g} is outside 0 to 1; divide by the scale's maximum (5 for STS)")
    return ScoredPair(first, second, score, _optional(row, "origin"), topic=_optional(row, "topic"))


def _as_triplet(row: Row, number: int) -> Triplet:
    names = sorted((n for n in row if str(n).startswith("negative") and row[n]), key=lambda n: (len(n), n))
    if not names:
        raise Bad(f"no column 'negative'.{did_you_mean('negative', [str(k) for k in row if k])}")
    negatives = tuple(_string(row, (name,)) for name in names)
    return Triplet(_string(row, ANCHOR), _string(row, POSITIVE), negatives, _optional(row, "origin"), topic=_optional(row, "topic"))


def _as_labelled(row: Row, number: int) -> Labelled | None:
    label = _label(row)
    first, second = _string(row, PREMISE), _string(row, HYPOTHESIS)
    return None if label is None else Labelled(first, second, label, _optional(row, "origin"))


def _as_parallel(row: Row, number: int) -> Parallel:
    """Columns `source` and `target`, or the only two columns of text there are, in their order: `en, fr`.

    The hub's translation data keep both in one: {"translation": {"en": ..., "fr": ...}}.
    """
    row = row["translation"] if isinstance(row.get("translation"), dict) else row
    names = [name for name in row if name not in EXTRAS]
    if "source" in row or "target" in row or len(names) != 2:
        if not {"source", "target"} <= set(row):
            raise Bad(f"columns are {', '.join(map(str, row))}; expected two columns of text, or 'source' and 'target' among them")
        names = ["source", "target"]
    return Parallel(_text(row[names[0]], names[0]), _text(row[names[1]], names[1]), _optional(row, "origin"))


# ---------------------------------------------------------------------------------------------- conversions


def _entailed(row: Row, number: int) -> Pair | None:
    """NLI rows as pairs: a premise and what follows from it."""
    found = _as_labelled(row, number)
    return Pair(found.sentence1, found.sentence2, origin="entailment") if found and found.label == 0 else None


def _entailed_or_not(row: Row, number: int) -> ScoredPair | None:
    """NLI rows as scored pairs: 1 for entailment, 0 for neutral and contradiction."""
    found = _as_labelled(row, number)
    return ScoredPair(found.sentence1, found.sentence2, float(found.label == 0), "nli") if found else None


def _nli_triplets(rows: list[Labelled], left_out: Counter[str]) -> list[Triplet]:
    """NLI rows as triplets: a premise, each hypothesis that it entails, and all that contradict it as negatives.

    As in SimCSE (Gao et al. 2021, https://arxiv.org/abs/2104.08821), there with one negative. Rows of a premise may stand
    anywhere in the file. A hypothesis with both labels is neither; a premise that lacks one of the two is left out.
    """
    by_premise: dict[str, tuple[dict[str, None], ...]] = {}
    for row in rows:
        by_premise.setdefault(row.sentence1, ({}, {}, {}))[row.label][row.sentence2] = None
    triplets = []
    for premise, (entailed, _, contradicting) in by_premise.items():
        right = [text for text in entailed if text not in contradicting]
        wrong = tuple(text for text in contradicting if text not in entailed)
        if not right or not wrong:
            left_out["premises without both an entailed and a contradicting hypothesis"] += 1
            continue
        triplets += [Triplet(premise, text, wrong, "nli") for text in right]
    return triplets


def _rated(row: Row, number: int) -> Pair | None:
    """Rated pairs as pairs: those scored `MATCH` (0.8) and more."""
    found = _as_scored(row, number)
    return Pair(found.sentence1, found.sentence2, origin=found.origin or "rated") if found.score >= MATCH else None


def _listed(row: Row, number: int) -> tuple[str, list[str]]:
    texts = row["cluster"]
    if not isinstance(texts, list):
        raise Bad(f"column 'cluster' holds {type(texts).__name__}, expected a list of texts (or a column 'text' beside it)")
    return _optional(row, "id", *GROUP) or str(number), [_text(text, "cluster") for text in texts]


def _member(row: Row, number: int) -> tuple[str, list[str]]:
    name = _optional(row, "cluster")
    if not name:
        raise Bad("column 'cluster' is empty")
    return name, [_string(row, ("text",))]


def _cluster_pairs(parts: list[tuple[str, list[str]]], left_out: Counter[str]) -> list[Pair]:
    """Duplicate clusters as pairs: all pairs of a cluster of up to five texts, each text with the next of a larger one.

    So a cluster of n gives n - 1 pairs where all would be n(n - 1)/2: one large cluster does not outweigh all others. The pairs
    of a cluster carry its name as their group.
    """
    clusters: dict[str, dict[str, None]] = {}
    for name, texts in parts:
        clusters.setdefault(name, {}).update(dict.fromkeys(texts))
    pairs = []
    for name, members in clusters.items():
        texts = list(members)
        if len(texts) < 2:
            left_out["clusters of one text"] += 1
        tied = combinations(texts, 2) if len(texts) <= SMALL_CLUSTER else pairwise(texts)
        pairs += [Pair(first, second, name, "cluster") for first, second in tied]
    return pairs


def _click(row: Row, number: int) -> tuple[str, str, float]:
    return _string(row, ("query",)), _string(row, CLICKED), _number(row, CLICKS)


def _clicked_pairs(clicks: list[tuple[str, str, float]], left_out: Counter[str]) -> list[Pair]:
    """Click logs as pairs: a query and each document clicked `MIN_CLICKS` (2) times or more, its most clicked first.

    Clicks of one query on one document are added up over the rows; documents with equal counts keep the file's order.
    """
    counts: dict[str, Counter[str]] = {}
    for query, document, count in clicks:
        counts.setdefault(query, Counter())[document] += count  # type: ignore[assignment]
    pairs = []
    for query, documents in counts.items():
        kept = [document for document, count in documents.most_common() if count >= MIN_CLICKS]
        if len(kept) < len(documents):
            left_out["clicked fewer than two times"] += len(documents) - len(kept)
        pairs += [Pair(query, document, origin="click") for document in kept]
    return pairs


NLI = (("premise",), ("hypothesis",), LABEL)
FORMS: dict[str, tuple[Form, ...]] = {
    "texts": (Form((("text",),), _as_text),),
    "pairs": (
        Form((("anchor",), ("positive",)), _as_pair),
        Form(NLI, _entailed, none="not labelled as entailment"),
        Form((("sentence1",), ("sentence2",), ("score", "label")), _rated, none=f"scored below {MATCH}"),
        Form((("text",), ("cluster",)), _member, _cluster_pairs),
        Form((("query",), CLICKED, CLICKS), _click, _clicked_pairs),
        Form((("cluster",),), _listed, _cluster_pairs),
        Form((ANCHOR, POSITIVE), _as_pair),
    ),
    "scored": (
        Form((("sentence1",), ("sentence2",), ("score", "label")), _as_scored),
        Form(NLI, _entailed_or_not, none="without a label"),
    ),
    "triplets": (
        Form((ANCHOR, POSITIVE), _as_triplet),
        Form((PREMISE, HYPOTHESIS, LABEL), _as_labelled, _nli_triplets, none="without a label"),
    ),
    "labelled": (Form((PREMISE, HYPOTHESIS, LABEL), _as_labelled, none="without a label"),),
    "parallel": (Form((), _as_parallel),),
}  # fmt: skip
COLUMNS = {
    "texts": "a column 'text'",
    "pairs": "columns 'anchor, positive' (or query, question; passage, answer, document), 'premise, hypothesis, label', "
    "'sentence1, sentence2, score', 'text, cluster' or 'query, clicked, clicks'",
    "scored": "columns 'sentence1, sentence2, score'",
    "triplets": "columns 'anchor, positive, negative' or 'premise, hypothesis, label'",
    "labelled": "columns 'premise, hypothesis, label' or 'sentence1, sentence2, label'",
    "parallel": "columns 'source, target', or two columns of text",
}
