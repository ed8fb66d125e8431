import json

import numpy as np
import pytest

from adapt.errors import UserError
from adapt.models import calibration
from adapt.models.calibration import Calibration, agreement, fit, logit


def rows(count, seed=0):
    """Scores that lean to the middle, and gold that they rise with, noisily."""
    rng = np.random.default_rng(seed)
    gold = rng.random(count)
    return np.clip(0.35 + 0.3 * gold + 0.05 * rng.normal(size=count), 0, 1), gold


def test_isotonic_is_sklearns_after_being_saved_and_loaded(tmp_path):
    from sklearn.isotonic import IsotonicRegression

    scores, gold = rows(300)
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    calibration.save(tmp_path, fit(scores, gold, "isotonic"), {"rows": 300})
    curve, measured = calibration.load(tmp_path)
    at = np.linspace(-0.1, 1.1, 500)
    theirs = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, gold)
    np.testing.assert_allclose(curve(at), theirs.predict(at), atol=1e-12)
    assert measured == {"rows": 300} and curve.kind == "isotonic"


def test_platt_is_sklearns_logistic_regression_on_the_logit():
    from sklearn.calibration import _SigmoidCalibration
    from sklearn.linear_model import LogisticRegression

    scores, gold = rows(200)
    binary = (gold > 0.5).astype(float)
    ours = fit(scores, binary, "platt")
    # Binary gold: Platt's own targets, as sklearn's calibration of classifiers has them.
    np.testing.assert_allclose(ours(scores), _SigmoidCalibration().fit(logit(scores), binary).predict(logit(scores)), atol=1e-4)
    # Graded gold: each row once as a positive and once as a negative, by its share.
    ours = fit(scores, gold, "platt")
    up, down = (gold.sum() + 1) / (gold.sum() + 2), 1 / ((1 - gold).sum() + 2)
    target = gold * up + (1 - gold) * down
    x = np.concatenate([logit(scores)] * 2)[:, None]
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(x, [1] * 200 + [0] * 200, np.concatenate([target, 1 - target]))
    np.testing.assert_allclose(ours(scores), theirs.predict_proba(logit(scores)[:, None])[:, 1], atol=1e-6)


def test_platt_is_the_minimum_of_the_cross_entropy():
    from scipy.optimize import minimize

    scores, gold = rows(60, seed=3)
    up, down = (gold.sum() + 1) / (gold.sum() + 2), 1 / ((1 - gold).sum() + 2)
    target = gold * up + (1 - gold) * down

    def loss(ab):
        z = ab[0] * logit(scores) + ab[1]
        return (np.logaddexp(0, z) - target * z).sum()

    found = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 10_000})
    ours = fit(scores, gold, "platt")
    assert (ours.slope, ours.intercept) == pytest.approx(found.x, abs=1e-4)


@pytest.mark.parametrize("kind", ["isotonic", "platt", "auto"])
def test_calibrated_scores_rise_with_raw_ones_stay_in_0_to_1_and_lie_nearer_to_gold(kind):
    scores, gold = rows(400)
    curve = fit(scores, gold, kind)
    at = curve(np.linspace(0, 1, 1_001))
    assert (np.diff(at) >= 0).all() and at.min() >= 0 and at.max() <= 1 and np.ptp(at) > 0.5
    fresh, truth = rows(400, seed=9)
    assert np.square(curve(fresh) - truth).mean() < 0.8 * np.square(fresh - truth).mean()


def test_few_rows_get_platts_two_numbers_and_many_get_steps():
    assert fit(*rows(999)).kind == "platt" and fit(*rows(1_000)).kind == "isotonic"


@pytest.mark.parametrize("kind", ["isotonic", "platt"])
def test_what_does_not_rise_with_gold_is_not_calibrated(kind):
    scores, gold = rows(100)
    assert fit(1 - scores, gold, kind) == Calibration()
    assert fit(scores[:9], gold[:9], kind) == Calibration()
    assert fit(scores, np.full(100, 0.5), kind) == Calibration()
    assert fit(scores, gold, "none") == Calibration()
    assert np.array_equal(Calibration()(scores), scores)


def test_agreement_is_scipys_and_sklearns_and_its_interval_holds_the_truth():
    from scipy.stats import bootstrap, spearmanr
    from sklearn.metrics import average_precision_score

    scores, gold = rows(80)
    gold = np.round(gold, 1)
    found = agreement(scores, gold, seed=1)
    assert found["spearman"] == pytest.approx(spearmanr(scores, gold).statistic)
    assert found["ap"] == pytest.approx(average_precision_score(gold >= 0.5, scores)) and found["rows"] == 80
    theirs = bootstrap(
        (scores, gold), lambda s, g: spearmanr(s, g).statistic, paired=True, vectorized=False, method="percentile",
        n_resamples=1_000, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert found["spearman_interval"] == pytest.approx([theirs.low, theirs.high], abs=0.02)
    assert found["ap_interval"][0] < found["ap"] < found["ap_interval"][1]
    assert found == agreement(scores, gold, seed=1)


def test_agreement_leaves_out_what_the_rows_do_not_allow():
    scores, gold = rows(30)
    assert agreement(scores[:9], gold[:9], 1) == {}
    assert "ap" not in agreement(scores, gold / 3, 1) and "spearman" in agreement(scores, gold / 3, 1)
    assert agreement(np.zeros(30), gold, 1)["spearman"] == 0.0


def test_a_calibration_of_other_weights_is_refused(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"weights")
    assert calibration.load(tmp_path) is None
    calibration.save(tmp_path, Calibration("platt", slope=2.0), {})
    assert calibration.load(tmp_path) == (Calibration("platt", slope=2.0), {})
    assert json.loads((tmp_path / calibration.FILE).read_text())["kind"] == "platt"
    weights.write_bytes(b"others!!")
    with pytest.raises(UserError, match="belongs to other weights"):
        calibration.load(tmp_path)
