"""Classification: accuracy and F1 of a linear probe that predicts topics from embeddings."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source
from adapt.checks.health import HealthData
from adapt.checks.topics import protected_topics, read_topics
from adapt.records import Text

FOLDS = 5


class Classification(Check[list[Text]]):
    """Classification of texts by topic (columns `text` and `topic` or `group`): logistic regression on embeddings, five folds.

    Each text is predicted by a probe that was not trained on it. `accuracy` and `f1` (macro-averaged over topics), 0 to 1.
    """

    main_metric = "accuracy"

    def read(self, source: Source, split: str = "test") -> list[Text]:
        return read_topics(source, at_least=FOLDS)

    def protected_items(self, data: list[Text]) -> Iterator[ProtectedItem]:
        return protected_topics(data)

    def health_data(self, data: list[Text]) -> HealthData:
        topics = {text.text: text.topic for text in data}
        return HealthData(list(topics), topics=list(topics.values()), roles=("", ""))

    def measure(self, data: list[Text], model: Model) -> Measurement:
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import f1_score
        from sklearn.model_selection import StratifiedKFold, cross_val_predict

        gold = np.array([text.topic for text in data])
        vectors = model.embed([text.text for text in data]).astype(np.float64)
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
        predicted = cross_val_predict(LogisticRegression(max_iter=1_000), vectors, gold, cv=folds)
        hits = (predicted == gold).astype(float)
        metrics = {"accuracy": float(hits.mean()), "f1": float(f1_score(gold, predicted, average="macro"))}
        return Measurement(metrics, {"accuracy": hits.tolist()}, len(data))
