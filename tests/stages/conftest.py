"""Texts for the stages."""

import random

import numpy as np
import pytest

from adapt.inference import scoring
from adapt.records import CrossEncoder, ScoredPair, Text

from ..conftest import WORDS, sentence


@pytest.fixture
def texts():
    rng = random.Random(11)
    return [Text(str(i), " ".join(sentence(rng) for _ in range(3))) for i in range(20)]


def known(first, second):
    """A labeller whose scores are easy to compute: the share of shared words, a little off 0 and 1."""
    left, right = set(first.lower().strip(".").split()), set(second.lower().strip(".").split())
    return 0.05 + 0.9 * len(left & right) / len(left | right)


@pytest.fixture
def labeller(tmp_path, monkeypatch):
    """A cross-encoder that gives `known`; `labeller.asked` holds the sizes of what it was asked."""
    folder = tmp_path / "labeller"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")

    def predict(folder, pairs, job, max_length=256, label="", calibrated=False, quantized=None, precision="auto", **more):
        assert not calibrated
        asked.append(len(pairs))
        return np.array([known(a, b) for a, b in pairs])

    asked = []
    monkeypatch.setattr(scoring, "predict", predict)
    made = CrossEncoder(folder)
    object.__setattr__(made, "asked", asked)
    return made


@pytest.fixture
def many():
    """Texts of one sentence each, some of which share many words."""
    rng = random.Random(3)
    made = []
    for _ in range(60):
        common = [rng.choice(WORDS) for _ in range(rng.randint(2, 7))]
        for _ in range(3):
            made.append(" ".join([*common, *(rng.choice(WORDS) for _ in range(8 - len(common)))]).capitalize() + ".")
    return [Text(str(i), text) for i, text in enumerate(made)]


@pytest.fixture
def gold(many):
    """Gold whose scores lie in the middle, where few pairs of texts do."""
    rng = np.random.default_rng(8)
    made = [ScoredPair(many[3 * i].text, many[3 * i + 1].text, float(s)) for i, s in enumerate(rng.beta(3, 4, 40))]
    return [ScoredPair(p.sentence2, p.sentence1, p.score) if i % 2 else p for i, p in enumerate(made)]
