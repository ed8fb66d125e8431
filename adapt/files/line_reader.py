"""Lines of a user's text file: regular files only, UTF-8, of limited size, with one-sentence errors."""

from __future__ import annotations

import gzip
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from adapt.errors import UserError, shorten_path
from adapt.files.options import MB, current_log
from adapt.files.paths import describe_read_error, resolve_path, similar_name_hint

EXPANSION_ALLOWANCE = 64 * MB  # bytes to which any .gz file may expand
UTF_16 = b"\xff\xfe"
# Formats by their first bytes, which no text file has.
MAGIC = {
    b"\x1f\x8b": "is gzip-compressed: give it a name that ends in .gz",
    b"PK\x03\x04": "is a zip archive or a spreadsheet: save it as CSV (UTF-8)",
    b"PAR1": "is a Parquet file: give it a name that ends in .parquet",
    b"%PDF": "is a PDF: extract its text first",
    UTF_16: "is UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text: save it as UTF-8",
}
_KINDS = {
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a folder",
}
_MAC = re.compile(r"(?<=\r)(?!\n)(?!\Z)")  # a line that ends with a carriage return only (classic Mac OS)


class UndecodableLine(str):
    """The reason why a line can't be decoded, in place of its text; `raw`: the line with invalid bytes escaped."""

    raw = ""


def regular_file(source: str | Path) -> Path:
    """The path of a regular file. Raises UserError where there is none, with what is there instead."""
    path = resolve_path(source)
    if path is None:
        raise UserError(f"{shorten_path(source)}: no such file.{similar_name_hint(Path(source))}")
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise UserError(f"{shorten_path(source)}: is {_KINDS.get(stat.S_IFMT(mode), 'no file')}, expected a regular file")
    return path


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line with its end) of a regular file, unpacked where its name ends in .gz.

    A line that is not UTF-8 or holds a NUL byte is an `UndecodableLine`. At most one line is held in memory. Raises UserError for a
    file that can't be opened, is damaged or of another format, a line beyond `max_line_mb`, or a .gz beyond `max_expansion`.
    """
    options, shown, number, size = current_log().options, shorten_path(path), 0, 0
    most, packed = int(options.max_line_mb * MB), path.name.endswith(".gz")
    try:
        with _opened(path, packed) as file:
            bound = max(EXPANSION_ALLOWANCE, options.max_expansion * os.stat(path).st_size)
            while raw := file.readline(most + 1):
                if not number:
                    _refuse_other_formats(shown, raw)
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                size += len(raw)
                if len(raw) > most:
                    raise UserError(
                        f"{shown} line {number + 1}: is longer than {options.max_line_mb:g} MB; raise max_line_mb if it is right"
                    )
                if packed and size > bound:
                    raise UserError(
                        f"{shown} line {number + 1}: unpacks to more than {options.max_expansion:g} times its size; "
                        "raise max_expansion if it is right"
                    )
                text = _decoded(raw)
                for part in _MAC.split(text) if "\r" in text and not isinstance(text, UndecodableLine) else (text,):
                    number += 1
                    yield number, part
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        after = f" after line {number:,}" if number else ""
        raise UserError(f"{shown}: is damaged or cut short{after} ({error}); copy or download it again") from None
    except OSError as error:
        raise UserError(describe_read_error(path, error)) from None


def _opened(path: Path, packed: bool) -> IO[bytes]:
    return gzip.open(path, "rb") if packed else open(path, "rb")  # type: ignore[return-value]


def _refuse_other_formats(shown: str, first: bytes) -> None:
    for magic, what in MAGIC.items():
        if first.startswith(magic):
            raise UserError(f"{shown}: {what}")
    if len(first) >= 4 and (not any(first[1:8:2]) or not any(first[0:8:2])):  # UTF-16 without its mark
        raise UserError(f"{shown}: {MAGIC[UTF_16]}")


def _decoded(raw: bytes) -> str:
    """The decoded line, or an UndecodableLine with the reason."""
    if b"\0" in raw:
        wrong = UndecodableLine(
            f"holds a NUL byte at position {raw.index(0) + 1}: it is UTF-16, or no text; save the file as UTF-8"
        )
    else:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = f"byte 0x{raw[error.start]:02X} at position {error.start + 1}"
            wrong = UndecodableLine(f"{byte} is not UTF-8 (Latin-1 or Windows-1252?); save the file as UTF-8")
    wrong.raw = raw[:1_000].decode("utf-8", "backslashreplace")
    return wrong
