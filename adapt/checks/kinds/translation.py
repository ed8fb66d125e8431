"""Translation matching: how often the nearest neighbour of a sentence in the other language is its translation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source, file_of
from adapt.checks.health import HealthData
from adapt.files import read
from adapt.records import Parallel

BLOCK = 1024  # sentences per block of similarities


class Translation(Check[list[Parallel]]):
    """Translation matching on parallel sentences (`source, target`, or two columns): accuracy (0 to 1), and of both directions.

    The text of a repeated row matches every repeat; of different texts with the same score the first is the neighbour.
    """

    main_metric = "accuracy"

    def read(self, source: Source, split: str = "test") -> list[Parallel]:
        return read(file_of(source), "parallel")

    def protected_items(self, data: list[Parallel]) -> Iterator[ProtectedItem]:
        return (ProtectedItem((row.source, row.target)) for row in data)

    def health_data(self, data: list[Parallel]) -> HealthData:
        place = {text: i for i, text in enumerate(dict.fromkeys(row.target for row in data))}
        return HealthData(list(place), [row.source for row in data], [[place[row.target]] for row in data], roles=("", ""))

    def measure(self, data: list[Parallel], model: Model) -> Measurement:
        sources, targets = [row.source for row in data], [row.target for row in data]
        left, right = model.embed(sources), model.embed(targets)
        items = {
            "accuracy_source_to_target": _hits(left, right, targets),
            "accuracy_target_to_source": _hits(right, left, sources),
        }
        items["accuracy"] = (items["accuracy_source_to_target"] + items["accuracy_target_to_source"]) / 2
        return Measurement(
            {name: float(v.mean()) for name, v in items.items()}, {n: v.tolist() for n, v in items.items()}, len(data)
        )


def _hits(queries: np.ndarray, candidates: np.ndarray, texts: list[str]) -> np.ndarray:
    """1.0 for each row whose nearest candidate has the row's own text, else 0.0; [n]."""
    same = np.unique(np.array(texts, dtype=object).astype(str), return_inverse=True)[1]
    best = [(queries[start : start + BLOCK] @ candidates.T).argmax(1) for start in range(0, len(queries), BLOCK)]
    hits: np.ndarray = (same[np.concatenate(best)] == same).astype(float)
    return hits
