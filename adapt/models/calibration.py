"""How far a labeller's scores can be trusted, and what they mean on gold's own scale.

Both are measured on gold that training did not see and are kept beside the weights, in `calibration.json`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adapt.errors import UserError
from adapt.metrics import PAIR_METRICS, bootstrap_counts
from adapt.storage import atomic, digests

FILE = "calibration.json"
MIN_ROWS = 10  # rows below which neither a correlation nor a curve means anything
MIN_ROWS_ISOTONIC = 1_000  # rows; isotonic steps tie many scores on fewer (Niculescu-Mizil & Caruana 2005, section 5)
RESAMPLES = 1_000  # of the bootstrap


@dataclass(frozen=True)
class Calibration:
    """A rising map from raw scores (0 to 1) to gold's scale (0 to 1).

    `isotonic`: straight lines between `knots` (raw, calibrated), flat beyond them. `platt`: sigmoid(slope · logit(raw) +
    intercept). `none`: the raw score itself.
    """

    kind: str = "none"
    knots: tuple[tuple[float, float], ...] = ()
    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """Calibrated scores, of the same shape, float64."""
        raw = np.asarray(scores, dtype=np.float64)
        if self.kind == "isotonic":
            return np.interp(raw, *np.array(self.knots).T)
        if self.kind == "platt":
            return 1 / (1 + np.exp(-(self.slope * logit(raw) + self.intercept)))
        return raw


def logit(scores: np.ndarray) -> np.ndarray:
    """log(s / (1 - s)), with s kept a millionth away from 0 and 1."""
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(inside / (1 - inside))


def fit(scores: Sequence[float] | np.ndarray, gold: Sequence[float] | np.ndarray, kind: str = "auto") -> Calibration:
    """The map of that kind that fits `gold` [n] best; `auto` is isotonic from 1,000 rows and Platt's below.

    Fewer than 10 rows, or scores that do not rise with gold, are not calibrated: any rising map would make them all alike.
    """
    raw, wanted = np.asarray(scores, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if kind == "auto":
        kind = "isotonic" if len(raw) >= MIN_ROWS_ISOTONIC else "platt"
    if kind == "none" or len(raw) < MIN_ROWS or raw.std() == 0 or wanted.std() == 0:
        return Calibration()
    found = _isotonic(raw, wanted) if kind == "isotonic" else _platt(raw, wanted)
    return found if np.ptp(found(raw)) > 1e-6 else Calibration()


def _isotonic(raw: np.ndarray, gold: np.ndarray) -> Calibration:
    """Least squares among all rising maps (Zadrozny & Elkan 2002)."""
    from sklearn.isotonic import IsotonicRegression

    fitted = IsotonicRegression(y_min=0, y_max=1, increasing=True).fit(raw, gold)
    return Calibration("isotonic", tuple(zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)))


def _platt(raw: np.ndarray, gold: np.ndarray) -> Calibration:
    """Platt (1999): logistic regression of gold on the logit, gold drawn in a little from 0 and 1 as he does.

    A score between 0 and 1 counts as a positive by that share and as a negative by the rest.
    """
    from sklearn.linear_model import LogisticRegression

    positive, negative = gold.sum(), (1 - gold).sum()
    target = gold * (positive + 1) / (positive + 2) + (1 - gold) / (negative + 2)
    x = np.concatenate([logit(raw), logit(raw)])[:, None]
    side = np.repeat([1, 0], len(raw))
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000).fit(x, side, np.concatenate([target, 1 - target]))
    slope = float(fitted.coef_[0, 0])
    return Calibration("platt", slope=slope, intercept=float(fitted.intercept_[0])) if slope > 0 else Calibration()


# ---------------------------------------------------------------------------------------------- agreement


def agreement(scores: Sequence[float] | np.ndarray, gold: Sequence[float] | np.ndarray, seed: int) -> dict[str, Any]:
    """Spearman and average precision (gold ≥ 0.5 is a match) on `rows` rows, each with a 95 % interval [low, high].

    Percentile bootstrap over rows (Efron & Tibshirani 1993, ch. 13). A measure that the rows do not allow (all gold alike, no
    match or nothing else) is left out; {} for fewer than 10 rows.
    """
    found, wanted = np.asarray(scores, dtype=np.float64), np.asarray(gold, dtype=np.float64)
    if len(found) < MIN_ROWS:
        return {}
    report: dict[str, Any] = {"rows": len(found)}
    for name, truth in (("spearman", wanted), ("ap", (wanted >= 0.5).astype(float))):
        if np.ptp(truth) == 0:
            continue
        resampled = []
        for counts in bootstrap_counts(np.arange(len(found)), RESAMPLES, np.random.default_rng([seed, len(found)])):
            counts = counts[[np.ptp(truth[row > 0]) > 0 for row in counts]]
            resampled.append(np.nan_to_num(PAIR_METRICS[name](truth, found, counts)))  # a constant score ranks nothing: 0
        report[name] = float(np.nan_to_num(PAIR_METRICS[name](truth, found))[0])
        report[f"{name}_interval"] = np.quantile(np.concatenate(resampled), [0.025, 0.975]).tolist()
    return report


# ---------------------------------------------------------------------------------------------- beside the weights


def save(folder: Path, calibration: Calibration, measured: dict[str, Any]) -> None:
    """Keep a calibration and an agreement in a model's folder, tied to its weights."""
    held = {**asdict(calibration), "agreement": measured, "weights": _weights(folder)}
    atomic.write_text(folder / FILE, json.dumps(held, indent=2) + "\n", durable=False)  # with its folder, when that is whole


def load(folder: Path) -> tuple[Calibration, dict[str, Any]] | None:
    """A model's calibration and agreement; None for a model that was not trained here. Raises UserError for other weights' one."""
    file = folder / FILE
    if not file.is_file():
        return None
    held = digests.read_json(file)
    if not isinstance(held, dict) or not {"weights", "agreement", "knots"} <= set(held):
        raise UserError(f"{file}: is damaged; delete it, or train the model again with: adapt cross-encoder")
    if held.pop("weights") != _weights(folder):
        raise UserError(f"{file}: belongs to other weights than those beside it; delete it, or train with: adapt cross-encoder")
    measured = held.pop("agreement")
    return Calibration(**{**held, "knots": tuple(map(tuple, held["knots"]))}), measured


def _weights(folder: Path) -> str:
    # The weights alone: `models.weights_digest` takes in every .json, and so would change with `calibration.json`.
    return digests.files_digest(sorted(file for file in folder.iterdir() if file.suffix in (".safetensors", ".bin")), folder)


def apply(folder: Path, scores: np.ndarray) -> np.ndarray:
    """Raw scores of the cross-encoder in `folder`, put on gold's scale by its calibration; as they are where it has none."""
    saved = load(folder)
    return saved[0](scores) if saved else scores
