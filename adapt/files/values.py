"""Values of a row by column names: texts, numbers and labels, with an error for each value that can't be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from adapt.errors import did_you_mean
from adapt.files.options import MB, current_log
from adapt.text.clean import is_visible

Row = dict[str, Any]
ANCHOR = ("anchor", "query", "question", "title")
POSITIVE = ("positive", "passage", "answer", "document", "pos", "body")
NEGATIVE = ("negative", "negatives", "neg")  # and negative_1, negative_2 ...
SCORE = ("score", "label")
PREMISE, HYPOTHESIS = ("premise", "sentence1"), ("hypothesis", "sentence2")
LABEL = ("label", "gold_label")
GROUP = ("group", "focus")
NON_TEXT_COLUMNS = {"", "id", "_id", "origin", "group"}  # columns of a parallel text that hold no sentence

LABELS = {"entailment": 0, "neutral": 1, "contradiction": 2, "0": 0, "1": 1, "2": 2}  # as numbered in SNLI and MNLI
NO_LABEL = {"", "-", "-1", "nan", "none"}
MATCH_THRESHOLD = 0.8  # 4 of 5 on the STS scale: "mostly equivalent, but some unimportant details differ" (SemEval 2017, task 1)


class RowError(Exception):
    """A row makes no record; the message is the reason."""


def value_in(row: Row, names: Sequence[str]) -> Any:
    """The value of the first of these columns that the row has; None where it has none."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def text_in(row: Row, names: Sequence[str]) -> str:
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        if null := next((name for name in names if name in row), None):
            raise RowError(f"column '{null}' is null")
        columns = [str(column) for column in row if column]
        near = next((hint for wanted in names if (hint := did_you_mean(wanted, columns, list_all=False))), "")
        raise RowError(f"no column '{names[0]}'.{near or did_you_mean(names[0], columns)}")
    return require_text(row[name], name)


def require_text(value: object, name: str) -> str:
    if value is None:
        raise RowError(f"column '{name}' is null")
    if not isinstance(value, str):
        raise RowError(f"column '{name}' holds {type(value).__name__}, expected text")
    text = value.strip()
    if not text:
        raise RowError(f"column '{name}' is empty")
    if not text[0].isalnum() and not any(is_visible(letter) for letter in text):
        raise RowError(f"column '{name}' holds no visible character")
    if "\0" in text:
        raise RowError(f"column '{name}' holds a NUL character")
    most = current_log().options.max_cell_mb
    if len(text) > most * MB:
        raise RowError(f"column '{name}' holds {len(text):,} characters; raise max_cell_mb if it is right")
    return text


def texts_in(row: Row, names: Sequence[str]) -> list[str]:
    """The texts of a column that holds one text or a list. Raises RowError."""
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None or not isinstance(row[name], (list, tuple)):
        return [text_in(row, names)]
    if not row[name]:
        raise RowError(f"column '{name}' is an empty list")
    return [require_text(text, name) for text in row[name]]


def optional_in(row: Row, *names: str) -> str:
    """The first of these columns that is not empty, as stripped text; "" where all are. Raises RowError."""
    name = next((name for name in names if row.get(name) not in (None, "")), None)
    if name is None:
        return ""
    if "\0" in (text := str(row[name]).strip()):
        raise RowError(f"column '{name}' holds a NUL character")
    return text


def number_in(row: Row, names: Sequence[str]) -> float:
    value = value_in(row, names)
    if value is None:
        if null := next((name for name in names if name in row), None):
            raise RowError(f"column '{null}' is null")
        raise RowError(f"no column '{names[0]}'.{did_you_mean(names[0], [str(k) for k in row if k])}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise RowError(f"{names[0]} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise RowError(f"{names[0]} {value!r} is not a finite number")
    return number


def label_in(row: Row) -> int | None:
    """0 entailment, 1 neutral, 2 contradiction; None where the annotators did not agree. Raises RowError."""
    if not any(name in row for name in LABEL):
        raise RowError(f"no column 'label'.{did_you_mean('label', [str(k) for k in row if k])}")
    word = str(value_in(row, LABEL)).strip().lower().removesuffix(".0")
    if word in NO_LABEL:
        return None
    if word not in LABELS:
        raise RowError(f"label {word!r} is none of entailment, neutral, contradiction (or 0, 1, 2; -1: no label)")
    return LABELS[word]


def score_in(row: Row) -> float:
    """A score, 0 to 1, rescaled from the declared score_range; a label may be true or false. Raises RowError."""
    if isinstance(row.get("score"), bool):
        raise RowError(f"score is {row['score']}, expected a number; where all rows are true or false, call the column label")
    score, declared = number_in(row, SCORE), current_log().options.score_range
    low, high = declared or (0.0, 1.0)
    if not low <= score <= high:
        how = "" if declared else "; divide by the scale's maximum (5 for STS), or declare the range: score_range: [0, 5]"
        raise RowError(f"score {score:g} is outside {low:g} to {high:g}{how}")
    return (score - low) / (high - low)
