"""Semantic textual similarity: Spearman's and Pearson's correlation of similarities with human scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source, file_of
from adapt.checks.health import HealthData, from_scored_pairs
from adapt.checks.statistics import without_rounding_noise
from adapt.checks.topics import topics_of
from adapt.files import read
from adapt.metrics import pearson, spearman
from adapt.records import ScoredPair

BANDS = ("low", "middle", "high")
MIN_BAND_ROWS = 20  # fewer rows have too noisy a correlation


class Sts(Check[list[ScoredPair]]):
    """Semantic textual similarity on `sentence1, sentence2, score`.

    `spearman` and `pearson`, -1 to 1, NaN where the human scores or the model's are constant. `spearman_low`, `_middle` and `_high`
    are correlations within each third of the range of human scores: a model may separate similar from unrelated pairs and still
    rank the similar ones badly. A band of fewer than 20 rows, or of one score, has none.
    """

    main_metric = "spearman"
    needs_embeddings = False

    def read(self, source: Source, split: str = "test") -> list[ScoredPair]:
        return read(file_of(source), "scored")

    def protected_items(self, data: list[ScoredPair]) -> Iterator[ProtectedItem]:
        return (ProtectedItem((pair.sentence1, pair.sentence2)) for pair in data)

    def health_data(self, data: list[ScoredPair]) -> HealthData:
        return from_scored_pairs(data)

    def measure(self, data: list[ScoredPair], model: Model) -> Measurement:
        gold = np.array([pair.score for pair in data])
        predicted = without_rounding_noise(np.asarray(model.score([(p.sentence1, p.sentence2) for p in data]), dtype=np.float64))
        metrics = {"spearman": float(spearman(gold, predicted)[0]), "pearson": float(pearson(gold, predicted)[0])}
        metrics |= _by_band(gold, predicted)
        items = {"gold": gold.tolist(), "predicted": predicted.tolist()}
        return Measurement(metrics, items, len(data), topics=topics_of(data))


def _by_band(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    ends = np.linspace(gold.min(), gold.max(), len(BANDS) + 1)[1:-1]
    place = np.digitize(gold, ends)
    found = {}
    for number, band in enumerate(BANDS):
        rows = place == number
        if rows.sum() >= MIN_BAND_ROWS and np.ptp(gold[rows]) > 0:
            found[f"spearman_{band}"] = float(spearman(gold[rows], predicted[rows])[0])
    return found
