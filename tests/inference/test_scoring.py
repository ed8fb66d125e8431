"""Cross-encoders of other origin, compared with sentence-transformers."""

import random

import numpy as np
import pytest
import torch

from adapt.errors import UserError
from adapt.inference import scoring
from adapt.inference.scoring import predict
from adapt.job import Job
from adapt.models import calibration
from adapt.models.calibration import Calibration, apply

from ..conftest import sentence, tolerance


@pytest.fixture
def pairs():
    rng = random.Random(4)
    return [(sentence(rng, rng.randint(3, 12)), sentence(rng)) for _ in range(30)]


def classifier(language_model, folder, labels, settings=None):
    """A classifier with random weights, saved as any Hugging Face one is."""
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    config = AutoConfig.from_pretrained(language_model, num_labels=len(labels), id2label=dict(enumerate(labels)))
    config.update(settings or {})
    torch.manual_seed(2)
    model = AutoModelForSequenceClassification.from_pretrained(language_model, config=config)
    for part in model.parameters():
        part.data *= 15 if part.ndim == 2 else 1  # scores that differ
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(language_model).save_pretrained(folder)
    return folder


def theirs(folder, pairs, turned, **how):
    from sentence_transformers import CrossEncoder

    asked = [(b, a) if turned else (a, b) for a, b in pairs]
    return np.asarray(CrossEncoder(str(folder), device="cpu").predict(asked, show_progress_bar=False, **how), dtype=np.float64)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_one_logit_is_scored_as_sentence_transformers_scores_it(language_model, tmp_path, pairs):
    folder = classifier(language_model, tmp_path / "m", ["LABEL_0"])
    wanted = (theirs(folder, pairs, False) + theirs(folder, pairs, True)) / 2
    found = predict(folder, pairs, Job())
    np.testing.assert_allclose(found, wanted, atol=tolerance(1e-5, 1e-2))
    assert np.ptp(found) > 0.05
    np.testing.assert_allclose(found, predict(folder, [(b, a) for a, b in pairs], Job()), atol=1e-6)  # no direction


def test_pairs_are_read_a_part_at_a_time_to_the_same_scores(language_model, tmp_path, pairs, monkeypatch):
    folder = classifier(language_model, tmp_path / "m", ["LABEL_0"])
    whole = predict(folder, pairs, Job())
    monkeypatch.setattr(scoring, "TOKENIZE_CHUNK", 7)
    np.testing.assert_allclose(predict(folder, pairs, Job()), whole, atol=1e-6)


def test_a_model_whose_configuration_asks_for_logits_still_scores_in_0_to_1(language_model, tmp_path, pairs):
    identity = {"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}
    folder = classifier(language_model, tmp_path / "m", ["LABEL_0"], identity)
    logits = theirs(folder, pairs, False), theirs(folder, pairs, True)
    assert min(map(np.min, logits)) < 0 or max(map(np.max, logits)) > 1  # theirs are logits
    np.testing.assert_allclose(
        predict(folder, pairs, Job()), (sigmoid(logits[0]) + sigmoid(logits[1])) / 2, atol=tolerance(1e-5, 1e-2)
    )


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (["LABEL_0", "LABEL_1"], 1),
        (["duplicate", "other"], 0),
        (["contradiction", "entailment", "neutral"], 1),
        (["entailment", "neutral", "contradiction"], 0),
        (["not_entailment", "entailment"], 1),
    ],
)
def test_of_several_labels_the_one_that_means_a_match_is_scored(language_model, tmp_path, pairs, labels, match):
    folder = classifier(language_model, tmp_path / "m", labels)
    wanted = sum(theirs(folder, pairs, turned, apply_softmax=True)[:, match] for turned in (False, True)) / 2
    np.testing.assert_allclose(predict(folder, pairs, Job()), wanted, atol=tolerance(1e-5, 1e-2))


def test_labels_that_say_nothing_of_a_match_are_refused(language_model, tmp_path, pairs):
    folder = classifier(language_model, tmp_path / "m", ["LABEL_0", "LABEL_1", "LABEL_2"])
    with pytest.raises(UserError, match="classifies pairs as LABEL_0, LABEL_1, LABEL_2, none of which"):
        predict(folder, pairs, Job())


def test_an_embedder_is_refused_with_advice(embedder, pairs):
    with pytest.raises(UserError, match=r"is not a cross-encoder .* train one: adapt cross-encoder"):
        predict(embedder, pairs, Job())


def test_calibrated_scores_are_the_curve_of_the_raw_ones(language_model, tmp_path, pairs):
    folder = classifier(language_model, tmp_path / "m", ["LABEL_0"])
    raw = predict(folder, pairs, Job())
    np.testing.assert_array_equal(predict(folder, pairs, Job(), calibrated=True), raw)  # it has no calibration
    curve = Calibration("platt", slope=3.0, intercept=-1.0)
    calibration.save(folder, curve, {})
    np.testing.assert_array_equal(predict(folder, pairs, Job()), raw)
    np.testing.assert_array_equal(predict(folder, pairs, Job(), calibrated=True), curve(raw))
    np.testing.assert_array_equal(apply(folder, raw), curve(raw))
    still = (theirs(folder, pairs, False) + theirs(folder, pairs, True)) / 2  # it loads as before
    np.testing.assert_allclose(still, raw, atol=tolerance(5e-6, 1e-2))
