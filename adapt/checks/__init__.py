"""Checks: evaluation on data that training never saw. Each file of `adapt.checks.kinds` is one kind.

A check reads its data, takes embeddings or pair scores from a model, and returns metrics together with the value of each item, so
that two models can be compared item by item.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar, Generic, Protocol, TypeAlias, TypeVar, cast

from adapt import files, plugins
from adapt.checks import kinds
from adapt.errors import UserError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import numpy as np

    from adapt.checks.health import HealthData

GROUP = "adapt.checks"  # of entry points, see `adapt.plugins`
Data = TypeVar("Data")
Source: TypeAlias = files.Source | Mapping[str, object]  # a file, folder or rows in memory, or a mapping of a kind's `parts`


class Model(Protocol):
    """A model that a check measures: a bi-encoder, or a cross-encoder, which only scores pairs."""

    def embed(self, texts: Sequence[str], role: str = "") -> np.ndarray:
        """Unit vectors [texts, d]; `role` is query, document or "" (symmetric). A cross-encoder raises UserError."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """One similarity for each pair, [pairs]."""
        ...


@dataclass(frozen=True)
class Measurement:
    """The result of a check: metrics (0 to 1; correlations and cosines -1 to 1) and the items that they were computed from.

    `items[metric]` holds each item's own value where the metric is their mean; correlations are recomputed from
    `items["gold"]` and `items["predicted"]`. `groups` names for each item the cluster that it belongs to (queries that share a
    passage): the bootstrap draws whole clusters. `topics` names each item's wider field, "" where it is unknown; empty where
    no item has one.
    """

    metrics: Mapping[str, float]
    items: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rows: int = 0
    groups: Sequence[str] = ()
    topics: Sequence[str] = ()


@dataclass(frozen=True)
class ProtectedItem:
    """Texts that must not occur in training, the first two of which form a pair, and the group that they belong to."""

    texts: tuple[str, ...]
    group: str = ""


class Check(ABC, Generic[Data]):
    """A kind of check, without state; `Data` is what `read` returns and the other methods take."""

    main_metric: ClassVar[str]  # the metric that tables and gates mean when none is named
    needs_embeddings: ClassVar[bool] = True  # False: pair scores suffice, so that a cross-encoder can be measured
    parts: ClassVar[tuple[str, ...]] = ()  # the keys of data that are given as a mapping; empty where data are a file

    @abstractmethod
    def read(self, source: Source, split: str = "test") -> Data:
        """The data of `source`; raises UserError with every problem at once."""

    @abstractmethod
    def protected_items(self, data: Data) -> Iterator[ProtectedItem]:
        """The items that must not occur in training."""

    def protected_texts(self, data: Data) -> list[str]:
        """The texts of all protected items, each once."""
        return list(dict.fromkeys(text for item in self.protected_items(data) for text in item.texts))

    @abstractmethod
    def health_data(self, data: Data) -> HealthData:
        """The texts with their positives, hard negatives and topics, as `adapt.checks.health` takes them."""

    @abstractmethod
    def measure(self, data: Data, model: Model) -> Measurement:
        """The metrics of a model on the data."""


def file_of(source: Source) -> files.Source:
    """The file or rows that a source names; raises UserError where it is a mapping, which kinds without `parts` do not take."""
    if isinstance(source, Mapping):
        raise UserError(f"the data of this check are a file, not a mapping (got {', '.join(map(str, source)) or 'an empty one'})")
    return source


@lru_cache
def built_in() -> tuple[str, ...]:
    """The kinds that come with adapt: the files of `adapt.checks.kinds`."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(kinds.__path__)))


def names() -> tuple[str, ...]:
    """Every kind of check, those of other installed packages among them (see `adapt.plugins`)."""
    return tuple(sorted((*built_in(), *plugins.registered(GROUP, built_in()))))


@lru_cache
def find(kind: str) -> Check[object]:
    """The check of that kind, whose methods take the data that its own `read` returned.

    Raises KeyError for an unknown kind, and UserError where another package's can't be loaded.
    """
    if kind not in built_in():
        return _of_package(plugins.registered(GROUP, built_in())[kind])
    module = importlib.import_module(f"{kinds.__name__}.{kind}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Check) and value.__module__ == module.__name__:
            return cast("Check[object]", value())
    raise TypeError(f"{module.__name__} defines no check")


def _of_package(entry: EntryPoint) -> Check[object]:
    loaded = plugins.load(entry)
    check = loaded() if isinstance(loaded, type) and issubclass(loaded, Check) else loaded
    if not isinstance(check, Check):
        raise UserError(plugins.refusal(entry, "is no check: derive it from adapt.checks.Check"))
    return check


def kind_of(name: str) -> str | None:
    """The kind in a check's name: `sts` of `sts` and of `general-sts`; None where the name ends with no kind."""
    return next((kind for kind in names() if name == kind or name.endswith(f"-{kind}")), None)
