"""Tiny exact things that every test may use: a two-layer BERT with random weights, an embedder made of it, a small recipe."""

from __future__ import annotations

import os

os.environ.update({"HF_HUB_OFFLINE": "1", "ADAPT_DEVICE": "cpu", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})

from pathlib import Path

import pytest

from tests import tiny, tiny_domain
from tests.tiny import WORDS, sentence

__all__ = ["SAMPLES", "WORDS", "sentence"]

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="session")
def language_model(tmp_path_factory) -> Path:
    """A plain language model's folder: BERT with two layers of width 32, random weights, a vocabulary of whole words."""
    return tiny.language_model(tmp_path_factory.mktemp("language-model"))


@pytest.fixture(scope="session")
def embedder(tmp_path_factory, language_model) -> Path:
    """A sentence-transformers folder: the language model with mean pooling and unit vectors."""
    return tiny.embedder(language_model, tmp_path_factory.mktemp("embedder") / "model")


@pytest.fixture
def domain(tmp_path) -> Path:
    """A folder of small random files: texts, pairs, gold, and a BEIR folder for dev and test."""
    return tiny_domain.domain(tmp_path)


@pytest.fixture
def recipe_file(domain, embedder) -> Path:
    """A recipe with every stage on the small domain, a step or two each."""
    return tiny_domain.recipe_file(domain, embedder)
