"""Select scored candidates so that their scores follow a target distribution.

Augmented SBERT (Thakur et al. 2021, section 3.2): BM25 and dense neighbours shift the distribution of labels away from gold's,
which lowers the quality of the trained model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BINS = 10
_FINE = 1_000  # bins of a density over 0 to 1


def histogram(scores: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The number of scores in each of `bins` equal bins from 0 to 1, [bins]."""
    return np.bincount(_bin(scores, bins), minlength=bins)


def _bin(scores: np.ndarray, bins: int) -> np.ndarray:
    indices: np.ndarray = np.minimum((np.clip(scores, 0, 1) * bins).astype(int), bins - 1)
    return indices


def distance(counts: np.ndarray, target: np.ndarray) -> float:
    """Total variation distance of two histograms, from 0 (equal shares) to 1 (disjoint)."""
    shares, target_shares = counts / max(counts.sum(), 1), target / max(target.sum(), 1e-12)
    return float(np.abs(shares - target_shares).sum() / 2)


def allocate(available: np.ndarray, target: np.ndarray, total: int) -> np.ndarray:
    """The number of items to take from each bin, [bins]: at most `available`, `total` in all, as close to `target` as possible.

    The total variation distance to the target is minimal for this number of items. The deficit of a bin is distributed over the
    others in the target's proportions.
    """
    wanted = total * target / target.sum()
    chosen: np.ndarray = np.minimum(available, np.floor(wanted).astype(int))
    while (remaining := min(total, int(available.sum())) - int(chosen.sum())) > 0:
        spare = available > chosen
        deficit = np.where(spare, wanted - chosen, -np.inf)
        if deficit.max() > 0:
            chosen[deficit.argmax()] += 1
            continue
        weights = np.where(spare, target, 0) if (target * spare).sum() > 0 else spare.astype(float)
        more = np.minimum(available - chosen, np.floor(remaining * weights / weights.sum()).astype(int))
        if more.sum():
            chosen += more
        else:
            chosen[weights.argmax()] += 1
    return chosen


def by_histogram(scores: np.ndarray, target: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """The rows, sorted, of `total` scores whose histogram is as close to `target` [bins] as possible."""
    bins = _bin(scores, len(target))
    take = allocate(np.bincount(bins, minlength=len(target)), target, total)
    order = rng.permutation(len(scores))
    chosen = [order[bins[order] == number][: take[number]] for number in range(len(target))]
    return np.sort(np.concatenate(chosen))


def by_density(scores: np.ndarray, gold: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """The rows, sorted, of `total` scores that follow gold's distribution: the paper's KDE sampling.

    A row is kept with probability min(1, c · p_gold(s) / p_candidates(s)), both kernel density estimates. In the paper c = 1,
    and the number of rows is random; here c is chosen so that exactly `total` rows are kept.
    """
    if total >= len(scores):
        return np.arange(len(scores))
    ratio = density(gold, scores) / np.maximum(density(scores, scores), 1e-12)
    return systematic(inclusion(ratio, total), rng)


def density(sample: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The Gaussian kernel density estimate of `sample` on 0 to 1 at the points `at`; reflected at both ends (integral 1).

    Bandwidth by Silverman's rule (1986, eq. 3.31), at least 0.01. The sample is binned into 1,000 bins first, so the time is
    linear in the size of the sample and in the number of points.
    """
    from scipy.ndimage import gaussian_filter1d

    low, high = np.quantile(sample, [0.25, 0.75])
    spread = min(sample.std(), (high - low) / 1.34) or sample.std()
    width = max(0.01, 0.9 * float(spread) * len(sample) ** -0.2)
    counts = histogram(sample, _FINE) / len(sample) * _FINE
    smooth = gaussian_filter1d(counts, width * _FINE, mode="reflect", truncate=6)
    densities: np.ndarray = smooth[_bin(at, _FINE)]
    return densities


def inclusion(weights: np.ndarray, total: int) -> np.ndarray:
    """Probabilities min(1, c · weight), [n], that sum to `total`; weights of 0 count only if the others do not suffice."""
    weights = np.maximum(np.asarray(weights, dtype=np.float64), 1e-12)
    if total >= len(weights):
        return np.ones(len(weights))
    descending = -np.sort(-weights)
    rest = np.cumsum(descending[::-1])[::-1]  # sums of this weight and all lower ones
    # The k largest weights get probability 1, the others are scaled to the rest: the smallest k for which none exceeds 1.
    c = (total - np.arange(total)) / rest[:total]
    probabilities: np.ndarray = np.minimum(1.0, c[(c * descending[:total] <= 1).argmax()] * weights)
    return probabilities


def systematic(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rows, sorted, drawn by systematic sampling (Madow 1949): each with its probability, exactly as many as their sum."""
    order = rng.permutation(len(probabilities))
    ends = np.cumsum(probabilities[order])
    points = np.minimum(np.arange(round(ends[-1])) + rng.random(), ends[-1] * (1 - 1e-12))
    return np.sort(order[np.searchsorted(ends, points, side="right")])


def format_histograms(histograms: Mapping[str, np.ndarray], width: int = 24) -> str:
    """Histograms side by side as text, a line per bin of width 0.1; the bars show silver."""
    longest = max(1, histograms["silver"].max())
    lines = [f"    {'score':9}{'':{width}}" + "".join(f"{name:>12}" for name in histograms)]
    for tenth in range(len(histograms["silver"])):
        bar = "█" * round(width * histograms["silver"][tenth] / longest)
        numbers = "".join(f"{counts[tenth]:>12,}" for counts in histograms.values())
        lines.append(f"    {tenth / 10:.1f}–{(tenth + 1) / 10:.1f}  {bar:{width}}{numbers}")
    return "\n".join(lines)
