"""Tiny exact things that every test may use: a two-layer BERT with random weights, an embedder made of it, a small recipe."""

from __future__ import annotations

import os

os.environ.update({"HF_HUB_OFFLINE": "1", "ADAPT_DEVICE": "cpu", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})

import random
from pathlib import Path

import pytest

from tests import tiny
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
    import csv
    import json

    rng = random.Random(7)
    passages = [" ".join(sentence(rng) for _ in range(3)) for _ in range(40)]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": p}) + "\n" for p in passages[:30]))
    rows = [{"anchor": sentence(rng, 6), "positive": p} for p in passages[:30]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, count in (("gold", 40), ("sts-dev", 20), ("sts-test", 20)):
        with open(tmp_path / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sentence1", "sentence2", "score"])
            writer.writerows([sentence(rng), sentence(rng), round(rng.random(), 2)] for _ in range(count))
    for split, first in (("dev", 30), ("test", 35)):
        folder = tmp_path / split
        (folder / "qrels").mkdir(parents=True)
        corpus = [{"_id": f"p{i}", "title": "", "text": p} for i, p in enumerate(passages)]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
        queries = [{"_id": f"q{i}", "text": sentence(rng, 6)} for i in range(first, first + 5)]
        (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
        judged = "".join(f"q{i}\tp{i}\t1\n" for i in range(first, first + 5))
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return tmp_path


@pytest.fixture
def recipe_file(domain, embedder) -> Path:
    """A recipe with every stage on the small domain, a step or two each."""
    file = domain / "recipe.yaml"
    file.write_text(f"""\
name: tiny
model: {embedder}
seed: 3
data: {{texts: texts.jsonl, gold: gold.csv, pairs: pairs.jsonl}}
checks:
  retrieval: {{dev: dev, test: test, role: target}}
  sts: {{dev: sts-dev.csv, test: sts-test.csv, role: guard}}
gate: {{target: retrieval.ndcg@10, guard: {{sts.spearman: -1.0}}, action: keep}}
stages:
  - tsdae: {{max_steps: 2, batch_size: 8}}
  - cross-encoder: {{max_steps: 2}}
  - silver: {{pairs: 20}}
  - finetune: {{id: augment, examples: [gold, silver], loss: cosent, max_steps: 2, batch_size: 8}}
  - mine: {{negatives: 2}}
  - finetune: {{max_steps: 2, batch_size: 8}}
""")
    return file
