"""What mining found, for people to look at: suspected positives, score histograms, the hardest negatives."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from adapt.escaping import escape_cell
from adapt.retrieval.cosine_histogram import histogram, overlap_coefficient
from adapt.retrieval.hits import Hits
from adapt.run_details import MiningReport

SUSPECTED, HARDEST, SAMPLED = 1_000, 50, 10_000  # rows of the two tables; random passages that are compared


class SuspectedPositives:
    """Hits passed over because they scored too near to their positive, or above it: perhaps positives that nobody labelled."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, np.ndarray, np.ndarray, float, str]] = []

    def add(self, pair: int, places: np.ndarray, scores: np.ndarray, positive: float, judge: str) -> None:
        """Hits `places` [n] of a pair with `scores` [n], the positive's score, and who gave them."""
        if len(places):
            self.parts.append((pair, places, scores, positive, judge))

    def __len__(self) -> int:
        return sum(len(places) for _, places, _, _, _ in self.parts)

    def worst(self, rows: Sequence[int], most: int) -> list[tuple[int, int, float, float, str]]:
        """(pair, place, score, the positive's score, judge), those furthest above the positive first, `most` at the most.

        `rows[pair]` is the pair's query: a place is named once for each query.
        """
        sizes = [len(places) for _, places, _, _, _ in self.parts]
        part = np.repeat(np.arange(len(sizes)), sizes)
        if not len(part):
            return []
        places = np.concatenate([part[1] for part in self.parts])
        scores = np.concatenate([part[2] for part in self.parts])
        excess = scores - np.repeat([part[3] for part in self.parts], sizes)
        found: dict[tuple[int, int], tuple[int, int, float, float, str]] = {}
        for i in np.argsort(-np.round(excess, 6), kind="stable"):
            pair, _, _, positive, judge = self.parts[part[i]]
            found.setdefault((rows[pair], int(places[i])), (pair, int(places[i]), float(scores[i]), positive, judge))
            if len(found) == most:
                break
        return list(found.values())


def write(
    folder: Path,
    hits: Hits,
    chosen: Sequence[Sequence[int]],
    origins: Sequence[Sequence[str]],
    suspects: SuspectedPositives,
    judged: Mapping[tuple[int, int], float],
    seed: int,
) -> MiningReport:
    """Write suspected.csv, hardest.csv and analysis.json in `folder`; return what analysis.json holds.

    `chosen[pair]` are the places of its negatives, `origins[pair]` who found them; `judged` are the cross-encoder's scores of
    (query, place), empty without one.
    """
    cosines = {pair: hits.cosines(pair, [hits.positive(pair), *own]) for pair, own in enumerate(chosen)}
    positives = np.array([own[0] for own in cosines.values()])
    negatives = np.concatenate([own[1:] for own in cosines.values()])
    rng = np.random.default_rng(seed)
    drawn = hits.queries[rng.integers(0, len(hits.queries), SAMPLED)], hits.vectors[rng.integers(0, len(hits.pool), SAMPLED)]
    random = np.einsum("ij,ij->i", *drawn)
    series = {"positives": positives, "negatives": negatives, "random": random}
    others = ("negatives", "random")
    rates: dict[str, float] = {}
    if judged:
        own = {(hits.rows[pair], place) for pair, places in enumerate(chosen) for place in places}
        rates = {
            "positives": _positive_rate(judged, {(hits.rows[pair], hits.positive(pair)) for pair in range(len(chosen))}),
            "negatives": _positive_rate(judged, own),
            "candidates_scored": _positive_rate(judged, judged),
        }
    report = MiningReport(
        histograms={name: tuple(histogram(values)) for name, values in series.items()},
        overlap_with_positives={name: round(overlap_coefficient(positives, series[name]), 4) for name in others},
        cross_encoder_positive_rate=rates,
    )
    (folder / "analysis.json").write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _table(
        folder / "suspected.csv",
        ("anchor", "positive", "suspect", "score", "positive_score", "judge", "found"),
        (
            (*_sides(hits, pair), hits.pool[place], score, positive, judge, hits.origin(pair, place))
            for pair, place, score, positive, judge in suspects.worst(hits.rows, SUSPECTED)
        ),
    )
    hardest = sorted(
        (round(float(own[0] - cosine), 6), pair, place, origin, float(cosine), float(own[0]))
        for pair, own in cosines.items()
        for place, origin, cosine in zip(chosen[pair], origins[pair], own[1:], strict=True)
    )
    _table(
        folder / "hardest.csv",
        ("anchor", "positive", "negative", "score", "positive_score", "found"),
        (
            (*_sides(hits, pair), hits.pool[place], cosine, positive, origin)
            for _, pair, place, origin, cosine, positive in hardest[:HARDEST]
        ),
    )
    return report


def _positive_rate(judged: Mapping[tuple[int, int], float], keys: Iterable[tuple[int, int]]) -> float:
    """The share with a cross-encoder score of 0.5 or above, of the keys that it scored; 0 where it scored none."""
    scores = [judged[key] for key in keys if key in judged]
    return round(sum(score >= 0.5 for score in scores) / len(scores), 4) if scores else 0.0


def _sides(hits: Hits, pair: int) -> tuple[str, str]:
    return hits.pairs[pair].anchor, hits.pairs[pair].positive


def _table(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A CSV file for people, who open it in a spreadsheet; numbers with four digits."""
    with open(file, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows([f"{value:.4f}" if isinstance(value, float) else escape_cell(str(value)) for value in row] for row in rows)
