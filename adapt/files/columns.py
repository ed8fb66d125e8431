"""Map the columns of a source to expected names: by the user's `columns`, or by name in any case; note unused columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from adapt.errors import UserError, did_you_mean, shorten_path
from adapt.files import row_formats
from adapt.files.memory import MemoryRows, Source
from adapt.files.options import current_log, note

MAX_NAMES = 8  # columns in a message
MAX_NAME_CHARACTERS = 40  # characters of a column's name in a message
# Label columns; one that the requested kind does not use changes the meaning of the other columns.
LABEL_COLUMNS = ("score", "label", "gold_label")


class ColumnError(UserError):
    """The columns give no record of the requested kinds."""


class Columns:
    """The columns of a source, by its first row; `form` is the row format."""

    def __init__(self, source: Source, row: Mapping[str, object], kinds: Sequence[str], where: str):
        """`where`: the row's place in messages. Raises ColumnError if the columns give no record, UserError for wrong `columns`."""
        self.shown = shorten_path(source)
        place = (
            where if ".jsonl" in self.shown or isinstance(source, MemoryRows) else self.shown
        )  # elsewhere all rows have the columns of the header
        self.names: dict[Any, str] = {}
        known = row_formats.columns_used(kinds) | row_formats.OPTIONAL_COLUMNS
        if unknown := [ours for ours in current_log().options.columns if ours not in row_formats.KNOWN_COLUMNS]:
            raise UserError(f"columns: '{unknown[0]}' is not a known column.{did_you_mean(unknown[0], row_formats.KNOWN_COLUMNS)}")
        chosen = {ours: theirs for ours, theirs in current_log().options.columns.items() if ours in known}
        if missing := [theirs for theirs in chosen.values() if theirs not in row]:
            raise ColumnError(f"{place}: has no column '{missing[0]}', which `columns` names; columns are {join_names(row)}")
        self.names |= {theirs: ours for ours, theirs in chosen.items()}
        for name in row:
            plain = str(name).strip().lower()
            if name not in known and name not in self.names and plain in known and plain not in row:
                self.names.setdefault(name, plain)
        read_as = [f"'{name}' as '{ours}'" for name, ours in self.names.items() if name != ours]
        if read_as:
            note(f"{self.shown}: reads column {', '.join(read_as)}")
        named = self(row)
        self.form = row_formats.best_format(named, kinds)
        if self.form.fit(named) < 1:
            near = next((hint for form in row_formats.ROW_FORMATS[kinds[0]] if (hint := form.hint(named))), "")
            raise ColumnError(
                f"{place}: columns are {join_names(row)}; expected {row_formats.EXPECTED_COLUMNS[kinds[0]]}."
                f"{near} Say which column is which with columns (--column anchor=NAME); "
                "where the first line holds data, write the names above it"
            )
        self._note_unused(named)

    def __call__(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row with its columns renamed to the expected names."""
        if not self.names:
            return dict(row)
        return {self.names.get(name, name): value for name, value in row.items()}

    def _note_unused(self, row: Mapping[str, object]) -> None:
        """Note columns that have a meaning in another kind of data but are not used in this one."""
        used = self.form.uses | row_formats.OPTIONAL_COLUMNS
        others = [str(name) for name in row if str(name) not in used and not row_formats.is_negative(name, self.form)]
        unused = [name for name in others if name in row_formats.KNOWN_COLUMNS or name.startswith("negative")]
        if unused and self.form.columns:  # parallel sentences may be in columns of any name
            deciding = [name for name in unused if name in LABEL_COLUMNS]
            what = f": a {deciding[0]} changes nothing here" if deciding else ""
            note(f"{self.shown}: columns not used: {join_names(unused)}{what}")


def join_names(names: Iterable[object]) -> str:
    """Column names for a message; long names and long lists are cut."""
    shown = [name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}..." for name in map(str, names)]
    return ", ".join(shown[:MAX_NAMES]) + (f" and {len(shown) - MAX_NAMES} more" if len(shown) > MAX_NAMES else "")
