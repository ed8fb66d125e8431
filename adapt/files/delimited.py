"""Rows of CSV and TSV files, validated: as many fields as the header has columns, closed quotes, unique column names."""

from __future__ import annotations

import csv
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adapt.errors import UserError, shorten_path
from adapt.files import line_reader
from adapt.files.line_reader import UndecodableLine
from adapt.files.options import MB, current_log, note

DELIMITERS = {".csv": ",", ".tsv": "\t"}
DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}
BYTE_ORDER_MARK = "\ufeff"  # at the start of a file
MAX_FIELD_CHARACTERS = 60  # characters of a field that a message shows
MAX_FIELDS = 6
# Lines that may be parsed again after an unclosed quote; a limit that prevents quadratic time on hostile files.
MAX_REREAD_LINES = 2_000_000


class BadRow(dict[str, Any]):
    """A row that can't be parsed: no columns, the reason `why`, and the `raw` text of the file."""

    def __init__(self, why: str, raw: str = ""):
        super().__init__()
        self.why, self.raw = why, raw


def rows(path: Path, suffix: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, {column: field}) of each record, or a `BadRow`; blank lines are skipped.

    The delimiter is that of the suffix, or, with a note, another one that the header contains instead. Quotation marks in a TSV
    are field delimiters only where that gives fewer bad rows. Raises UserError.
    """
    first = next((line for _, line in line_reader.read_lines(path) if line.strip()), "")
    delimiter = DELIMITERS[suffix]
    if delimiter not in first and (other := max(DELIMITER_NAMES, key=first.count)) in first:
        delimiter = other
        note(f"{shorten_path(path)}: the fields are read as separated by {DELIMITER_NAMES[other]}")
    quoted = suffix == ".csv" or _is_quoted(path, delimiter)
    return _records(path, delimiter, quoted)


def count(path: Path, suffix: str) -> int:
    """The number of records below the header, including bad rows."""
    return sum(1 for _ in rows(path, suffix))


def _is_quoted(path: Path, delimiter: str) -> bool:
    """Whether quotes delimit fields: which of both readings gives fewer bad rows, or, in a tie, more records."""
    if not any('"' in line for _, line in line_reader.read_lines(path)):
        return True
    tried = {}
    for quoted in (True, False):
        bad = records = 0
        for _, row in _records(path, delimiter, quoted):
            bad, records = bad + isinstance(row, BadRow), records + 1
        tried[quoted] = (bad, -records)
    return tried[True] <= tried[False]


class _Lines:
    """A line iterator for csv.reader; the lines `taken` for the current record can be put back."""

    def __init__(self, path: Path):
        self.source = line_reader.read_lines(path)
        self.waiting: deque[tuple[int, str]] = deque()
        self.taken: list[tuple[int, str]] = []
        self.again = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.taken.append(self.waiting.popleft() if self.waiting else next(self.source))
        line = self.taken[-1][1]
        return line.raw + "\n" if isinstance(line, UndecodableLine) else line

    def put_back(self, most: int = MAX_REREAD_LINES) -> bool:
        """Put back all lines of the record but the first; False where MAX_REREAD_LINES is exceeded."""
        self.again += len(self.taken) - 1
        self.waiting.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]
        return self.again <= most

    @property
    def raw(self) -> str:
        return "".join(line.raw if isinstance(line, UndecodableLine) else line for _, line in self.taken[:100])


def _records(path: Path, delimiter: str, quoted: bool) -> Iterator[tuple[int, dict[str, str]]]:
    lines, header, cell = _Lines(path), None, current_log().options.max_cell_mb
    csv.field_size_limit(int(cell * MB))
    parser = csv.reader(lines, delimiter=delimiter, strict=quoted, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
    while True:
        lines.taken.clear()
        why, fields = "", []
        try:
            fields = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            why = _quotes(str(error), lines, cell)
            if not why:
                raise UserError(
                    f"{shorten_path(path)} line {lines.taken[0][0]}: too many quotes are never closed; mend the file"
                ) from None
        number = lines.taken[0][0]
        why = next((str(line) for _, line in lines.taken if isinstance(line, UndecodableLine)), why)
        if header is None:
            if why or any(map(str.strip, fields)):
                header = _header(f"{shorten_path(path)} line {number}", fields, why)
        elif why:
            yield number, BadRow(why, lines.raw)
        elif len(fields) != len(header):
            if any(map(str.strip, fields)):
                yield number, BadRow(_counted(fields, header, delimiter), lines.raw)
        elif fields and _is_header_again(fields, header):
            yield number, BadRow("repeats the header: were two files joined? Leave this line out", lines.raw)
        elif fields:
            yield number, dict(zip(header, fields, strict=True))


def _header(where: str, fields: list[str], why: str) -> list[str]:
    """The names of the columns; raises UserError for a duplicate."""
    if why:
        raise UserError(f"{where}: {why}")
    header = [name.strip() for name in fields]
    if twice := [name for name, times in Counter(header).items() if times > 1 and name]:
        named = ", ".join(f"'{_short(name)}'" for name in twice)
        raise UserError(f"{where}: the header names {named} more than once; give each column a name of its own")
    return header


def _is_header_again(fields: list[str], header: list[str]) -> bool:
    """Whether a row repeats the header; a single column counts only with a byte order mark, since a text may be "text"."""
    if fields[0].startswith(BYTE_ORDER_MARK):
        fields = [fields[0].removeprefix(BYTE_ORDER_MARK).strip('"'), *fields[1:]]
    elif len(header) == 1:
        return False
    return [field.strip() for field in fields] == header


def _quotes(error: str, lines: _Lines, cell: float) -> str:
    """The problem of the current record's quotes; "" where the file is too damaged to continue."""
    last = lines.taken[-1][0]
    until = f" (closed on line {last})" if len(lines.taken) > 1 else ""
    if "expected after" in error:
        return f'a quoted field goes on after its closing quote{until}; write quotes inside quotes twice ("") or close the field'
    why = "a quote opens here and is never closed"
    if "limit" in error:
        why = f"a cell is larger than {cell:g} million characters (max_cell_mb), or its quote is never closed"
    return why if lines.put_back() else ""


def _counted(fields: list[str], header: list[str], delimiter: str) -> str:
    seen = "; ".join(map(_short, fields[:MAX_FIELDS])) + (" ..." if len(fields) > MAX_FIELDS else "")
    more = f"; put quotes around a text with {DELIMITER_NAMES[delimiter]}" if len(fields) > len(header) else ""
    return f"has {len(fields)} field{'s' * (len(fields) != 1)}, the header {len(header)}{more}. Fields: {seen}"


def _short(text: str) -> str:
    return text if len(text) <= MAX_FIELD_CHARACTERS else f"{text[:MAX_FIELD_CHARACTERS]}..."
