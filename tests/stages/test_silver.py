import random

from adapt import stages
from adapt.job import Job
from adapt.records import Encoder, ScoredPair

from ..conftest import sentence


def test_silver_never_repeats_a_pair_nor_gold_in_either_order(embedder, texts):
    rng = random.Random(5)
    gold = [ScoredPair(sentence(rng), sentence(rng), 0.5) for _ in range(10)]
    labeller = stages.find("cross-encoder")(max_steps=1, held_out=0).run(Encoder(embedder), gold, Job(1))
    made = stages.find("silver")(sampling=("bm25", "dense", "random"), pairs=60).run(
        texts, labeller, Job(1), gold=gold, model=Encoder(embedder)
    )
    keys = [frozenset((p.sentence1, p.sentence2)) for p in made]
    assert len(made) == 60 == len(set(keys)) and all(len(key) == 2 for key in keys)
    assert not set(keys) & {frozenset((p.sentence1, p.sentence2)) for p in gold}
    assert all(0 <= p.score <= 1 for p in made)
    assert {p.origin.split("@")[0] for p in made} == {"silver:bm25", "silver:dense", "silver:random"}
