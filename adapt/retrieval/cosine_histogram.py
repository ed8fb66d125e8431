"""Histograms of cosines and the area that two of them share: the same bins for mining, embedding health and the report."""

from __future__ import annotations

import numpy as np

BINS = 40  # of equal width, from -1 to 1


def histogram(cosines: np.ndarray) -> list[int]:
    """How many cosines fall into each of the 40 bins; values beyond -1 and 1 count in the outermost bins."""
    counts: list[int] = np.histogram(np.clip(cosines, -1, 1), bins=BINS, range=(-1, 1))[0].tolist()
    return counts


def overlap_coefficient(left: np.ndarray, right: np.ndarray) -> float:
    """The area that the histograms of two samples share (Inman & Bradley 1989), 0 to 1; 0 where either sample is empty.

    0: a threshold separates the samples. 1: their histograms are equal.
    """
    if not len(left) or not len(right):
        return 0.0
    shares = [np.array(histogram(side)) / len(side) for side in (left, right)]
    return float(np.minimum(*shares).sum())
