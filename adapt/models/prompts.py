"""Pooling that excludes the prompt's tokens, for models configured with `include_prompt: false` (such as INSTRUCTOR)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules.pooling import Pooling


class PromptExcludingPooling(Pooling):
    """Pooling with `include_prompt: false` that finds each text's prompt by its token ids; prompts may differ within a batch."""

    def __init__(self, given: Pooling, tokenizer: Any, prompts: Sequence[str]):
        """`prompts`: all of the model's prompts. Leading special tokens (CLS) count as a part of a prompt, as in ST."""
        super().__init__(given.embedding_dimension, given.pooling_mode, include_prompt=False)
        self.prefixes = sorted((self._prefix(tokenizer, p) for p in dict.fromkeys(prompts) if p), key=lambda one: -one[1])

    @staticmethod
    def _prefix(tokenizer: Any, prompt: str) -> tuple[list[int], int]:
        """(token ids that every text with the prompt begins with, number of tokens to exclude)."""
        specials = set(tokenizer.all_special_ids)
        ids, sure = (
            tokenizer(text)["input_ids"] for text in (prompt, prompt.rstrip())
        )  # a trailing space may be merged with the next word
        ids, sure = (row[:-1] if row and row[-1] in specials else row for row in (ids, sure))
        return sure, len(ids)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        ids, mask = features["input_ids"], features["attention_mask"].clone()
        free = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for sure, count in self.prefixes:
            if len(sure) > ids.shape[1]:
                continue
            own = free & (ids[:, : len(sure)] == torch.tensor(sure, device=ids.device)).all(1)
            mask[own, :count] = 0
            free &= ~own
        return features | {"sentence_embedding": super().forward({**features, "attention_mask": mask})["sentence_embedding"]}
