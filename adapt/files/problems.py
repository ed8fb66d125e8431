"""The bad rows of one source: gathered and raised together, or, where the options say so, left out and counted."""

from __future__ import annotations

from typing import Any

from adapt.errors import UserError, limit_problems, shorten_path
from adapt.files.memory import Source
from adapt.files.options import current_log, note

MAX_BAD_ROWS = 10_000  # problems after which reading on says nothing new
MAX_LISTED = 3  # rows with the very same problem that are named one by one


class BadRowCollector:
    """What is wrong with the rows of a source, in the order of the file."""

    def __init__(self, source: Source):
        self.source, self.log = shorten_path(source), current_log()
        self.found: dict[str, list[str]] = {}  # what is wrong → where
        self.count = 0

    def add(self, where: str, why: str, row: Any) -> int:
        """Note a bad row; how many there are by now. Raises UserError where there are too many to go on."""
        self.count += 1
        if self.log.options.on_bad_row == "skip":
            self.log.reject(where, why, row)
            return self.count
        self.found.setdefault(why, []).append(where)
        if self.count >= MAX_BAD_ROWS:
            raise UserError(f"{self.source}: more than {MAX_BAD_ROWS:,} bad rows; the first are")
        return self.count

    def problems(self) -> list[str]:
        """A sentence for each problem; what more than a few rows have in common is said once."""
        said = []
        for why, places in self.found.items():
            if len(places) <= MAX_LISTED:
                said += [f"{place}: {why}" for place in places]
            else:
                said.append(
                    f"{places[0]} and {len(places) - 1:,} more rows, up to {places[-1].removeprefix(self.source).strip()}: {why}"
                )
        return said

    def finish(self) -> None:
        """Raise UserError where a row was bad; where such rows are skipped, note how many."""
        if self.found:
            raise UserError(limit_problems(self.problems()))
        if self.count:
            note(f"{self.source}: {self.count:,} bad rows skipped")

    def said(self) -> str:
        """How many rows were skipped, to be added to a sentence."""
        return f" Skipped: {self.count:,} bad rows." if self.count else ""
