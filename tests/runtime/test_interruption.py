"""SIGINT and SIGTERM: a checkpoint, the right exit code, and the same weights afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from adapt import cli
from adapt.inference import encoding
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.runtime import interruption
from adapt.runtime.interruption import Interrupted
from adapt.training import checkpoint, loop
from adapt.training.checkpoint import BEFORE, NAME, Checkpoints
from adapt.training.loop import ParameterGroup, fit, trainable

from ..conftest import WORDS

TEXTS = [" ".join(WORDS[i : i + 5]) for i in range(30)]


@pytest.fixture(autouse=True)
def no_deadline(monkeypatch):
    """A machine may take as long as it likes: nothing here is broken off by the clock but where a test asks for it."""
    monkeypatch.setattr(interruption, "INTERRUPT_AFTER", 600)
    monkeypatch.setattr(interruption, "EXIT_AFTER", 600)


def trained(embedder, work, at_step=lambda number: None):
    """Weights after six steps; `at_step` is called in each, before its loss."""
    model = load_encoder(embedder)
    ids, steps = token_ids(model, TEXTS), []

    def loss(epoch, rows, done):
        steps.append(round(done * 6))
        at_step(steps[-1])
        found = encoding.forward(model, [ids[i] for i in rows])
        return (found @ found.T).square().mean()

    plan = [(0, list(range(start, start + 5))) for start in range(0, 30, 5)]
    job = Job(3, work=work)
    fit(model, loss, plan, [ParameterGroup(trainable(model), 1e-3)], job, label="test", unit="texts")
    return torch.cat([part.detach().flatten() for part in model.parameters()]), steps


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_and_leaves_a_checkpoint_that_leads_to_the_same_weights(embedder, tmp_path, number):
    whole, _ = trained(embedder, tmp_path)
    before = signal.getsignal(number)
    with interruption.handle_signals(), pytest.raises(Interrupted) as stopped:
        trained(embedder, tmp_path, lambda step: os.kill(os.getpid(), number) if step == 2 else None)
    assert stopped.value.exit_code == 128 + number and signal.getsignal(number) is before and not interruption.requested()
    assert checkpoint.load(tmp_path / NAME, pytest.fail)["step"] == 3
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 3 and torch.equal(again, whole)


def test_a_step_that_takes_long_is_broken_off_and_the_steps_before_it_are_kept(embedder, tmp_path, monkeypatch):
    whole, _ = trained(embedder, tmp_path)
    monkeypatch.setattr(interruption, "INTERRUPT_AFTER", 0.05)
    over = []

    def slow(step):
        if step == 4:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
            over.append(step)

    with interruption.handle_signals(), pytest.raises(Interrupted):
        trained(embedder, tmp_path, slow)
    assert not over
    assert checkpoint.load(tmp_path / NAME, pytest.fail)["step"] == 4
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 4 and torch.equal(again, whole)


def test_of_two_checkpoints_the_last_whole_one_is_used(embedder, tmp_path, monkeypatch):
    whole, _ = trained(embedder, tmp_path)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)

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
    assert "checkpoint.pt: is corrupt" in notes[0] and "the one before it is used" in notes[0]
    again, steps = trained(embedder, tmp_path)
    assert steps[0] == 4 and torch.equal(again, whole)
    (tmp_path / BEFORE).write_bytes(b"")
    (tmp_path / NAME).write_bytes(b"")
    assert Checkpoints(tmp_path).load(notes.append) is None and "the step starts again" in notes[-1]


def test_what_was_encoded_before_a_signal_is_kept(embedder, tmp_path, monkeypatch):
    monkeypatch.setattr(encoding.token_budget, "tokens_per_pass", lambda: 40)
    calls, real = [], encoding._embeddings

    def counted(*given):
        calls.append(given)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given)

    monkeypatch.setattr(encoding, "_embeddings", counted)
    monkeypatch.setattr(encoding.parallel, "workers", lambda: 1)
    with interruption.handle_signals(), pytest.raises(Interrupted):
        encoding.embed(embedder, TEXTS, Job(embedding_cache=tmp_path))
    first = len(calls)
    encoding.embed(embedder, TEXTS, Job(embedding_cache=tmp_path))
    calls_of_all = len(calls)
    encoding.embed(embedder, TEXTS, Job())
    assert first == 3 and calls_of_all - first < len(calls) - calls_of_all


# A process that forks for each case named on its stdin, so that nothing is imported anew: a command that waits inside the
# encoding, for the first signal or for ever.
COMMANDS = """
import atexit, os, sys, time
from adapt import cli
from adapt.inference import encoding
from adapt.runtime import interruption

def waits(*given):
    print("INSIDE", file=sys.stderr, flush=True)
    while case == "twice" or not interruption.requested():
        time.sleep(0.01)
    return real(*given)

def ends():
    print("ENDING", file=sys.stderr, flush=True)
    while True:
        time.sleep(0.01)

real, encoding._embeddings = encoding._embeddings, waits
sys.argv[0] = "adapt"
for case in map(str.strip, iter(sys.stdin.readline, "")):
    child = os.fork()
    if child == 0:
        if case == "twice":
            interruption.INTERRUPT_AFTER = interruption.EXIT_AFTER = 600
        if case == "at the end":
            atexit.register(ends)
        cli.main()
    print("CHILD", child, file=sys.stderr, flush=True)
    print("CODE", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), file=sys.stderr, flush=True)
"""


@pytest.fixture(scope="module")
def commands(embedder, tmp_path_factory):
    """(where, the process)"""
    place = tmp_path_factory.mktemp("commands")
    (place / "texts.txt").write_text("\n".join(TEXTS))
    command = [sys.executable, "-c", COMMANDS, *f"embed --model {embedder} --texts texts.txt --out v.npy".split()]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, cwd=place, env=env, **pipes) as running:
        yield place, running
        running.stdin.close()


@pytest.mark.parametrize(
    ("case", "before_each", "says_how"),
    [("once", ["INSIDE"], True), ("twice", ["INSIDE", "stopping at"], False), ("at the end", ["INSIDE", "ENDING"], True)],
)
def test_a_command_says_how_to_go_on_and_a_second_signal_leaves_at_once(commands, case, before_each, says_how):
    place, running = commands
    said = ""

    def until(*words):
        nonlocal said
        while not all(word in said for word in words) and (line := running.stderr.readline()):
            said += line

    print(case, file=running.stdin)
    for words in before_each:  # each signal is sent when the command has come so far, however long that takes
        until("CHILD", words)
        os.kill(int(said.partition("CHILD ")[2].split()[0]), signal.SIGTERM)
    until("CODE")
    assert "CODE 143\n" in said and "Traceback" not in said
    assert not list(place.glob("*.npy")) and not list(place.glob(".*npy"))
    assert ("interrupted (SIGTERM): finished work is kept. Resume with: adapt embed --model" in said) == says_how


def test_a_command_that_ends_leaves_the_handlers_of_before(monkeypatch):
    before = [signal.getsignal(number) for number in interruption.SIGNALS]
    for words, code in (("--version", 0), ("embed --model m --texts nowhere.txt --out v.npy", 2)):
        monkeypatch.setattr(sys, "argv", ["adapt", *words.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == code and [signal.getsignal(number) for number in interruption.SIGNALS] == before
