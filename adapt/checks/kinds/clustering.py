"""Clustering: V-measure of k-means clusters against the topics of texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapt.checks import Check, Measurement, Model, ProtectedItem, Source
from adapt.checks.health import HealthData
from adapt.checks.topics import protected_topics, read_topics
from adapt.records import Text

SEEDS = 10  # runs of k-means whose V-measures are averaged


class Clustering(Check[list[Text]]):
    """Clustering of texts with a topic (columns `text` and `topic` or `group`) by k-means, with one cluster per topic.

    `v_measure`, 0 to 1 (Rosenberg & Hirschberg 2007): the harmonic mean of homogeneity and completeness, as in MTEB. `separation`,
    -2 to 2: the mean cosine of texts of one topic less that of texts of two topics.
    """

    main_metric = "v_measure"

    def read(self, source: Source, split: str = "test") -> list[Text]:
        return read_topics(source, at_least=2)

    def protected_items(self, data: list[Text]) -> Iterator[ProtectedItem]:
        return protected_topics(data)

    def health_data(self, data: list[Text]) -> HealthData:
        topics = {text.text: text.topic for text in data}
        return HealthData(list(topics), topics=list(topics.values()), roles=("", ""))

    def measure(self, data: list[Text], model: Model) -> Measurement:
        from sklearn.cluster import KMeans
        from sklearn.metrics import v_measure_score

        topics, gold = np.unique([text.topic for text in data], return_inverse=True)
        vectors = model.embed([text.text for text in data]).astype(np.float64)
        found = [
            v_measure_score(gold, KMeans(len(topics), n_init=1, random_state=seed).fit_predict(vectors)) for seed in range(SEEDS)
        ]
        own, other = _mean_cosines(vectors, gold)
        metrics = {"v_measure": float(np.mean(found)), "separation": float(np.mean(own - other))}
        return Measurement(metrics, {"separation": (own - other).tolist()}, len(data))


def _mean_cosines(vectors: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each text's mean cosine with the other texts of its topic, and with all texts of other topics."""
    sums = np.zeros((gold.max() + 1, vectors.shape[1]))
    np.add.at(sums, gold, vectors)
    sizes = np.bincount(gold)
    own = ((vectors * sums[gold]).sum(1) - (vectors**2).sum(1)) / np.maximum(1, sizes[gold] - 1)
    other = (vectors * (sums.sum(0) - sums[gold])).sum(1) / np.maximum(1, len(gold) - sizes[gold])
    return own, other
