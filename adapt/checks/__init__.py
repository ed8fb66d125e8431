"""Measures on data that training never saw: one file is one kind of check.

A check reads its data, asks a model for vectors or pair scores, and gives metrics together with what each item scored, so that
two models can be compared item by item.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from adapt import plugins
from adapt.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from adapt.checks.health import Space

GROUP = "adapt.checks"  # of entry points, see `adapt.plugins`
BESIDE = {
    "statistics",
    "leakage",
    "speed",
    "ranking",
    "topics",
    "groups",
    "health",
}  # files of this folder that are no kind of check


class Model(Protocol):
    """What a check asks of a model."""

    def embed(self, texts: Sequence[str], role: str = "") -> np.ndarray:
        """Unit vectors [texts, d]."""
        ...

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """One similarity for each pair, [pairs]."""
        ...


@dataclass(frozen=True)
class Measurement:
    """What a check found: metrics (0 to 1; correlations and cosines -1 to 1), and per item what they were computed from.

    `items[metric]` holds each item's own value where the metric is their mean; correlations are recomputed from
    `items["gold"]` and `items["predicted"]`. `groups` names for each item what it shares with others (a passage that several
    queries ask for): such items are no independent evidence. `topics` names each item's wider field, "" where it is unknown;
    empty where no item has one.
    """

    metrics: Mapping[str, float]
    items: Mapping[str, Sequence[float]] = field(default_factory=dict)
    rows: int = 0
    groups: Sequence[str] = ()
    topics: Sequence[str] = ()


class Check(Protocol):
    """A kind of check: a class with these members, and no state."""

    main: ClassVar[str]  # the metric that tables and gates mean when none is named

    def read(self, source: Any, split: str) -> Any:
        """The data behind `source`; raises UserError with every problem at once."""
        ...

    def held_out(self, data: Any) -> list[str]:
        """The texts that must not stand in training."""
        ...

    def space(self, data: Any) -> Space:
        """What the data know of their texts: which belong together, which do not, which topic each has."""
        ...

    def measure(self, data: Any, model: Model) -> Measurement:
        """The metrics of a model on the data."""
        ...


@lru_cache
def built_in() -> tuple[str, ...]:
    """The kinds that come with adapt: the files of this folder."""
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in BESIDE))


def names() -> tuple[str, ...]:
    """Every kind of check, those of other installed packages among them (see `adapt.plugins`)."""
    return tuple(sorted((*built_in(), *plugins.registered(GROUP, built_in()))))


@lru_cache
def find(kind: str) -> Any:
    """The check of that kind. Raises KeyError for an unknown one, and UserError where another package's can't be loaded."""
    if kind in built_in():
        return importlib.import_module(f"{__name__}.{kind}").CHECK
    entry = plugins.registered(GROUP, built_in())[kind]
    loaded = plugins.load(entry)
    check = loaded() if isinstance(loaded, type) else loaded
    if missing := [name for name in ("main", "read", "held_out", "space", "measure") if not hasattr(check, name)]:
        raise UserError(plugins.refusal(entry, f"is no check, it lacks {', '.join(missing)}"))
    return check


def kind_of(name: str) -> str | None:
    """The kind that a check's name tells: `sts`, or `general-sts`."""
    return next((kind for kind in names() if name == kind or name.endswith(f"-{kind}")), None)
