"""What the functions of `adapt` return: results of stages, evaluations and comparisons, with a short repr and as data frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, overload

from pydantic import JsonValue

from adapt.errors import UserError
from adapt.files import to_row
from adapt.records import Record, Triplet
from adapt.results import Comparison

if TYPE_CHECKING:
    import pandas
    from datasets import Dataset
    from sentence_transformers import CrossEncoder, SentenceTransformer

Row: TypeAlias = "dict[str, str | float | int | None]"
# Columns that describe a row and are no part of an example: sentence-transformers would train on them as on texts.
DESCRIPTIVE = ("id", "group", "origin", "title", "topic", "sampler", "rank", "raw", "calibrated", "labeller")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class StageResult:
    """What a stage returned. `files`: further files of the stage by name, such as `suspected.csv` of mining."""

    stage: str
    path: Path | None
    seconds: float
    counts: Mapping[str, JsonValue] = field(default_factory=dict)
    notes: Sequence[str] = ()
    files: Mapping[str, Path] = field(default_factory=dict)

    def _counts(self) -> str:
        return "".join(f", {name} {value:,}" for name, value in self.counts.items() if type(value) is int and name != "rows")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ModelResult(StageResult):
    """A trained model. It can be given wherever a path or a model is expected: to another stage, to `adapt.evaluate`.

    >>> tuned = adapt.finetune(model="all-MiniLM-L6-v2", examples=pairs)  # doctest: +SKIP
    >>> tuned.load().encode("a text").shape  # doctest: +SKIP
    (384,)
    """

    path: Path
    is_cross_encoder: bool = False

    def __fspath__(self) -> str:
        return str(self.path)

    __str__ = __fspath__

    def load(self) -> SentenceTransformer | CrossEncoder:
        """The model as sentence-transformers loads it: a SentenceTransformer or a CrossEncoder."""
        import sentence_transformers

        kind = sentence_transformers.CrossEncoder if self.is_cross_encoder else sentence_transformers.SentenceTransformer
        return kind(str(self.path))

    def __repr__(self) -> str:
        return f"<ModelResult of {self.stage} in {self.path}: {self.seconds:.1f} s{self._counts()}>"


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class DataResult(StageResult, Sequence[Row]):
    """Rows that a stage made: a sequence of dicts in the columns that sentence-transformers trains on.

    `datasets.Dataset.from_list(result)` and `result.to_dataset()` are the same. `records` and `to_pandas()` also have the columns
    that describe a row (origin, group, topic ...). A triplet with fewer negatives than others repeats its own in the columns
    negative_1, negative_2 ..., so that none is empty. `path` is None where no `out` was given.

    >>> triplets = adapt.mine(model="all-MiniLM-L6-v2", pairs=pairs)  # doctest: +SKIP
    >>> triplets[0].keys()  # doctest: +SKIP
    dict_keys(['anchor', 'positive', 'negative_1', 'negative_2', 'negative_3', 'negative_4'])
    """

    records: Sequence[Record]

    @property
    def rows(self) -> list[Row]:
        """The rows as a list of dicts, all with the same columns."""
        return [{name: value for name, value in row.items() if name not in DESCRIPTIVE} for row in self._all_columns()]

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self._cached_rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._cached_rows)

    @property
    def _cached_rows(self) -> list[Row]:
        if "_rows" not in self.__dict__:
            object.__setattr__(self, "_rows", self.rows)
        found: list[Row] = self.__dict__["_rows"]
        return found

    def _all_columns(self) -> list[Row]:
        most = max((len(record.negatives) for record in self.records if isinstance(record, Triplet)), default=0)
        rows: list[Row] = [to_row(_with_negatives(record, most)) for record in self.records]
        columns = dict.fromkeys(name for row in rows for name in row)
        return [{name: row.get(name) for name in columns} for row in rows]

    def to_pandas(self) -> pandas.DataFrame:
        """All columns as a data frame, those that describe a row among them."""
        return _frame(self._all_columns())

    def to_dataset(self) -> Dataset:
        """The rows as a `datasets.Dataset`, for sentence-transformers' trainers."""
        from datasets import Dataset

        return Dataset.from_list(self.rows)

    def __repr__(self) -> str:
        place = f" in {self.path}" if self.path else ""
        columns = ", ".join(self[0]) if len(self) else "no columns"
        return f"<DataResult of {self.stage}{place}: {len(self):,} rows ({columns}), {self.seconds:.1f} s{self._counts()}>"


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation:
    """A model's metrics on each check's data; `evaluation["sts.spearman"]` is one of them.

    `metrics`: {check: {metric: value}}, NaN where one is undefined; `n`: {check: items}; `main`: {check: its main metric}.
    """

    model: str
    metrics: Mapping[str, Mapping[str, float]]
    n: Mapping[str, int]
    main: Mapping[str, str]
    notes: Sequence[str] = ()

    def __getitem__(self, metric: str) -> float:
        """The value of `check.metric`, or of a check's main metric."""
        check, _, name = metric.partition(".")
        return self.metrics[check][name or self.main[check]]

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each metric: check, metric, value, n."""
        return _frame(
            [
                {"check": check, "metric": metric, "value": value, "n": self.n[check]}
                for check, values in self.metrics.items()
                for metric, value in values.items()
            ]
        )

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}.{main} {self.metrics[name][main]:.4f} (n {self.n[name]:,})" for name, main in self.main.items())
        return f"<Evaluation of {self.model}: {shown}>"


@dataclass(frozen=True, repr=False, eq=False)
class ModelComparison:
    """Two models on the same items: for each metric both values, the paired difference b - a, its 95 % interval, p and outcome.

    `comparison["sts.spearman"]` is one row (see `adapt.results.Comparison`); `rows` are all of them.
    """

    a: str
    b: str
    rows: Sequence[Comparison]
    n: Mapping[str, int]
    main: Mapping[str, str]
    notes: Sequence[str] = ()

    def __getitem__(self, metric: str) -> Comparison:
        """The row of `check.metric`, of a check's main metric, or, where there is one check only, of its `metric`."""
        check, _, name = metric.partition(".")
        wanted = f"{check}.{name or self.main.get(check, '')}"
        if not name and check not in self.main and len(self.main) == 1:
            wanted = f"{next(iter(self.main))}.{metric}"
        found = next((row for row in self.rows if row.metric == wanted), None)
        if found is None:
            raise KeyError(metric)
        return found

    def to_pandas(self) -> pandas.DataFrame:
        """One row for each metric: metric, a, b, delta, low, high, p, outcome."""
        names = {"metric": "metric", "base": "a", "final": "b", **{n: n for n in ("delta", "low", "high", "p", "outcome")}}
        return _frame([{new: getattr(row, old) for old, new in names.items()} for row in self.rows])

    def __repr__(self) -> str:
        shown = []
        for check in self.main:
            row = self[check]
            interval = f"{100 * row.low:+.1f} to {100 * row.high:+.1f}"
            shown.append(f"{row.metric} {row.outcome} ({100 * row.delta:+.1f} points, 95 % interval {interval}, p {row.p:.3f})")
        return f"<ModelComparison of {self.a} and {self.b}: {'; '.join(shown)}>"


def _with_negatives(record: Record, count: int) -> Record:
    """A triplet with that many negatives, its own over and over; any other record as it is."""
    if not isinstance(record, Triplet) or len(record.negatives) == count:
        return record
    return replace(record, negatives=tuple(islice(cycle(record.negatives), count)))


def _frame(rows: Sequence[Mapping[str, object]]) -> pandas.DataFrame:
    try:
        import pandas
    except ImportError:
        raise UserError("to_pandas() needs pandas: pip install pandas") from None
    return pandas.DataFrame(list(rows))
