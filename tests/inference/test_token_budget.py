"""Where memory runs out, the same is computed with fewer tokens at once."""

import numpy as np
import pytest
import torch

from adapt.errors import WorkFailed
from adapt.inference import encoding, scoring, token_budget
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.training.loop import ParameterGroup, fit, trainable

from ..conftest import WORDS, tolerance

TEXTS = [" ".join(WORDS[i : i + 3 + i % 20]) for i in range(40)]


@pytest.fixture
def limit():
    yield token_budget._limit
    token_budget._limit.tokens = None


def short_of_memory(times, work):
    """`work`, that runs out of memory half-way the first `times`."""
    left = [times]

    def failing(*given, **named):
        if left[0]:
            left[0] -= 1
            work(*given, **named)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return work(*given, **named)

    return failing


def test_vectors_and_scores_are_the_same_with_half_the_tokens_at_once(embedder, tmp_path, monkeypatch, limit):
    CrossEncoderModel(embedder, new_head_seed=0).save(tmp_path / "m")
    pairs = list(zip(TEXTS[::2], TEXTS[1::2], strict=True))
    vectors, scores = encoding.embed(embedder, TEXTS, Job()), scoring.predict(tmp_path / "m", pairs, Job())
    notes = []
    job = Job(listener=lambda event: notes.append(event.text) if event.kind == "note" else None)
    monkeypatch.setattr(encoding, "_embeddings", short_of_memory(2, encoding._embeddings))
    monkeypatch.setattr(scoring, "_forward", short_of_memory(1, scoring._forward))
    np.testing.assert_allclose(encoding.embed(embedder, TEXTS, job), vectors, atol=tolerance(1e-6, 5e-3))
    assert limit.tokens == 256 and len(notes) == 2 and "continuing with 512 tokens per pass" in notes[0]
    limit.tokens = None
    np.testing.assert_allclose(scoring.predict(tmp_path / "m", pairs, job), scores, atol=tolerance(1e-6, 5e-3))


def trained(embedder, work=lambda step: step):
    """(weights after three steps, losses), the second step by way of `work`."""
    model = load_encoder(embedder, "fp32")
    ids = token_ids(model, TEXTS)
    job = Job(5)

    def loss(epoch, rows, done):
        found = encoding.forward(model, [ids[i] for i in rows])
        return (found @ found.T).square().mean()

    plan = [(0, list(range(start, start + 12))) for start in (0, 12, 24)]
    fit(model, work(loss), plan, [ParameterGroup(trainable(model), 1e-3)], job, label="test", unit="texts")
    return torch.cat([part.detach().flatten() for part in model.parameters()])


def test_training_goes_on_to_the_same_weights(embedder, limit):
    whole = trained(embedder)
    halved = trained(embedder, lambda loss: short_of_memory(1, loss))
    assert limit.tokens == 512 and token_budget.out_of_memory_before()
    # The last two steps sum gradients in another order: single roundings of fp32, which AdamW scales up where a gradient is near 0.
    assert (halved - whole).norm() < 1e-4 * whole.norm()


def test_memory_for_less_than_the_least_is_a_failure_that_says_what_to_try(embedder, limit, monkeypatch):
    monkeypatch.setattr(encoding, "_embeddings", short_of_memory(100, encoding._embeddings))
    with pytest.raises(WorkFailed, match=r"CUDA out of memory, for 256 tokens per pass\. Try a lower max_length"):
        encoding.embed(embedder, TEXTS, Job())
