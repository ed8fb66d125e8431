"""How well similarity scores follow human ones: Spearman's and Pearson's correlation, and Spearman's within bands of scores."""

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
ENOUGH = 20  # rows of a band below which a correlation says nothing


class Sts(Check[list[ScoredPair]]):
    """Semantic textual similarity on `sentence1, sentence2, score`.

    `spearman_low`, `_middle` and `_high` are the correlations within each third of the range of human scores: a model may tell
    unrelated from alike, and put the alike in no order. A band with fewer than 20 rows, or with one score only, has none. Where
    gold or a model's scores do not vary a correlation does not exist: it is NaN.
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
        if rows.sum() >= ENOUGH and np.ptp(gold[rows]) > 0:
            found[f"spearman_{band}"] = float(spearman(gold[rows], predicted[rows])[0])
    return found
