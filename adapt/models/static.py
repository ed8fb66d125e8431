"""Static embeddings (a vector for each word, averaged) behind the interface of a transformer."""

from __future__ import annotations

import copy
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules.static_embedding import StaticEmbedding
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

MAX_TOKENS = 100_000  # tokens; a mean over words has no limit of its own


class PaddedStaticEmbedding(StaticEmbedding):
    """sentence-transformers' StaticEmbedding that reads `input_ids` and `attention_mask` [texts, longest], and saves as ever."""

    def __init__(self, given: StaticEmbedding):
        """The very weights of `given`."""
        super().__init__(given.tokenizer, given.embedding.weight.detach().float())
        self.stored: Tokenizer = given.tokenizer
        # A copy: calling it sets truncation, and what is saved is to stay as it was.
        self.tokenizer = _Words(tokenizer_object=copy.deepcopy(given.tokenizer))  # type: ignore[assignment]

    @property
    def max_seq_length(self) -> int:
        return MAX_TOKENS

    def forward(self, features: dict[str, torch.Tensor], **kwargs: Any) -> dict[str, torch.Tensor]:
        if "offsets" not in features:
            kept = features["attention_mask"].bool()
            sizes = kept.sum(1)
            features = features | {"offsets": sizes.cumsum(0) - sizes, "input_ids": features["input_ids"][kept]}
        return super().forward(features)

    def save(self, output_path: str, *args: Any, **kwargs: Any) -> None:
        padded, self.tokenizer = self.tokenizer, self.stored
        try:
            super().save(output_path, *args, **kwargs)
        finally:
            self.tokenizer = padded


class _Words(PreTrainedTokenizerFast):
    """A tokenizer that adds no special tokens: they would be averaged in."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **{**kwargs, "add_special_tokens": False})
