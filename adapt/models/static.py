"""Static embeddings (the mean of one vector per token) with a transformer's inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules.static_embedding import StaticEmbedding
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

MAX_TOKENS = 100_000  # of a text; the mean itself has no limit


class PaddedStaticEmbedding(StaticEmbedding):
    """A StaticEmbedding that takes `input_ids` and `attention_mask` [texts, tokens], and is saved as a plain StaticEmbedding."""

    def __init__(self, given: StaticEmbedding):
        """Share the weights of `given`."""
        super().__init__(given.tokenizer, given.embedding.weight.detach().float())
        self.stored: Tokenizer = given.tokenizer
        # A copy: calls set its truncation, which must not be saved.
        self.tokenizer = _plain(tokenizer_object=copy.deepcopy(given.tokenizer))  # type: ignore[assignment]

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


class _PlainTokenizer(PreTrainedTokenizerFast):
    """A tokenizer that adds no special tokens, which would enter the mean."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return super().__call__(*args, **{**kwargs, "add_special_tokens": False})


_plain: Callable[..., PreTrainedTokenizerFast] = _PlainTokenizer  # transformers' constructor has no types
