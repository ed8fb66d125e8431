"""How well similarity tells pairs that belong together from pairs that do not: average precision, AUC, best F1."""

from __future__ import annotations

from typing import Any

import numpy as np

from adapt.checks import Measurement, Model
from adapt.checks.statistics import STATISTICS
from adapt.errors import UserError
from adapt.files import read
from adapt.records import ScoredPair


class Pairs:
    """Binary pairs on `sentence1, sentence2, score` (a score of 0.5 and more counts as a match), or NLI rows."""

    main = "ap"

    def read(self, source: Any, split: str = "") -> list[ScoredPair]:
        data = read(source, "scored")
        if len({pair.score >= 0.5 for pair in data}) < 2:
            raise UserError(f"{source}: needs both matching (score ≥ 0.5) and other pairs")
        return data

    def held_out(self, data: list[ScoredPair]) -> list[str]:
        return [side for pair in data for side in (pair.sentence1, pair.sentence2)]

    def measure(self, data: list[ScoredPair], model: Model) -> Measurement:
        gold = np.array([pair.score >= 0.5 for pair in data])
        predicted = np.asarray(model.score([(p.sentence1, p.sentence2) for p in data]), dtype=np.float64)
        metrics = {name: float(STATISTICS[name](gold, predicted, None)[0]) for name in ("ap", "auc", "f1")}
        return Measurement(metrics, {"gold": gold.astype(float).tolist(), "predicted": predicted.tolist()}, len(data))


CHECK = Pairs()
