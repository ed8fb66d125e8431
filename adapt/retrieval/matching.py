"""Choose among scored candidates so that their scores follow a wanted distribution.

Augmented SBERT (Thakur et al. 2021, section 3.2): BM25 and dense neighbours shift the distribution of labels away from gold's,
and what is learnt from them suffers.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

BINS = 10
_FINE = 1_000  # bins of a density over 0 to 1


def histogram(scores: np.ndarray, bins: int = BINS) -> np.ndarray:
    """How many scores lie in each of equal bins from 0 to 1, [bins]."""
    return np.bincount(_bin(scores, bins), minlength=bins)


def _bin(scores: np.ndarray, bins: int) -> np.ndarray:
    found: np.ndarray = np.minimum((np.clip(scores, 0, 1) * bins).astype(int), bins - 1)
    return found


def distance(counts: np.ndarray, target: np.ndarray) -> float:
    """Total variation between two histograms, 0 (same shape) to 1 (nothing in common)."""
    shares, wanted = counts / max(counts.sum(), 1), target / max(target.sum(), 1e-12)
    return float(np.abs(shares - wanted).sum() / 2)


def allotted(available: np.ndarray, target: np.ndarray, total: int) -> np.ndarray:
    """How many to take of each bin, [bins]: at most what is available, `total` in all, as near to the target as can be.

    No other choice of as many has a smaller total variation to the target. What a bin lacks is spread over the others in the
    target's proportions.
    """
    wanted = total * target / target.sum()
    chosen: np.ndarray = np.minimum(available, np.floor(wanted).astype(int))
    while (left := min(total, int(available.sum())) - int(chosen.sum())) > 0:
        spare = available > chosen
        owed = np.where(spare, wanted - chosen, -np.inf)
        if owed.max() > 0:
            chosen[owed.argmax()] += 1
            continue
        weights = np.where(spare, target, 0) if (target * spare).sum() > 0 else spare.astype(float)
        more = np.minimum(available - chosen, np.floor(left * weights / weights.sum()).astype(int))
        if more.sum():
            chosen += more
        else:
            chosen[weights.argmax()] += 1
    return chosen


def by_histogram(scores: np.ndarray, target: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, in order, of `total` scores whose histogram is as near to `target` [bins] as the scores allow."""
    bins = _bin(scores, len(target))
    take = allotted(np.bincount(bins, minlength=len(target)), target, total)
    order = rng.permutation(len(scores))
    chosen = [order[bins[order] == number][: take[number]] for number in range(len(target))]
    return np.sort(np.concatenate(chosen))


def by_density(scores: np.ndarray, gold: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, in order, of `total` scores that follow gold's distribution: the paper's KDE sampling.

    A row is kept with probability min(1, c · p_gold(s) / p_candidates(s)), both densities by kernels. The paper has c = 1 and
    keeps as many as it happens to; here c is what gives `total` rows, exactly.
    """
    if total >= len(scores):
        return np.arange(len(scores))
    ratio = density(gold, scores) / np.maximum(density(scores, scores), 1e-12)
    return systematic(inclusion(ratio, total), rng)


def density(sample: np.ndarray, at: np.ndarray) -> np.ndarray:
    """A Gaussian kernel density of `sample` on 0 to 1, at the points `at`; reflected at both ends, so that it sums to 1 there.

    Bandwidth by Silverman's rule (1986, eq. 3.31), 0.01 at least. The sample is counted into a thousand bins first, so the time
    does not depend on kernels times points.
    """
    from scipy.ndimage import gaussian_filter1d

    low, high = np.quantile(sample, [0.25, 0.75])
    spread = min(sample.std(), (high - low) / 1.34) or sample.std()
    width = max(0.01, 0.9 * float(spread) * len(sample) ** -0.2)
    counts = histogram(sample, _FINE) / len(sample) * _FINE
    smooth = gaussian_filter1d(counts, width * _FINE, mode="reflect", truncate=6)
    found: np.ndarray = smooth[_bin(at, _FINE)]
    return found


def inclusion(weights: np.ndarray, total: int) -> np.ndarray:
    """Probabilities min(1, c · weight), [n], that sum to `total`; weights of 0 are drawn on only when the others are used up."""
    weights = np.maximum(np.asarray(weights, dtype=np.float64), 1e-12)
    if total >= len(weights):
        return np.ones(len(weights))
    falling = -np.sort(-weights)
    rest = np.cumsum(falling[::-1])[::-1]  # of this one and all lighter ones
    # With the heaviest k certain, the others share what is left; the smallest k for which none of them goes beyond 1 is right.
    c = (total - np.arange(total)) / rest[:total]
    found: np.ndarray = np.minimum(1.0, c[(c * falling[:total] <= 1).argmax()] * weights)
    return found


def systematic(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers, in order, each drawn with its own probability, and exactly as many as these sum to (Madow 1949)."""
    order = rng.permutation(len(probabilities))
    ends = np.cumsum(probabilities[order])
    points = np.minimum(np.arange(round(ends[-1])) + rng.random(), ends[-1] * (1 - 1e-12))
    return np.sort(order[np.searchsorted(ends, points, side="right")])


def drawn(histograms: Mapping[str, np.ndarray], width: int = 24) -> str:
    """Histograms side by side as text, a line for each tenth; the bars are silver's."""
    longest = max(1, histograms["silver"].max())
    lines = [f"    {'score':9}{'':{width}}" + "".join(f"{name:>12}" for name in histograms)]
    for tenth in range(len(histograms["silver"])):
        bar = "█" * round(width * histograms["silver"][tenth] / longest)
        numbers = "".join(f"{counts[tenth]:>12,}" for counts in histograms.values())
        lines.append(f"    {tenth / 10:.1f}–{(tenth + 1) / 10:.1f}  {bar:{width}}{numbers}")
    return "\n".join(lines)
