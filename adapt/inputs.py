"""Python data as the rows that files hold: lists of texts, tuples and dicts, datasets, data frames; and models, loaded or by name.

What a row must have, and what is wrong with one, is decided where files are read (`adapt.files`): the messages are the same, with
the item (`texts[3]`, counted from 0) in place of file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from adapt import files
from adapt.checks import Source as CheckSource
from adapt.errors import UserError, did_you_mean
from adapt.files import BadRow, MemoryRows, Source, to_row
from adapt.files.memory import Place
from adapt.job import Event, Listener
from adapt.records import KINDS

PathLike: TypeAlias = "str | os.PathLike[str]"
# Data: a path; texts; tuples or dicts (columns named as in sentence-transformers); {id: text}; {column: values}; a
# datasets.Dataset, a pandas data frame; records of `adapt.records`; the result of a stage; or a list of several of these, paths as
# pathlib.Path.
Data: TypeAlias = "PathLike | Mapping[str, object] | Iterable[object]"
Row = dict[str, object]
# What the values of a tuple are, by the kind that is wanted.
COLUMNS = {
    "pairs": ("anchor", "positive"),
    "scored": ("sentence1", "sentence2", "score"),
    "triplets": ("anchor", "positive", "negative"),
    "labelled": ("sentence1", "sentence2", "label"),
    "parallel": ("source", "target"),
    "topics": ("text", "topic"),  # texts, in checks that need a topic each
    "ranked": ("query", "positive", "negative"),  # rows of a reranking check: a text and two lists
}
# The kinds of records, as in `COLUMNS`, that each kind of check takes.
CHECKS = {
    "sts": ("scored",), "pairs": ("scored",), "triplets": ("triplets",), "translation": ("parallel",), "reranking": ("ranked",),
    "classification": ("topics",), "clustering": ("topics",),
}  # fmt: skip


@runtime_checkable
class Saveable(Protocol):
    """A model in memory: a SentenceTransformer or a CrossEncoder."""

    def save_pretrained(self, path: str) -> object:
        """Write the model to a folder."""
        ...


Model: TypeAlias = "PathLike | Saveable"


@runtime_checkable
class _PandasFrame(Protocol):
    def itertuples(self) -> object: ...

    def to_dict(self, orient: str) -> list[dict[str, object]]: ...


@runtime_checkable
class _PolarsFrame(Protocol):
    def iter_rows(self, *, named: bool) -> Iterable[object]: ...


@runtime_checkable
class _ArrowTable(Protocol):
    def to_pylist(self) -> list[object]: ...


@runtime_checkable
class _HasRecords(Protocol):
    @property
    def records(self) -> Sequence[object]: ...


def model_name(model: object, save_to: Path) -> str:
    """The path or name of a model; one in memory is written to the folder `save_to` first."""
    if isinstance(model, (str, os.PathLike)):
        return os.fspath(model)
    if not isinstance(model, Saveable):
        raise UserError(f"a model is a path, a name, a SentenceTransformer or a CrossEncoder (got {type(model).__name__})")
    model.save_pretrained(str(save_to))
    return str(save_to)


def sources(data: object, name: str, kinds: Sequence[str]) -> list[Source]:
    """The data of one input as sources that `adapt.files.read` takes: one, or several that follow each other.

    `name`: what messages call the data; `kinds`: the kinds of records that fit, as in `adapt.files.read`. Raises UserError.
    """
    if isinstance(data, Mapping) or is_table(data) or not isinstance(data, Iterable) or isinstance(data, (str, os.PathLike)):
        return [source(data, name, kinds)]
    items = data if isinstance(data, Sequence) else list(data)
    if items and all(isinstance(item, str) for item in islice(items, 3)) and all(map(os.path.isfile, islice(items, 3))):
        raise UserError(f"{name}: a list of strings is a list of texts; to read several files, give pathlib.Path objects")
    if items and all(is_source(item) for item in items):
        return [source(item, f"{name}[{number}]", kinds) for number, item in enumerate(items)]
    return [source(items, name, kinds)]


def source(data: object, name: str, kinds: Sequence[str]) -> Source:
    """One path, table, mapping or list as a source of rows."""
    if isinstance(data, str):
        return data
    if isinstance(data, os.PathLike):
        return Path(data)
    if isinstance(data, Mapping):
        return MemoryRows(name, lambda: _of_mapping(data, name, kinds))
    if not isinstance(data, Iterable):
        raise UserError(f"{name}: is {type(data).__name__}; expected a path, a list of rows, a datasets.Dataset or a data frame")
    return MemoryRows(name, lambda: ((place, _row(item, kinds)) for place, item in enumerate(_items(data))))


def check_source(kind: str, data: object, parts: Sequence[str]) -> CheckSource:
    """The data of a check as its `read` takes them; `parts`: the keys of data that are given as a mapping. Raises UserError."""
    if not parts or not isinstance(data, Mapping):
        found = sources(data, kind, CHECKS.get(kind, ()))
        if len(found) > 1:
            raise UserError(f"{kind}: give one source of data (got {len(found)})")
        return found[0]
    names = {"relevant": "qrels", "relevant_docs": "qrels"}
    given = {names.get(key, str(key)): value for key, value in data.items()}
    if unknown := [key for key in given if key not in parts]:
        raise UserError(f"{kind}: unknown key '{unknown[0]}'.{did_you_mean(unknown[0], (*parts, 'relevant'))}")
    spec: dict[str, object] = {}
    for part, value in given.items():
        if part in ("corpus", "queries"):
            spec[part] = source(value, part, ("texts",))
        elif part == "qrels" and isinstance(value, Mapping):
            spec[part] = MemoryRows("relevant", partial(_judgements, value))
        else:
            spec[part] = source(value, part, ()) if part == "qrels" or isinstance(value, os.PathLike) else value
    return spec


def _judgements(relevant: Mapping[object, object]) -> Iterator[tuple[Place, Row]]:
    """{query id: passage ids} or {query id: {passage id: grade}} as rows of judgements."""
    for query, passages in relevant.items():
        if isinstance(passages, str) or not isinstance(passages, Iterable):
            yield str(query), BadRow("expected a set of passage ids, or {passage id: grade}", repr(passages))
            continue
        grades = passages if isinstance(passages, Mapping) else dict.fromkeys(passages, 1)
        for passage, grade in grades.items():
            yield str(query), {"query-id": str(query), "corpus-id": str(passage), "score": grade}


def is_table(data: object) -> bool:
    """Whether this is a data frame (pandas or polars), a datasets.Dataset or an Arrow table."""
    return any(hasattr(data, name) for name in ("columns", "column_names")) and not isinstance(data, type)


def is_source(item: object) -> bool:
    """Whether an item of a list is a source of rows of its own, and no row."""
    if isinstance(item, os.PathLike) or is_table(item):
        return True
    if isinstance(item, (str, Mapping, tuple)) or not isinstance(item, Sequence):
        return False
    return bool(item) and isinstance(item[0], (Mapping, tuple, list))


def _items(data: Iterable[object]) -> Iterable[object]:
    """The rows of a table or a list."""
    if isinstance(data, _PandasFrame):
        return ({name: None if _is_missing(value) else value for name, value in row.items()} for row in data.to_dict("records"))
    if isinstance(data, _PolarsFrame):
        return data.iter_rows(named=True)
    if isinstance(data, _ArrowTable):
        return data.to_pylist()
    return data.records if isinstance(data, _HasRecords) else data


def _is_missing(value: object) -> bool:
    """Whether a cell of a data frame is empty: NaN, NaT or NA, none of which equals itself."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


