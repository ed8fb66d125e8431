"""Calibration of a cross-encoder's scores to the scale of gold scores, and the agreement of the two.

Both are measured on gold pairs held out from training, and saved beside the weights in `calibration.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
import numpy.typing as npt

from adapt.errors import UserError
from adapt.metrics import Metric, average_precision_score, bootstrap_counts, spearman
from adapt.storage import atomic, digests

Floats = npt.NDArray[np.float64]

FILE = "calibration.json"
MIN_ROWS = 10  # below, neither a correlation nor a calibration is estimated
MIN_ROWS_ISOTONIC = 1_000  # on fewer, isotonic steps tie many scores (Niculescu-Mizil & Caruana 2005, section 5)
RESAMPLES, RESAMPLES_PER_BLOCK = 1_000, 50
MATCH_THRESHOLD = 0.5  # gold score from which a pair is a positive for average precision


@dataclass(frozen=True)
class Calibration:
    """An increasing map from raw scores (0 to 1) to the gold scale (0 to 1).

    `isotonic`: linear between `knots` (raw, calibrated), constant beyond them. `platt`: sigmoid(slope · logit(raw) + intercept).
    `none`: the identity.
    """

    kind: str = "none"
    knots: tuple[tuple[float, float], ...] = ()
    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: Sequence[float] | npt.NDArray[np.floating[Any]]) -> Floats:
        """Calibrated scores, of the same shape."""
        raw = np.asarray(scores, dtype=np.float64)
        if self.kind == "isotonic":
            interpolated: Floats = np.interp(raw, *np.array(self.knots).T)
            return interpolated
        if self.kind == "platt":
            odds: Floats = np.exp(-(self.slope * logit(raw) + self.intercept))
            return 1 / (1 + odds)
        return raw


class Agreement(TypedDict, total=False):
    """Spearman's correlation and average precision (gold ≥ 0.5 is a match) on `rows` rows, with 95 % intervals [low, high]."""

    rows: int
    spearman: float
    spearman_interval: list[float]
    ap: float
    ap_interval: list[float]


def logit(scores: Floats) -> Floats:
    """log(s / (1 - s)), with s clipped to 1e-6 from 0 and 1."""
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    found: Floats = np.log(clipped / (1 - clipped))
    return found


def fit(scores: Sequence[float] | Floats, gold: Sequence[float] | Floats, kind: str = "auto") -> Calibration:
    """The calibration of raw `scores` [n] to `gold` [n]; `kind`: isotonic, platt, none, or auto (isotonic from 1,000 rows on).

    No calibration (`none`) for fewer than 10 rows, and where scores do not increase with gold: it would be constant.
    """
    raw, wanted = np.asarray(scores, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if kind == "auto":
        kind = "isotonic" if len(raw) >= MIN_ROWS_ISOTONIC else "platt"
    if kind == "none" or len(raw) < MIN_ROWS or raw.std() == 0 or wanted.std() == 0:
        return Calibration()
    fitted = _isotonic(raw, wanted) if kind == "isotonic" else _platt(raw, wanted)
    return fitted if np.ptp(fitted(raw)) > 1e-6 else Calibration()


def _isotonic(raw: Floats, gold: Floats) -> Calibration:
    """Least squares over all increasing maps (Zadrozny & Elkan 2002)."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, increasing=True).fit(raw, gold)
    return Calibration("isotonic", tuple(zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)))


def _platt(raw: Floats, gold: Floats) -> Calibration:
    """Platt (1999): logistic regression of gold on the logit, with his smoothing of the targets.

    A gold score s counts as a positive with weight s and as a negative with weight 1 - s.
    """
    from sklearn.linear_model import LogisticRegression

    positive, negative = gold.sum(), (1 - gold).sum()
    target = gold * (positive + 1) / (positive + 2) + (1 - gold) / (negative + 2)
    x = np.concatenate([logit(raw), logit(raw)])[:, None]
    labels = np.repeat([1, 0], len(raw))
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000).fit(x, labels, np.concatenate([target, 1 - target]))
    slope = float(fitted.coef_[0, 0])
    return Calibration("platt", slope=slope, intercept=float(fitted.intercept_[0])) if slope > 0 else Calibration()


def agreement(scores: Sequence[float] | Floats, gold: Sequence[float] | Floats, seed: int) -> Agreement:
    """The agreement of raw `scores` [n] with `gold` [n]; {} for fewer than 10 rows.

    Intervals by percentile bootstrap over rows (Efron & Tibshirani 1993, ch. 13). A metric that is undefined on the rows (gold
    constant, no match, or only matches) is left out.
    """
    predicted, wanted = np.asarray(scores, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if len(predicted) < MIN_ROWS:
        return {}
    found: Agreement = {"rows": len(predicted)}
    if np.ptp(wanted):
        found["spearman"], found["spearman_interval"] = _with_interval(spearman, wanted, predicted, seed)
    match = (wanted >= MATCH_THRESHOLD).astype(np.float64)
    if np.ptp(match):
        found["ap"], found["ap_interval"] = _with_interval(average_precision_score, match, predicted, seed)
    return found


def _with_interval(metric: Metric, gold: Floats, predicted: Floats, seed: int) -> tuple[float, list[float]]:
    """(value, 95 % interval); resamples of constant gold are left out, constant scores give 0."""
    values = []
    rng = np.random.default_rng([seed, len(gold)])
    for counts in bootstrap_counts(np.arange(len(gold)), RESAMPLES, rng, RESAMPLES_PER_BLOCK):
        drawn = np.where(counts > 0, gold, np.nan)
        values.append(metric(gold, predicted, counts[np.nanmax(drawn, 1) > np.nanmin(drawn, 1)]))
    interval = np.quantile(np.nan_to_num(np.concatenate(values)), [0.025, 0.975])
    return float(np.nan_to_num(metric(gold, predicted))[0]), interval.tolist()


def save(folder: Path, calibration: Calibration, measured: Agreement) -> None:
    """Write calibration and agreement to a model's folder, with the digest of its weights. Raises OSError."""
    content = {**asdict(calibration), "agreement": measured, "weights": _weights_digest(folder)}
    atomic.write_text(folder / FILE, json.dumps(content, indent=2) + "\n", durable=False)  # the folder is flushed as a whole


def load(folder: Path) -> tuple[Calibration, Agreement] | None:
    """The saved calibration and agreement; None where there are none. Raises UserError where they belong to other weights."""
    file = folder / FILE
    if not file.is_file():
        return None
    content = digests.read_json(file)
    if not isinstance(content, dict) or not {"weights", "agreement", "knots"} <= set(content):
        raise UserError(f"{file}: is damaged; delete it, or train the model again with: adapt cross-encoder")
    if content.pop("weights") != _weights_digest(folder):
        raise UserError(f"{file}: belongs to other weights than those beside it; delete it, or train with: adapt cross-encoder")
    measured: Agreement = content.pop("agreement")
    return Calibration(**{**content, "knots": tuple(map(tuple, content["knots"]))}), measured


def _weights_digest(folder: Path) -> str:
    # Of the weights only: `lookup.weights_digest` also covers every .json, and so would change with this file.
    return digests.files_digest(sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")), folder)


def apply(folder: Path, scores: Floats) -> Floats:
    """Raw scores of the cross-encoder in `folder`, calibrated where it has a calibration."""
    saved = load(folder)
    return saved[0](scores) if saved else scores
