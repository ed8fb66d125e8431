"""Pair classification by similarity: average precision, ROC AUC and the best F1 with its threshold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source, file_of
from adapt.checks.health import HealthData, from_scored_pairs
from adapt.checks.statistics import without_rounding_noise
from adapt.checks.topics import topics_of
from adapt.errors import UserError
from adapt.files import read
from adapt.metrics import PAIR_METRICS
from adapt.records import ScoredPair


class Pairs(Check[list[ScoredPair]]):
    """Pair classification on `sentence1, sentence2, score` (a score of 0.5 or more is a match), or on NLI rows.

    `ap`, `auc` and `f1` are 0 to 1, see `adapt.metrics`; `f1_threshold` is the similarity at which F1 is highest.
    """

    main_metric = "ap"
    needs_embeddings = False

    def read(self, source: Source, split: str = "test") -> list[ScoredPair]:
        data = read(file_of(source), "scored")
        if len({pair.score >= 0.5 for pair in data}) < 2:
            raise UserError(f"{source}: needs matching pairs (score ≥ 0.5) and other pairs")
        return data

    def protected_items(self, data: list[ScoredPair]) -> Iterator[ProtectedItem]:
        return (ProtectedItem((pair.sentence1, pair.sentence2)) for pair in data)

    def health_data(self, data: list[ScoredPair]) -> HealthData:
        return from_scored_pairs(data)

    def measure(self, data: list[ScoredPair], model: Model) -> Measurement:
        gold = np.array([pair.score >= 0.5 for pair in data])
        predicted = without_rounding_noise(np.asarray(model.score([(p.sentence1, p.sentence2) for p in data]), dtype=np.float64))
        metrics = {name: float(PAIR_METRICS[name](gold, predicted, None)[0]) for name in ("ap", "auc", "f1")}
        metrics["f1_threshold"] = best_threshold(gold, predicted)
        items = {"gold": gold.astype(float).tolist(), "predicted": predicted.tolist()}
        return Measurement(metrics, items, len(data), topics=topics_of(data))


def best_threshold(gold: np.ndarray, predicted: np.ndarray) -> float:
    """The threshold of the highest F1, midway to the next lower score as in sentence-transformers; the highest of several.

    Where every pair is above the threshold it is the lowest score.
    """
    scores = np.unique(predicted)[::-1]
    order = np.sort(-predicted), np.sort(-predicted[gold])
    called, right = (np.searchsorted(side, -scores, side="right") for side in order)
    best = int((2 * right / (called + gold.sum())).argmax())
    if best + 1 == len(scores):
        return float(scores[best])
    middle = (scores[best] + scores[best + 1]) / 2
    return float(middle if middle > scores[best + 1] else scores[best])  # adjacent floats have no midpoint
