"""Several processes train one TSDAE model, and a checkpoint without its decoder is not gone on from."""

import random

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import multiprocessing

from adapt import stages
from adapt.job import Job
from adapt.records import Encoder, Text
from adapt.training import loop

from ..conftest import assert_alike, sentence, tolerance

# Pooled otherwise than the base, so that the retention pulls from the first step on.
SETTINGS = {"batch_size": 8, "max_steps": 2, "learning_rate": 1e-3, "pooling": "cls", "retain": 5.0}
STAGES = ("tsdae", "mlm", "embedding-denoising")


def train(rank, count, base, texts, out):
    """One of `count` processes; each keeps its own weights, for only the first writes the model."""
    from adapt.models import bi_encoder

    torch.set_num_threads(1)
    loop.CHECKPOINT_SECONDS = -1.0  # a checkpoint after the first step
    if count > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{out}/meet", rank=rank, world_size=count)
    for name in STAGES:
        place = out / name / f"{count}-{rank}"
        job = Job(3, place / "out", place / "work")
        job.out.mkdir(parents=True)
        job.work.mkdir()
        bi_encoder.save_encoder = lambda model, folder, place=place: save_file(
            dict(model.state_dict()), place / "model.safetensors"
        )
        stages.find(name)(**SETTINGS, **({} if name == "embedding-denoising" else {"freeze_encoder_ratio": 0.0})).run(
            Encoder(base), texts, job
        )
    if count > 1:
        torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def trained(embedder, tmp_path_factory):
    """What one process and two have trained, every stage in the same ones: starting them is what takes time."""
    out = tmp_path_factory.mktemp("processes")
    rng = random.Random(5)  # sentences of many lengths: the two halves of a batch hold unlike numbers of tokens
    texts = [Text(str(i), sentence(rng, rng.randint(5, 30))) for i in range(24)]
    for count in (1, 2):
        multiprocessing.spawn(train, (count, embedder, texts, out), nprocs=count)
    return out


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_two_processes_train_the_one_model_that_one_process_trains(trained, stage):
    place = trained / stage
    left, right = (load_file(place / f"2-{rank}" / "model.safetensors") for rank in (0, 1))
    assert all(torch.equal(left[name], right[name]) for name in left)
    one, two = (torch.load(place / f"{count}-0" / "work" / "checkpoint.pt", weights_only=True) for count in (1, 2))
    assert one["step"] == two["step"] == 1 and two["losses"] == pytest.approx(one["losses"], abs=tolerance(1e-5, 1e-3))
    # Gradients, not weights: Adam divides by a gradient's size, and makes much of rounding where that is nearly nothing.
    slopes = [(one["optimizer"]["state"][i]["exp_avg"], two["optimizer"]["state"][i]["exp_avg"]) for i in one["optimizer"]["state"]]
    assert len(slopes) > 20 and sum(float(slope.abs().max()) > 1e-4 for slope, _ in slopes) > 10
    assert_alike([together for _, together in slopes], [alone for alone, _ in slopes], bf16=2e-2, atol=1e-6, rtol=1e-4)


def test_a_checkpoint_without_the_decoder_is_noticed(embedder, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    job = Job(3, tmp_path, tmp_path)
    stage = stages.find("tsdae")(**SETTINGS, freeze_encoder_ratio=0.0)
    stage.run(Encoder(embedder), texts, job)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert any(name.startswith("decoder.") for name in saved["module"])
    saved["module"] = {name: value for name, value in saved["module"].items() if not name.startswith("decoder.")}
    torch.save(saved, tmp_path / "checkpoint.pt")
    with pytest.raises(RuntimeError, match=r"Missing key.*decoder\."):
        stage.run(Encoder(embedder), texts, job)
