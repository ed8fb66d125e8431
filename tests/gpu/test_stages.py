"""Every stage on a GPU: the CPU's result in fp32 within 1e-4, near it in bf16; memory given back, and groups that fit into it."""

import random

import numpy as np
import pytest
import torch

from adapt import stages
from adapt.inference import encoding, model_cache, scoring
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.records import CrossEncoder, Encoder, Pair, Parallel, ScoredPair, Text, Triplet

from ..conftest import sentence

RNG = random.Random(11)
LINES = [sentence(RNG, RNG.randint(6, 24)) for _ in range(96)]
PAIRS = [Pair(a, b) for a, b in zip(LINES[:48], LINES[48:], strict=True)]
SCORED = [ScoredPair(p.anchor, p.positive, round(RNG.random(), 2)) for p in PAIRS]
TRIPLETS = [Triplet(p.anchor, p.positive, (LINES[(i + 7) % 96], LINES[(i + 19) % 96])) for i, p in enumerate(PAIRS)]
TRAINING = {"max_steps": 3, "batch_size": 16, "learning_rate": 1e-5, "dropout": 0.0}
WORK = {  # stage: settings, inputs beside the model
    **dict.fromkeys(
        ("tsdae", "mlm", "embedding-denoising"),
        (TRAINING, lambda: {"texts": [Text(str(i), line) for i, line in enumerate(LINES)]}),
    ),
    "cross-encoder": (TRAINING | {"held_out": 0.25, "head_learning_rate": 1e-5}, lambda: {"pairs": SCORED}),
    "finetune": (TRAINING, lambda: {"examples": TRIPLETS}),
    "align": (TRAINING, lambda: {"parallel": [Parallel(p.anchor, p.positive) for p in PAIRS]}),
}
CASES = [
    ("tsdae", {"base_type": "embedding-model"}), ("tsdae", {"base_type": "language-model"}), ("embedding-denoising", {}),
    ("mlm", {}), ("cross-encoder", {}), ("finetune", {}), ("finetune", {"loss": "triplet"}),
    ("finetune", {"token_budget": 256}), ("finetune", {"loss": {"name": "mnrl", "batching": "grouped"}}), ("align", {}),
]  # fmt: skip


def weights(made):
    model = load_encoder(made.path) if isinstance(made, Encoder) else CrossEncoderModel(made.path)
    return {name: part.detach().cpu().float() for name, part in model.state_dict().items()}


def trained(word, more, model):
    settings, inputs = WORK[word]
    made = stages.find(word)(**settings | more).run(model=Encoder(model), **inputs(), job=Job(3))
    return weights(made)


def distance(one, two):
    """How far two models' weights are apart, as a share of how far the first has moved at all is left to the caller."""
    return sum(float((one[name] - two[name]).square().sum()) for name in one) ** 0.5


@pytest.mark.parametrize("base", ["embedder", "bundled"])
@pytest.mark.parametrize(("word", "more"), CASES, ids=lambda value: str(value))
def test_training_moves_the_weights_as_on_the_cpu(on, request, base, word, more):
    folder = request.getfixturevalue(base)
    on("cpu")
    before = weights(Encoder(folder)) if word != "cross-encoder" else None
    reference = trained(word, more, folder)
    moved = distance(reference, before) if before and before.keys() == reference.keys() else None
    for precision, most in (("fp32", 1e-2), ("bf16", 0.35)):
        on("cuda", precision)
        found = trained(word, more, folder)
        assert all(part.isfinite().all() for part in found.values())
        assert max(float((found[name] - reference[name]).abs().max()) for name in found) < (1e-4 if precision == "fp32" else 1e-3)
        if moved:  # AdamW takes steps of like size whatever the gradient's, so that single roundings near 0 are seen
            assert distance(found, reference) < most * moved


