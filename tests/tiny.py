"""Models of two layers and width 32 with random weights, for tests and for the attacks in scripts/attack."""

from __future__ import annotations

import random
from pathlib import Path

WORDS = (
    "heart kidney liver lung brain skin bone blood fever cough rash pain swelling dose tablet cream injection "
    "clinic nurse doctor morning night week month child adult mild severe sudden slow left right high low "
    "rises falls helps harms starts stops the a of in with after before for is was and not"
).split()


def sentence(rng: random.Random, length: int = 9) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(length)).capitalize() + "."


def tokenizer():
    """A tokenizer of whole words as BERT's, with letters for all others."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789.,?!")
    vocabulary = list(dict.fromkeys([*special, *WORDS, *letters, *(f"##{c}" for c in letters)]))
    made = Tokenizer(models.WordPiece({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=64, **names)


SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 64}


def language_model(folder: Path, kind: str = "bert") -> Path:
    """A plain language model: BERT, or a causal Llama."""
    import torch
    from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

    made = tokenizer()
    made.save_pretrained(folder)
    torch.manual_seed(1)
    if kind == "bert":
        BertModel(BertConfig(vocab_size=len(made), **SIZE)).save_pretrained(folder)
    else:
        LlamaModel(LlamaConfig(vocab_size=len(made), bos_token_id=2, eos_token_id=3, **SIZE)).save_pretrained(folder)
    return folder


def embedder(base: Path, folder: Path, pooling: str = "mean", dense: int | None = None, unit: bool = True, **settings) -> Path:
    """A sentence-transformers folder: a language model, pooling, a Dense module of so many dimensions, unit vectors."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules.dense import Dense
    from sentence_transformers.base.modules.normalize import Normalize
    from sentence_transformers.base.modules.transformer import Transformer
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    from adapt.models.bi_encoder import save_encoder

    body = Transformer(str(base))
    width = body.get_embedding_dimension()
    pooled = Pooling(width, pooling, include_prompt=settings.pop("include_prompt", True))
    modules = [body, pooled, *([Dense(width, dense)] if dense else []), *([Normalize()] if unit else [])]
    return save_encoder(SentenceTransformer(modules=modules, device="cpu", **settings), folder)


def static(folder: Path, width: int = 32) -> Path:
    """Static embeddings: a vector for each word, averaged."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules.static_embedding import StaticEmbedding

    torch.manual_seed(1)
    words = StaticEmbedding(tokenizer().backend_tokenizer, embedding_dim=width)
    SentenceTransformer(modules=[words], device="cpu").save_pretrained(str(folder), create_model_card=False)
    return folder


def cross_encoder(base: Path, folder: Path) -> Path:
    """A cross-encoder with a random head on a plain language model."""
    from adapt.models.cross_encoder import CrossEncoderModel

    CrossEncoderModel(base, new_head_seed=1).save(folder)
    return folder
