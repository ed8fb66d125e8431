"""Rows of Parquet files, in small batches; pyarrow's errors become one-sentence UserErrors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from adapt.errors import UserError, shorten_path
from adapt.files.options import MB, current_log
from adapt.files.paths import describe_read_error

ROWS_PER_BATCH = 128  # rows held in memory


def rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row number from 1, {column: value}). Raises UserError for a file that is damaged, not Parquet, or expands too much."""
    number = 0
    with _named(path), _opened(path) as file:
        names = file.schema_arrow.names
        if twice := [name for name, times in Counter(names).items() if times > 1]:
            raise UserError(f"{shorten_path(path)}: has the column '{twice[0]}' more than once")
        for batch in file.iter_batches(ROWS_PER_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def count(path: Path) -> int:
    """The number of rows, by the file's metadata. Raises UserError."""
    with _named(path), _opened(path) as file:
        return int(file.metadata.num_rows)


def _opened(path: Path) -> Any:
    import pyarrow.parquet as parquet

    file = parquet.ParquetFile(path)
    meta, options = file.metadata, current_log().options
    size = sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    if size > max(64 * MB, options.max_expansion * path.stat().st_size):
        raise UserError(
            f"{shorten_path(path)}: unpacks to more than {options.max_expansion:g} times its size; "
            "raise max_expansion if it is right"
        )
    return file


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn pyarrow's errors into UserErrors."""
    import pyarrow as arrow

    try:
        yield
    except (arrow.ArrowException, UnicodeDecodeError, OverflowError, ValueError, MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno:  # of the disk; pyarrow's own have no number
            raise UserError(describe_read_error(path, error)) from None
        said = str(error).strip().splitlines()
        why = said[0][:200] if said else type(error).__name__
        raise UserError(f"{shorten_path(path)}: is damaged or no Parquet file ({why}); copy or download it again") from None
