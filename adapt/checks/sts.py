"""How well similarity scores follow human ones: Spearman's and Pearson's correlation."""

from __future__ import annotations

from typing import Any

import numpy as np

from adapt.checks import Measurement, Model
from adapt.checks.statistics import pearson, spearman
from adapt.files import read
from adapt.records import ScoredPair


class Sts:
    """Semantic textual similarity on `sentence1, sentence2, score`."""

    main = "spearman"

    def read(self, source: Any, split: str = "") -> list[ScoredPair]:
        return read(source, "scored")

    def held_out(self, data: list[ScoredPair]) -> list[str]:
        return [side for pair in data for side in (pair.sentence1, pair.sentence2)]

    def measure(self, data: list[ScoredPair], model: Model) -> Measurement:
        gold = np.array([pair.score for pair in data])
        predicted = np.asarray(model.score([(p.sentence1, p.sentence2) for p in data]), dtype=np.float64)
        metrics = {"spearman": float(spearman(gold, predicted)[0]), "pearson": float(pearson(gold, predicted)[0])}
        return Measurement(metrics, {"gold": gold.tolist(), "predicted": predicted.tolist()}, len(data))


CHECK = Sts()