def _of_mapping(data: Mapping[str, object], name: str, kinds: Sequence[str]) -> Iterator[tuple[Place, Row]]:
    """{id: text} or {column: values} as rows."""
    columns = {key: value for key, value in data.items() if isinstance(value, Sequence) and not isinstance(value, str)}
    if len(columns) == len(data) > 0:
        sizes = {len(values) for values in columns.values()}
        if len(sizes) > 1:
            listed = ", ".join(f"{key} {len(values)}" for key, values in columns.items())
            raise UserError(f"{name}: columns are of different lengths: {listed}")
        yield from ((i, {key: values[i] for key, values in columns.items()}) for i in range(sizes.pop()))
    elif any(hasattr(value, "column_names") for value in data.values()):
        raise UserError(f"{name}: holds several splits; give one of {', '.join(map(str, data))}")
    elif "texts" not in kinds:
        raise UserError(f"{name}: is a mapping; expected {{column: list of values}} or a list of rows")
    else:
        for key, value in data.items():
            row = {**value} if isinstance(value, Mapping) else {"text": value}
            yield key, {"_id": str(key), **row}


def _row(item: object, kinds: Sequence[str]) -> Row:
    """One item as {column: value}; a `BadRow` for what is none."""
    if isinstance(item, Mapping):
        return {str(key): value for key, value in item.items()}
    if type(item) in KINDS or any(isinstance(item, kind) for kind in KINDS):
        return dict(to_row(item))
    if isinstance(item, str) and "texts" in kinds:
        return {"text": item}
    columns = _columns_of(item, kinds) if isinstance(item, (tuple, list)) else None
    if columns is None:
        wanted = "a text" if "texts" in kinds else " or ".join(f"({', '.join(COLUMNS[k])})" for k in kinds if k in COLUMNS)
        shown = f"{type(item).__name__} of {len(item)}" if isinstance(item, (tuple, list)) else type(item).__name__
        return BadRow(f"is {shown}, expected {wanted or 'a row'} or a dict", repr(item))
    assert isinstance(item, (tuple, list))
    return dict(zip(columns, item, strict=True))


def _columns_of(item: Sequence[object], kinds: Sequence[str]) -> tuple[str, ...] | None:
    """The columns of a tuple's values; None where no kind that fits has so many."""
    size = len(item)
    if size == 2:
        return next((COLUMNS[kind] for kind in ("pairs", "parallel", "topics") if kind in kinds), None)
    if size == 3 and "ranked" in kinds:
        return COLUMNS["ranked"]
    if size > 2 and "triplets" in kinds and isinstance(item[2], str):
        return ("anchor", "positive", *(["negative"] if size == 3 else [f"negative_{i}" for i in range(1, size - 1)]))
    if size == 3 and {"scored", "labelled"} & set(kinds):
        if "scored" not in kinds or ("labelled" in kinds and not isinstance(item[2], float)):
            return COLUMNS["labelled"]
        return COLUMNS["scored"]
    return None


@contextmanager
def notes_on_data(listener: Listener) -> Iterator[list[str]]:
    """The notes that reading data leaves, each of which is an event at the end."""
    with files.reading() as log:
        try:
            yield log.notes
        finally:
            for text in log.notes:
                listener(Event("note", text))