@pytest.mark.parametrize("base", ["embedder", "bundled"])
def test_embeddings_and_scores_equal_the_cpus(on, request, tmp_path, base):
    folder = request.getfixturevalue(base)
    on("cpu")
    CrossEncoderModel(folder, new_head_seed=1).save(tmp_path / "m")
    pairs = [(p.anchor, p.positive) for p in PAIRS]
    vectors, scores = encoding.embed(folder, LINES, Job()), scoring.predict(tmp_path / "m", pairs, Job())
    on("cuda")
    assert abs(encoding.embed(folder, LINES, Job()) - vectors).max() < 1e-4
    assert abs(scoring.predict(tmp_path / "m", pairs, Job()) - scores).max() < 1e-4
    for precision in ("bf16", "fp16"):
        on("cuda", precision)
        rounded = encoding.embed(folder, LINES, Job())
        assert (rounded * vectors).sum(1).min() > 0.9995 and abs(np.linalg.norm(rounded, axis=1) - 1).max() < 1e-6
        found = scoring.predict(tmp_path / "m", pairs, Job())
        assert abs(found - scores).max() < 0.02 and len(np.unique(found)) >= 0.9 * len(np.unique(scores))


def test_silver_and_mine_find_what_they_find_on_the_cpu(on, bundled, tmp_path):
    on("cpu")
    CrossEncoderModel(bundled, new_head_seed=1).save(tmp_path / "m")
    texts = [Text(str(i), line) for i, line in enumerate(LINES)]

    def made():
        silver = stages.find("silver")(pairs=40, sampling=["dense"], precision="fp32", min_words=2)
        labelled = silver.run(
            texts=texts, cross_encoder=CrossEncoder(tmp_path / "m"), gold=SCORED[:8], model=Encoder(bundled), job=Job(3)
        )
        mine = stages.find("mine")(retrievers=["dense"], negatives=3, precision="fp32")
        return labelled, mine.run(pairs=PAIRS, model=Encoder(bundled), job=Job(3))

    silver, mined = made()
    on("cuda")
    there, also = made()
    assert [(r.sentence1, r.sentence2) for r in there] == [(r.sentence1, r.sentence2) for r in silver]
    np.testing.assert_allclose([r.score for r in there], [r.score for r in silver], atol=1e-4)
    assert [t.negatives for t in also] == [t.negatives for t in mined]


def test_fp16_scales_the_loss_and_learns(on, bundled):
    on("cuda", "fp16")
    job = Job(3)
    stages.find("finetune")(**TRAINING | {"max_steps": None, "epochs": 4, "learning_rate": 5e-5}).run(
        model=Encoder(bundled), examples=TRIPLETS, job=job
    )
    assert job.counts["last_loss"] < job.counts["first_loss"]


def test_the_same_seed_makes_the_same_weights_on_one_gpu(on, bundled):
    on("cuda", "bf16")
    first, second = (trained("finetune", {}, bundled) for _ in range(2))
    # Atomic additions have no order: said to be near, not equal.
    assert max(float((first[name] - second[name]).abs().max()) for name in first) < 1e-3


def test_too_little_memory_is_met_with_smaller_groups_and_the_same_mathematics(on, bundled):
    on("cuda")
    whole = trained("finetune", {"batch_size": 48}, bundled)
    model_cache.clear()
    _, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_allocated() + 900 * 2**20) / total))
    try:
        found = trained("finetune", {"batch_size": 48}, bundled)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert max(float((found[name] - whole[name]).abs().max()) for name in found) < 1e-4


def test_memory_is_given_back_between_stages(on, bundled):
    from adapt.inference.memory import release

    on("cuda")
    release()
    before = torch.cuda.memory_allocated()
    trained("finetune", {}, bundled)
    encoding.embed(bundled, LINES, Job())
    release()
    assert torch.cuda.memory_allocated() - before < 2**20 and torch.cuda.memory_reserved() < 512 * 2**20


def test_a_step_waits_for_the_gpu_a_few_times_and_not_once_a_row(on, bundled):
    on("cuda")
    trained("finetune", {}, bundled)  # warm
    waits = []
    torch.cuda.set_sync_debug_mode("warn")
    try:
        import warnings

        for size in (8, 16):
            with warnings.catch_warnings(record=True) as seen:
                warnings.simplefilter("always")
                trained("finetune", {"batch_size": size, "max_steps": 3}, bundled)
            waits.append(sum("synchroniz" in str(one.message) for one in seen))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert waits[1] <= waits[0] + 3
