"""SIGINT and SIGTERM: a checkpoint, the right exit code, and the same weights afterwards."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from adapt import interruption
from adapt.engine import checkpoint, encoder, training
from adapt.engine.checkpoint import BEFORE, NAME, Checkpoints
from adapt.engine.training import Group, fit, trainable
from adapt.interruption import Interrupted
from adapt.job import Job
from adapt.networks.encoder import open_encoder, token_ids

from ..conftest import WORDS

TEXTS = [" ".join(WORDS[i : i + 5]) for i in range(30)]


def trained(embedder, work, at_step=lambda number: None):
    """Weights after six steps; `at_step` is called in each, before its loss."""
    model = open_encoder(embedder)
    ids, steps = token_ids(model, TEXTS), []

    def loss(epoch, rows, done):
        steps.append(round(done * 6))
        at_step(steps[-1])
        found = encoder.forward(model, [ids[i] for i in rows])
        return (found @ found.T).square().mean()

    plan = [(0, list(range(start, start + 5))) for start in range(0, 30, 5)]
    job = Job(3, work=work)
    fit(model, loss, plan, [Group(trainable(model), 1e-3)], job, label="test", unit="texts")
    return torch.cat([part.detach().flatten() for part in model.parameters()]), steps


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint_that_leads_to_the_same_weights(embedder, tmp_path, number):
    whole, _ = trained(embedder, tmp_path)
    before = signal.getsignal(number)
    with interruption.handled(), pytest.raises(Interrupted) as stopped:
        trained(embedder, tmp_path, lambda step: os.kill(os.getpid(), number) if step == 2 else None)
    assert stopped.value.code == 128 + number and signal.getsignal(number) is before and not interruption.asked()
    assert checkpoint.load(tmp_path / NAME, pytest.fail)["step"] == 3
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 3 and torch.equal(again, whole)


def test_a_step_that_takes_long_is_broken_off_and_the_steps_before_it_are_kept(embedder, tmp_path, monkeypatch):
    whole, _ = trained(embedder, tmp_path)
    monkeypatch.setattr(interruption, "SOON", 0.2)

    def slow(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    began = time.monotonic()
    with interruption.handled(), pytest.raises(Interrupted):
        trained(embedder, tmp_path, slow)
    assert time.monotonic() - began < 4.5
    assert checkpoint.load(tmp_path / NAME, pytest.fail)["step"] == 4
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 4 and torch.equal(again, whole)


def test_of_two_checkpoints_the_last_whole_one_is_used(embedder, tmp_path, monkeypatch):
    whole, _ = trained(embedder, tmp_path)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)

    def dies(step):
        if step == 5:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        trained(embedder, tmp_path, dies)
    assert checkpoint.load(tmp_path / NAME, pytest.fail)["step"] == 5
    assert checkpoint.load(tmp_path / BEFORE, pytest.fail)["step"] == 4
    data = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(data[: len(data) // 2])
    notes = []
    assert Checkpoints(tmp_path).load(notes.append)["step"] == 4
    assert "checkpoint.pt: is damaged" in notes[0] and "the one before it is used" in notes[0]
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 4 and torch.equal(again, whole)
    (tmp_path / BEFORE).write_bytes(b"")
    (tmp_path / NAME).write_bytes(b"")
    assert Checkpoints(tmp_path).load(notes.append) is None and "the step begins anew" in notes[-1]


def test_what_was_encoded_before_a_signal_is_kept(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(encoder.memory, "tokens_at_once", lambda: 40)
    calls, real = [], encoder._vectors

    def counted(*given):
        calls.append(given)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given)

    monkeypatch.setattr(encoder, "_vectors", counted)
    monkeypatch.setattr(encoder.cores, "count", lambda: 1)
    with interruption.handled(), pytest.raises(Interrupted):
        encoder.embed(embedder, TEXTS, Job(vectors=tmp_path))
    first = len(calls)
    encoder.embed(embedder, TEXTS, Job(vectors=tmp_path))
    calls_of_all = len(calls)
    encoder.embed(embedder, TEXTS, Job())
    assert first == 3 and calls_of_all - first < len(calls) - calls_of_all


def test_a_command_says_how_to_go_on_and_a_second_signal_leaves_at_once(embedder, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS[:20]))
    command = [sys.executable, "-m", "adapt", "embed", "--model", embedder, "--texts", tmp_path / "texts.txt", "--out", "v.npy"]
    for signals, code in ((1, 143), (2, 143)):
        running = subprocess.Popen(list(map(str, command)), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        assert running.stderr is not None
        while "encoding" not in (line := running.stderr.readline()) and line:
            pass
        began = time.monotonic()
        for _ in range(signals):
            running.send_signal(signal.SIGTERM)
            time.sleep(0.05)
        said = running.stderr.read()
        assert running.wait() == code and time.monotonic() - began < 10
        assert "Traceback" not in said and not list(tmp_path.glob("*.npy")) and not list(tmp_path.glob(".*npy"))
        if signals == 1:
            assert "interrupted (SIGTERM): what is finished is kept. Go on with: adapt embed --model" in said
