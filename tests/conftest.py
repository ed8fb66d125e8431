"""Tiny exact things that every test may use: a two-layer BERT with random weights, an embedder made of it, a small recipe."""

from __future__ import annotations

import os

os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})
os.environ.setdefault("ADAPT_DEVICE", "cpu")
# The suite decides itself: fp32, whatever this processor has. ADAPT_PRECISION=bf16 runs all of it in bf16 (see `tolerance`).
os.environ.setdefault("ADAPT_PRECISION", "fp32")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import sys
from pathlib import Path

import pytest

from tests import tiny, tiny_domain
from tests.tiny import WORDS, sentence

__all__ = ["SAMPLES", "WORDS", "sentence"]

SAMPLES = Path(__file__).parent / "samples"


def tolerance(fp32: float, bf16: float) -> float:
    """The tolerance for what models compute in the precision that the suite runs in.

    In bf16 every product of a layer is rounded by up to 2^-9 of its size, in fp32 by 2^-24; what else is computed stays in fp32.
    """
    from adapt.runtime.precision import resolve

    return bf16 if resolve() == "bf16" else fp32


def assert_alike(found, wanted, bf16: float, **fp32: float) -> None:
    """Gradients or weights, tensor by tensor: one number at a time in fp32, by the norm of the whole in bf16.

    There the norm of a difference is at most `bf16` of the tensor's, and of a hundredth of all tensors' together: no digit holds of
    what is nothing but rounding (the gradient of a key's bias).
    """
    import torch

    found, wanted = list(found), list(wanted)
    assert [part is None for part in found] == [part is None for part in wanted]
    least = torch.cat([part.flatten() for part in wanted if part is not None]).norm() / 100
    for a, b in zip(found, wanted, strict=True):
        if b is not None and tolerance(0, bf16):
            assert a.shape == b.shape and float((a - b).norm()) <= bf16 * float(b.norm() + least)
        elif b is not None:
            torch.testing.assert_close(a, b, **fp32)


NUMERIC = {"inference", "losses", "models", "retrieval", "stages", "training"}


def pytest_collection_modifyitems(items):
    """Whatever compares numbers that models compute is `numeric`: see .ci/run."""
    for item in items:
        if NUMERIC & set(item.path.relative_to(Path(__file__).parent).parts[:1]):
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory) -> Path:
    """A plain language model's folder: BERT with two layers of width 32, random weights, a vocabulary of whole words."""
    return tiny.language_model(tmp_path_factory.mktemp("language-model"))


@pytest.fixture(scope="session")
def embedder(tmp_path_factory, language_model) -> Path:
    """A sentence-transformers folder: the language model with mean pooling and unit vectors."""
    return tiny.embedder(language_model, tmp_path_factory.mktemp("embedder") / "model")


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The folder of all-MiniLM-L6-v2, from the extra that the tests install."""
    from adapt.models import lookup

    return lookup.find_model("all-MiniLM-L6-v2", download=False)


@pytest.fixture
def domain(tmp_path) -> Path:
    """A folder of small random files: texts, pairs, gold, and a BEIR folder for dev and test."""
    return tiny_domain.domain(tmp_path)


@pytest.fixture
def recipe_file(domain, embedder) -> Path:
    """A recipe with every stage on the small domain, a step or two each."""
    return tiny_domain.recipe_file(domain, embedder)


@pytest.fixture
def command(monkeypatch, capsys):
    """Carries out a command in this process, which need not import everything anew, and gives what it printed."""

    def command(*args, exits=0, **env):
        from adapt import cli
        from adapt.runtime.precision import VARIABLE

        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["adapt", *map(str, args)])
            for name, value in {VARIABLE: os.environ[VARIABLE], **env}.items():  # which `--precision` changes
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as stop:
                cli.main()
        said = capsys.readouterr()
        assert (stop.value.code or 0) == exits, said.err
        return said

    return command
