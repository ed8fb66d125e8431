"""Triplet accuracy: how often the positive is nearer to the anchor than a hard negative, by several distances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source, file_of
from adapt.checks.health import HealthData
from adapt.checks.topics import topics_of
from adapt.files import read
from adapt.records import Triplet

TIE = 1e-6  # smaller differences are rounding
MARGIN = 0.15  # of cosine: 0.3 of squared distance on unit vectors, the default margin of the triplet loss


class Triplets(Check[list[Triplet]]):
    """Triplet accuracy on `anchor, positive, negative...`, 0 to 1; a triplet with several negatives counts once for each.

    A tie (to six digits) is a failure. `margin_satisfied`: the share whose cosine with the positive exceeds that with the negative
    by more than 0.15. Vectors are not normalised; on unit vectors cosine and Euclidean distance agree.
    """

    main_metric = "cosine_accuracy"

    def read(self, source: Source, split: str = "test") -> list[Triplet]:
        return read(file_of(source), "triplets")

    def protected_items(self, data: list[Triplet]) -> Iterator[ProtectedItem]:
        return (ProtectedItem((triplet.anchor, triplet.positive)) for triplet in data)

    def health_data(self, data: list[Triplet]) -> HealthData:
        place = {text: i for i, text in enumerate(dict.fromkeys(side for t in data for side in (t.positive, *t.negatives)))}
        negatives = [[place[text] for text in t.negatives] for t in data]
        return HealthData(list(place), [t.anchor for t in data], [[place[t.positive]] for t in data], negatives)

    def measure(self, data: list[Triplet], model: Model) -> Measurement:
        rows = [(t, negative) for t in data for negative in t.negatives]
        anchors = model.embed([t.anchor for t, _ in rows], "query").astype(np.float64)
        positives = model.embed([t.positive for t, _ in rows], "document").astype(np.float64)
        negatives = model.embed([negative for _, negative in rows], "document").astype(np.float64)
        gap = _cosine(anchors, positives) - _cosine(anchors, negatives)
        items = {
            "cosine_accuracy": gap > TIE,
            "euclidean_accuracy": _squared(anchors, negatives) - _squared(anchors, positives) > TIE,
            "manhattan_accuracy": np.abs(anchors - negatives).sum(1) - np.abs(anchors - positives).sum(1) > TIE,
            "margin_satisfied": gap > MARGIN,
        }
        metrics = {name: float(found.mean()) for name, found in items.items()}
        per_row = {name: found.astype(float).tolist() for name, found in items.items()}
        return Measurement(metrics, per_row, len(rows), [t.anchor for t, _ in rows], topics_of(t for t, _ in rows))


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosines: np.ndarray = np.divide((left * right).sum(1), lengths, out=np.zeros(len(left)), where=lengths > 0)
    return cosines


def _squared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.square(left - right).sum(1)
    return found
