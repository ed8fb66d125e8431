"""A sheet of pairs for a person to score in a spreadsheet, and what it says when it comes back."""

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
TOLD = {"0-1": "a number from 0 to 1", "0-5": "a number from 0 to 5", "yes-no": "yes or no"}
HOW = """\
How to fill {name}
Open it in a spreadsheet. Write how far sentence1 and sentence2 mean the same into the column score, on one scale for all rows:
  0 to 5   5 the same meaning, 4 the same but for unimportant details, 3 roughly the same, some detail differs,
           2 not the same, but details are shared, 1 the same topic only, 0 unrelated
  0 to 1   the same, divided by 5
  yes/no   whether one could stand for the other
Leave a row empty where you can't tell; change no other column. Rows stand in a random order. Save as CSV (UTF-8), then:
  adapt label --read {name} --out gold.csv
You may do so at any time, go on filling and read it again.
"""


def refuse_unwritable(out: Path) -> None:
    """Raise UserError where no sheet may be written: a filled one is somebody's work."""
    if out.suffix != ".csv":
        raise UserError(f"{out}: a sheet is written as .csv, which spreadsheets open")
    if out.exists():
        raise UserError(f"{out}: is there already; read it with adapt label --read {out}, or give another --out")
    how = _how(out)
    if how.exists() and how.read_bytes() != HOW.format(name=out.name).encode():
        raise UserError(f"{how}: already exists, and a sheet's instructions are written there; choose another --out")


def _how(out: Path) -> Path:
    """Where the instructions for a sheet are written."""
    return out.with_name(f"{out.stem}-how-to.txt")


def write_sheet(pairs: Sequence[ScoredPair], out: Path) -> Path:
    """The sheet as CSV, and beside it how to fill it; no cell can be taken for a formula. Returns the latter's path."""
    refuse_unwritable(out)
    how = _how(out)
    write_text(how, HOW.format(name=out.name))
    with (
        atomic_file(out) as aside,
        open(aside, "w", encoding="utf-8-sig", newline="") as file,  # the mark tells Excel that it is UTF-8
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for pair in pairs:
            first, second = clean(pair.sentence1), clean(pair.sentence2)
            writer.writerow([_name(first, second), escape_cell(first), escape_cell(second), "", pair.origin])
    return how


def read_sheet(sheet: Path, scale: Scale = "auto") -> tuple[list[ScoredPair], list[int]]:
    """(the scored pairs, scores 0 to 1; the rows that have no score yet). Raises UserError with every problem at once."""
    rows = list(_rows(sheet))
    if not rows:
        raise UserError(f"{sheet}: holds no rows; write a sheet with adapt label --texts")
    missing = [name for name in COLUMNS[:4] if name not in rows[0][1]]
    if missing:
        raise UserError(f"{sheet} row 1: has no column {', '.join(missing)}; the first row must be as adapt label wrote it")
    if scale == "auto":
        scale = _scale([(row["score"] or "").strip().casefold() for _, row in rows])
    problems: list[str] = []
    unscored: list[int] = []
    seen: dict[str, int] = {}
    found: list[ScoredPair] = []
    for number, row in rows:
        texts = _texts(row)
        if texts is None:
            problems.append(f"{sheet} row {number}: a text or the id was changed; only the column score may be")
        elif row["id"] in seen:
            problems.append(f"{sheet} row {number}: is row {seen[row['id']]} again")
        seen.setdefault(row["id"], number)
        word = (row["score"] or "").strip().casefold()
        if not word:
            unscored.append(number)
            continue
        score = _score(word, scale)
        if score is None:
            problems.append(f"{sheet} row {number}: score {row['score']!r} is not {TOLD[scale]}")
        elif texts:
            found.append(ScoredPair(*texts, score, "person"))
    if problems:
        raise UserError(limit_problems(problems))
    if not found:
        raise UserError(f"{sheet}: no row has a score yet; write them into the column score")
    return found, unscored


def _scale(words: Sequence[str]) -> Scale:
    """The scale that most of the scores are on; numbers up to 1 are on 0 to 1."""
    if 2 * sum(word in WORD_SCORES for word in words) > sum(map(bool, words)):
        return "yes-no"
    return "0-5" if any((number := _number(word)) is not None and 1 < number <= 5 for word in words) else "0-1"


def _score(word: str, scale: Scale) -> float | None:
    if scale == "yes-no":
        return WORD_SCORES.get(word)
    most, number = (5 if scale == "0-5" else 1), _number(word)
    return number / most if number is not None and 0 <= number <= most else None


def _number(word: str) -> float | None:
    """A number, with the point or comma of whatever country the spreadsheet thinks it is in."""
    return float(word.replace(",", ".")) if re.fullmatch(r"\d+([.,]\d*)?|[.,]\d+", word) else None


def _rows(sheet: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(row number as a spreadsheet counts, {column: cell}); commas, semicolons or tabs between cells. Raises UserError."""
    bad = BadRowCollector(sheet)
    for number, row in delimited.rows(regular_file(sheet), ".csv"):
        if isinstance(row, BadRow):
            bad.add(f"{sheet} row {number}", row.why, row.raw)
        elif any(row.values()):
            yield number, row
    bad.finish()


def _name(first: str, second: str) -> str:
    """A short name of a pair that tells a change of its texts, but for spacing."""
    import xxhash

    return xxhash.xxh3_64_hexdigest(f"{clean(first)}\n{clean(second)}".encode())[:12]


def _texts(row: dict[str, str]) -> tuple[str, str] | None:
    """The two texts as they were written, with or without the apostrophe (some programs drop it); None where they changed."""
    cells = [row[name] or "" for name in ("sentence1", "sentence2")]
    readings = [{cell, cell.removeprefix("'")} for cell in cells]
    fit = [(clean(a), clean(b)) for a in readings[0] for b in readings[1] if _name(a, b) == row["id"]]
    return fit[0] if fit else None
