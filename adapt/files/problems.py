"""Bad rows of one source: collected and raised together, or skipped and counted, as the options say."""

from __future__ import annotations

from adapt.errors import UserError, limit_problems, shorten_path
from adapt.files.memory import Source
from adapt.files.options import current_log, note

MAX_BAD_ROWS = 10_000  # after which reading stops
MAX_LISTED = 3  # rows with the same problem that are listed one by one


class BadRowCollector:
    """The problems of a source's rows, in the order of the file."""

    def __init__(self, source: Source):
        self.source, self.log = shorten_path(source), current_log()
        self.found: dict[str, list[str]] = {}  # what is wrong → where
        self.count = 0

    def add(self, where: str, why: str, row: object) -> int:
        """Add a bad row; returns their number so far. Raises UserError where there are MAX_BAD_ROWS."""
        self.count += 1
        if self.log.options.on_bad_row == "skip":
            self.log.reject(where, why, row)
            return self.count
        self.found.setdefault(why, []).append(where)
        if self.count >= MAX_BAD_ROWS:
            raise UserError(f"{self.source}: more than {MAX_BAD_ROWS:,} bad rows; the first are")
        return self.count

    def problems(self) -> list[str]:
        """A sentence for each problem; a problem of more than MAX_LISTED rows is listed once, with their number."""
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
        """Raise UserError with all problems; where bad rows are skipped, note their number."""
        if self.found:
            raise UserError(limit_problems(self.problems()))
        if self.count:
            note(f"{self.source}: {self.count:,} bad rows skipped")

    def said(self) -> str:
        """The number of skipped rows, as a sentence to append; "" where there are none."""
        return f" Skipped: {self.count:,} bad rows." if self.count else ""
