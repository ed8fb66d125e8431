"""Rows of JSONL files, one object per line, validated: standard JSON, unique keys, finite numbers, valid Unicode."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapt.errors import UserError, shorten_path
from adapt.files import line_reader
from adapt.files.delimited import BadRow
from adapt.files.line_reader import UndecodableLine

MAX_DIGITS = 40  # of an integer


class _Refused(ValueError):
    """A value that Python's JSON parser accepts but a row may not hold."""


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, {column: value}) of each line that is not blank, or a `BadRow`. Raises UserError for a JSON array."""
    begun = False
    for number, line in line_reader.read_lines(path):
        if not line.strip():
            continue
        if not begun and line.lstrip().startswith("["):
            raise UserError(f"{shorten_path(path)}: is a JSON array; write one object a line: jq -c '.[]' FILE.json > FILE.jsonl")
        begun = True
        found = str(line) if isinstance(line, UndecodableLine) else parse(line)
        if isinstance(found, str):
            found = BadRow(found, line.raw if isinstance(line, UndecodableLine) else line)
        yield number, found


def parse(line: str) -> dict[str, Any] | str:
    """The JSON object of a line, or the reason why it has none."""
    try:
        found = json.loads(line, parse_constant=_constant, parse_float=_float, parse_int=_int, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        return f"is not JSON ({error.msg}, column {error.colno})"
    except _Refused as error:
        return str(error)
    except RecursionError:
        return "is nested too deeply"
    if not isinstance(found, dict):
        return f"holds {type(found).__name__}, expected {{column: value}}"
    if "\\u" in line and _surrogate(found):
        return "holds half a character (a lone surrogate such as \\ud83d); write the text again as UTF-8"
    return found


def _constant(word: str) -> float:
    raise _Refused(f"holds {word}, which is no JSON and no number")


def _float(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise _Refused(f"holds the number {word[:20]}, which is beyond what a float holds")
    return number


def _int(word: str) -> int:
    if len(word) > MAX_DIGITS:
        raise _Refused(f"holds a whole number of {len(word):,} digits")
    return int(word)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
        raise _Refused(f"has the key '{twice[0][:60]}' more than once")
    return found


def _surrogate(value: object) -> bool:
    """Whether a text in a value contains a lone surrogate, which UTF-8 can't encode."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
