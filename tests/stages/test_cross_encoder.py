import random

from adapt import stages
from adapt.job import Job
from adapt.records import Encoder, ScoredPair

from ..conftest import sentence


def test_cross_encoder_learns_its_pairs(embedder):
    rng = random.Random(5)
    gold = [ScoredPair(f"left {sentence(rng, 3)}", f"left {sentence(rng, 3)}", 1.0) for _ in range(20)]
    gold += [ScoredPair(f"high {sentence(rng, 3)}", f"low {sentence(rng, 3)}", 0.0) for _ in range(20)]
    job = Job(1)
    stage = stages.find("cross-encoder")(epochs=30, batch_size=8, learning_rate=3e-3, held_out=0.25, dropout=0.0)
    stage.run(Encoder(embedder), gold, job)
    assert job.counts["last_loss"] < 0.4 * job.counts["first_loss"] and job.counts["held_out_spearman"] > 0.7
