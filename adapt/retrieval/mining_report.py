"""Write the mining report: suspected positives, score histograms, the hardest negatives."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from adapt.escaping import escape_cell
from adapt.retrieval.cosine_histogram import histogram, overlap_coefficient
from adapt.retrieval.hits import Hits
from adapt.run_details import MiningReport

SUSPECTED, HARDEST, SAMPLED = 1_000, 50, 10_000  # rows of the two tables; random pairs in the histogram


class SuspectedPositives:
    """Hits that were skipped because their score is close to the positive's or above it: possibly unlabelled positives."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, np.ndarray, np.ndarray, float, str]] = []

    def add(self, pair: int, indices: np.ndarray, scores: np.ndarray, positive: float, judge: str) -> None:
        """Add hits `indices` [n] of a pair with `scores` [n] and the positive's score; `judge`: cosine or cross-encoder."""
        if len(indices):
            self.parts.append((pair, indices, scores, positive, judge))

    def __len__(self) -> int:
        return sum(len(indices) for _, indices, _, _, _ in self.parts)

    def worst(self, rows: Sequence[int], most: int) -> list[tuple[int, int, float, float, str]]:
        """Up to `most` (pair, index, score, the positive's score, judge), the largest excess over the positive's score first.

        `rows[pair]` is the pair's query; a hit is listed once per query.
        """
        sizes = [len(indices) for _, indices, _, _, _ in self.parts]
        part = np.repeat(np.arange(len(sizes)), sizes)
        if not len(part):
            return []
        indices = np.concatenate([part[1] for part in self.parts])
        scores = np.concatenate([part[2] for part in self.parts])
        excess = scores - np.repeat([part[3] for part in self.parts], sizes)
        suspects: dict[tuple[int, int], tuple[int, int, float, float, str]] = {}
        for i in np.argsort(-np.round(excess, 6), kind="stable"):
            pair, _, _, positive, judge = self.parts[part[i]]
            suspects.setdefault((rows[pair], int(indices[i])), (pair, int(indices[i]), float(scores[i]), positive, judge))
            if len(suspects) == most:
                break
        return list(suspects.values())


def write(
    folder: Path,
    hits: Hits,
    chosen: Sequence[Sequence[int]],
    origins: Sequence[Sequence[str]],
    suspects: SuspectedPositives,
    scored: Mapping[tuple[int, int], float],
    seed: int,
) -> MiningReport:
    """Write suspected.csv, hardest.csv and analysis.json in `folder`; return the content of analysis.json.

    `chosen[pair]` are the indices of its negatives, `origins[pair]` their retrievers; `scored`: {(query, index): the
    cross-encoder's score}, empty without a cross-encoder.
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
    if scored:
        own = {(hits.rows[pair], index) for pair, indices in enumerate(chosen) for index in indices}
        rates = {
            "positives": _positive_rate(scored, {(hits.rows[pair], hits.positive(pair)) for pair in range(len(chosen))}),
            "negatives": _positive_rate(scored, own),
            "candidates_scored": _positive_rate(scored, scored),
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
            (*_pair_texts(hits, pair), hits.pool[index], score, positive, judge, hits.origin(pair, index))
            for pair, index, score, positive, judge in suspects.worst(hits.rows, SUSPECTED)
        ),
    )
    hardest = sorted(
        (round(float(own[0] - cosine), 6), pair, index, origin, float(cosine), float(own[0]))
        for pair, own in cosines.items()
        for index, origin, cosine in zip(chosen[pair], origins[pair], own[1:], strict=True)
    )
    _table(
        folder / "hardest.csv",
        ("anchor", "positive", "negative", "score", "positive_score", "found"),
        (
            (*_pair_texts(hits, pair), hits.pool[index], cosine, positive, origin)
            for _, pair, index, origin, cosine, positive in hardest[:HARDEST]
        ),
    )
    return report


def _positive_rate(scored: Mapping[tuple[int, int], float], keys: Iterable[tuple[int, int]]) -> float:
    """The fraction with a cross-encoder score of 0.5 or above among the keys with a score; 0 if there are none."""
    scores = [scored[key] for key in keys if key in scored]
    return round(sum(score >= 0.5 for score in scores) / len(scores), 4) if scores else 0.0


def _pair_texts(hits: Hits, pair: int) -> tuple[str, str]:
    return hits.pairs[pair].anchor, hits.pairs[pair].positive


def _table(file: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file for a spreadsheet; numbers have four digits."""
    with open(file, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened)
        writer.writerow(columns)
        writer.writerows([f"{value:.4f}" if isinstance(value, float) else escape_cell(str(value)) for value in row] for row in rows)
