"""Tiny exact things that every test may use: a two-layer BERT with random weights, an embedder made of it, a small recipe."""

from __future__ import annotations

import os

os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})
os.environ.setdefault("ADAPT_DEVICE", "cpu")
# The suite decides itself: fp32, whatever this processor has. ADAPT_PRECISION=bf16 runs all of it in bf16 (see `tolerance`).
os.environ.setdefault("ADAPT_PRECISION", "fp32")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import random
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parent / "samples"
WORDS = (
    "heart kidney liver lung brain skin bone blood fever cough rash pain swelling dose tablet cream injection "
    "clinic nurse doctor morning night week month child adult mild severe sudden slow left right high low "
    "rises falls helps harms starts stops the a of in with after before for is was and not"
).split()


def tolerance(fp32: float, bf16: float) -> float:
    """The tolerance for what models compute in the precision that the suite runs in.

    In bf16 every product of a layer is rounded by up to 2^-9 of its size, in fp32 by 2^-24; what else is computed stays in fp32.
    """
    from adapt.device import resolve

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


def sentence(rng: random.Random, length: int = 9) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(length)).capitalize() + "."


NUMERIC = {"engine", "examples", "losses", "networks", "search", "stages"}


def pytest_collection_modifyitems(items):
    """Whatever compares numbers that models compute is `numeric`: see .ci/run."""
    for item in items:
        if NUMERIC & set(item.path.relative_to(Path(__file__).parent).parts[:1]):
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory) -> Path:
    """A plain language model's folder: BERT with two layers of width 32, random weights, a vocabulary of whole words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("language-model")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,?!")
    vocabulary = list(dict.fromkeys([*special, *WORDS, *letters, *(f"##{c}" for c in letters)]))
    tokenizer = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def embedder(tmp_path_factory, language_model) -> Path:
    """A sentence-transformers folder: the language model with mean pooling and unit vectors."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    from adapt.networks.encoder import save_encoder

    body = Transformer(str(language_model))
    model = SentenceTransformer(modules=[body, Pooling(body.get_embedding_dimension(), "mean"), Normalize()], device="cpu")
    return save_encoder(model, tmp_path_factory.mktemp("embedder") / "model")


@pytest.fixture(scope="session")
def bundled() -> Path:
    """The folder of all-MiniLM-L6-v2, from the extra that the tests install."""
    from adapt import models

    return models.locate("all-MiniLM-L6-v2", download=False)


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
