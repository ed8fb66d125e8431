"""Tiny exact things to try anything on: a two-layer BERT with random weights, an embedder made of it, a small domain, a recipe.

Made by functions, so that scripts can use them too; the fixtures in `conftest.py` are these.
"""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

WORDS = (
    "heart kidney liver lung brain skin bone blood fever cough rash pain swelling dose tablet cream injection "
    "clinic nurse doctor morning night week month child adult mild severe sudden slow left right high low "
    "rises falls helps harms starts stops the a of in with after before for is was and not"
).split()


def sentence(rng: random.Random, length: int = 9) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(length)).capitalize() + "."


def language_model(folder: Path) -> Path:
    """A plain language model's folder: BERT with two layers of width 32, random weights, a vocabulary of whole words."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

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


def embedder(language_model: Path, folder: Path) -> Path:
    """A sentence-transformers folder: the language model with mean pooling and unit vectors."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    from adapt.networks.encoder import save_encoder

    body = Transformer(str(language_model))
    model = SentenceTransformer(modules=[body, Pooling(body.get_embedding_dimension(), "mean"), Normalize()], device="cpu")
    return save_encoder(model, folder)


def domain(target: Path) -> Path:
    """A folder of small random files: texts, pairs, gold, and a BEIR folder for dev and test."""
    rng = random.Random(7)
    passages = [" ".join(sentence(rng) for _ in range(3)) for _ in range(40)]
    (target / "texts.jsonl").write_text("".join(json.dumps({"text": p}) + "\n" for p in passages[:30]))
    rows = [{"anchor": sentence(rng, 6), "positive": p} for p in passages[:30]]
    (target / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, count in (("gold", 40), ("sts-dev", 20), ("sts-test", 20)):
        with open(target / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["sentence1", "sentence2", "score"])
            writer.writerows([sentence(rng), sentence(rng), round(rng.random(), 2)] for _ in range(count))
    for split, first in (("dev", 30), ("test", 35)):
        folder = target / split
        (folder / "qrels").mkdir(parents=True)
        corpus = [{"_id": f"p{i}", "title": "", "text": p} for i, p in enumerate(passages)]
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in corpus))
        queries = [{"_id": f"q{i}", "text": sentence(rng, 6)} for i in range(first, first + 5)]
        (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
        judged = "".join(f"q{i}\tp{i}\t1\n" for i in range(first, first + 5))
        (folder / "qrels" / f"{split}.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)
    return target


def recipe_file(domain: Path, embedder: Path) -> Path:
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
