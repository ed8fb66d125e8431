"""Write and read a sheet of pairs for a person to score in a spreadsheet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from adapt.errors import UserError, limit_problems
from adapt.escaping import escape_cell
from adapt.files import BadRow, BadRowCollector, delimited, regular_file
from adapt.records import ScoredPair
from adapt.storage.atomic import atomic_file, write_text
from adapt.text.clean import clean

Scale = Literal["auto", "0-1", "0-5", "yes-no"]
COLUMNS = ("id", "sentence1", "sentence2", "score", "origin")
WORD_SCORES = {"yes": 1.0, "y": 1.0, "true": 1.0, "no": 0.0, "n": 0.0, "false": 0.0}
VALID_SCORES = {"0-1": "a number from 0 to 1", "0-5": "a number from 0 to 5", "yes-no": "yes or no"}
INSTRUCTIONS = """\
How to fill in {name}
Open it in a spreadsheet. In the column score, rate how similar the meanings of sentence1 and sentence2 are, on one scale for all
rows:
  0 to 5   5 equivalent, 4 equivalent except for unimportant details, 3 roughly equivalent but an important detail differs,
           2 not equivalent but some details are shared, 1 only the same topic, 0 unrelated
  0 to 1   the same scale divided by 5
  yes/no   whether one sentence could replace the other
Leave the score empty if you are not sure; do not change other columns. The rows are in random order. Save as CSV (UTF-8), then run:
  adapt label --read {name} --out gold.csv
You can run it at any time, continue to fill in the sheet and run it again.
"""


def refuse_unwritable(out: Path) -> None:
    """Raise UserError where a sheet can't be written: an existing one may hold somebody's scores."""
    if out.suffix != ".csv":
        raise UserError(f"{out}: a sheet is a .csv file; choose a name that ends with .csv")
    if out.exists():
        raise UserError(f"{out}: already exists; read it with adapt label --read {out}, or choose another --out")
    path = _instructions_path(out)
    if path.exists() and path.read_bytes() != INSTRUCTIONS.format(name=out.name).encode():
        raise UserError(f"{path}: already exists, and the instructions would replace it; choose another --out")


def _instructions_path(out: Path) -> Path:
    """The file of the instructions for a sheet."""
    return out.with_name(f"{out.stem}-how-to.txt")


def write_sheet(pairs: Sequence[ScoredPair], out: Path) -> Path:
    """Write the sheet as CSV, and instructions beside it; returns the path of the instructions.

    Cells that a spreadsheet would evaluate as a formula are escaped.
    """
    refuse_unwritable(out)
    instructions = _instructions_path(out)
    write_text(instructions, INSTRUCTIONS.format(name=out.name))
    with (
        atomic_file(out) as part,
        open(part, "w", encoding="utf-8-sig", newline="") as file,  # Excel detects UTF-8 by the byte order mark
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for pair in pairs:
            first, second = clean(pair.sentence1), clean(pair.sentence2)
            writer.writerow([_pair_id(first, second), escape_cell(first), escape_cell(second), "", pair.origin])
    return instructions


def read_sheet(sheet: Path, scale: Scale = "auto") -> tuple[list[ScoredPair], list[int]]:
    """(scored pairs with scores from 0 to 1, numbers of rows without a score). Raises UserError with every problem at once."""
    rows = list(_rows(sheet))
    if not rows:
        raise UserError(f"{sheet}: has no rows; write a sheet with adapt label --texts")
    missing = [name for name in COLUMNS[:4] if name not in rows[0][1]]
    if missing:
        raise UserError(f"{sheet} row 1: has no column {', '.join(missing)}; keep the header row that adapt label wrote")
    if scale == "auto":
        scale = _scale([(row["score"] or "").strip().casefold() for _, row in rows])
    problems: list[str] = []
    unscored: list[int] = []
    seen: dict[str, int] = {}
    found: list[ScoredPair] = []
    for number, row in rows:
        texts = _texts(row)
        if texts is None:
            problems.append(f"{sheet} row {number}: the text or the id has changed; only the column score may change")
        elif row["id"] in seen:
            problems.append(f"{sheet} row {number}: is a duplicate of row {seen[row['id']]}")
        seen.setdefault(row["id"], number)
        word = (row["score"] or "").strip().casefold()
        if not word:
            unscored.append(number)
            continue
        score = _score(word, scale)
        if score is None:
            problems.append(f"{sheet} row {number}: score {row['score']!r} is not {VALID_SCORES[scale]}")
        elif texts:
            found.append(ScoredPair(*texts, score, "person"))
    if problems:
        raise UserError(limit_problems(problems))
    if not found:
        raise UserError(f"{sheet}: no row has a score; fill in the column score")
    return found, unscored


def _scale(words: Sequence[str]) -> Scale:
    """The scale of most of the scores; numbers of at most 1 are on the scale 0 to 1."""
    if 2 * sum(word in WORD_SCORES for word in words) > sum(map(bool, words)):
        return "yes-no"
    return "0-5" if any((number := _number(word)) is not None and 1 < number <= 5 for word in words) else "0-1"


def _score(word: str, scale: Scale) -> float | None:
    if scale == "yes-no":
        return WORD_SCORES.get(word)
    most, number = (5 if scale == "0-5" else 1), _number(word)
    return number / most if number is not None and 0 <= number <= most else None


def _number(word: str) -> float | None:
    """A number with a decimal point or comma, which depends on the spreadsheet's locale."""
    return float(word.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d*)?|[.,]\d+", word) else None


def _rows(sheet: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number in the spreadsheet, {column: cell}); cells are separated by commas, semicolons or tabs. Raises UserError."""
    bad = BadRowCollector(sheet)
    for number, row in delimited.rows(regular_file(sheet), ".csv"):
        if isinstance(row, BadRow):
            bad.add(f"{sheet} row {number}", row.why, row.raw)
        elif any(row.values()):
            yield number, row
    bad.finish()


def _pair_id(first: str, second: str) -> str:
    """A hash of a pair's texts, which ignores spacing; it detects that a text has changed."""
    import xxhash

    return xxhash.xxh3_64_hexdigest(f"{clean(first)}\n{clean(second)}".encode())[:12]


def _texts(row: dict[str, str]) -> tuple[str, str] | None:
    """The original texts, with or without the escaping apostrophe (some programs remove it); None where they have changed."""
    cells = [row[name] or "" for name in ("sentence1", "sentence2")]
    readings = [{cell, cell.removeprefix("'")} for cell in cells]
    fit = [(clean(a), clean(b)) for a in readings[0] for b in readings[1] if _pair_id(a, b) == row["id"]]
    return fit[0] if fit else None
