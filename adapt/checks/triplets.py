"""How often the positive is nearer to the anchor than a hard negative, by cosine and by squared Euclidean distance."""

from __future__ import annotations

from typing import Any

import numpy as np

from adapt.checks import Measurement, Model
from adapt.files import read
from adapt.records import Triplet


class Triplets:
    """Accuracy on `anchor, positive, negative...`; a triplet with several negatives counts once for each.

    A tie is no success. On unit vectors both distances give the same order; vectors that a model leaves at other lengths are
    compared as they are.
    """

    main = "cosine_accuracy"

    def read(self, source: Any, split: str = "") -> list[Triplet]:
        return read(source, "triplets")

    def held_out(self, data: list[Triplet]) -> list[str]:
        return [triplet.anchor for triplet in data]

    def measure(self, data: list[Triplet], model: Model) -> Measurement:
        rows = [(t.anchor, t.positive, negative) for t in data for negative in t.negatives]
        anchors = model.embed([r[0] for r in rows], "query").astype(np.float64)
        positives = model.embed([r[1] for r in rows], "document").astype(np.float64)
        negatives = model.embed([r[2] for r in rows], "document").astype(np.float64)
        items = {
            "cosine_accuracy": _cosine(anchors, positives) > _cosine(anchors, negatives),
            "euclidean_accuracy": _squared(anchors, positives) < _squared(anchors, negatives),
        }
        metrics = {name: float(hits.mean()) for name, hits in items.items()}
        return Measurement(metrics, {name: hits.astype(float).tolist() for name, hits in items.items()}, len(rows))


def _cosine(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return (left * right).sum(1) / (np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1))


def _squared(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.square(left - right).sum(1)


CHECK = Triplets()
