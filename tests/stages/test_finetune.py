import random

import numpy as np
import pytest

from adapt import records, stages
from adapt.engine.encoder import embed
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Encoder, Pair, ScoredPair


@pytest.mark.parametrize(
    ("loss", "kind"), [("mnrl", "pairs"), ("mnrl", "triplets"), ("triplet", "triplets"), ("cosent", "scored"), ("cosine", "scored")]
)
def test_finetuning_lowers_every_loss_on_what_fits_it(embedder, texts, loss, kind):
    rng = random.Random(3)
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    examples = {
        "pairs": pairs,
        "triplets": [records.Triplet(p.anchor, p.positive, (texts[i - 1].text,)) for i, p in enumerate(pairs)],
        "scored": [ScoredPair(p.anchor, rng.choice(texts).text, i % 2) for i, p in enumerate(pairs)],
    }[kind]
    job = Job(1)
    stage = stages.find("finetune")(loss=loss, epochs=15, batch_size=10, learning_rate=2e-3, margin=0.5)
    stage.run(Encoder(embedder), examples, job)
    assert job.counts["last_loss"] < job.counts["first_loss"]


def test_a_loss_that_does_not_fit_is_refused(embedder):
    with pytest.raises(UserError, match="loss 'cosent' takes scored, but examples are pairs"):
        stages.find("finetune")(loss="cosent").run(Encoder(embedder), [Pair("a", "b")], Job())


def test_gathered_and_spread_batches_agree_on_what_is_a_negative(embedder, texts):
    """One batch of everything is the same either way, as long as no positive repeats."""
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    losses = []
    for batching in ("spread", "gathered"):
        job = Job(1)
        stages.find("finetune")(batching=batching, batch_size=20, max_steps=1).run(Encoder(embedder), pairs, job)
        losses.append(job.counts["first_loss"])
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def test_the_same_seed_makes_the_same_weights_and_another_does_not(embedder, texts):
    pairs = [Pair(t.text.split(".")[0], t.text) for t in texts]
    made = [stages.find("finetune")(max_steps=2, batch_size=8).run(Encoder(embedder), pairs, Job(seed)) for seed in (1, 1, 2)]
    bits = [(m.path / "model.safetensors").read_bytes() for m in made]
    assert bits[0] == bits[1] != bits[2]
    assert np.isfinite(embed(made[0].path, ["heart"], Job())).all()
