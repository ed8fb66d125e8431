"""Pooling that leaves a prompt's tokens out, for models whose configuration asks for it (INSTRUCTOR and its kind)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from sentence_transformers.sentence_transformer.modules.pooling import Pooling


class PromptExcludingPooling(Pooling):
    """Pooling with `include_prompt: false` that finds each text's own prompt by its token ids: those of a batch may differ."""

    def __init__(self, given: Pooling, tokenizer: Any, prompts: Sequence[str]):
        """`prompts`: all that the model knows; tokens that stand before every text (CLS) count as a prompt's, as in ST."""
        super().__init__(given.embedding_dimension, given.pooling_mode, include_prompt=False)
        self.known = sorted((self._begin(tokenizer, p) for p in dict.fromkeys(prompts) if p), key=lambda one: -one[1])

    @staticmethod
    def _begin(tokenizer: Any, prompt: str) -> tuple[list[int], int]:
        """(the ids that a text behind the prompt begins with, how many tokens are left out)."""
        specials = set(tokenizer.all_special_ids)
        ids, sure = (tokenizer(text)["input_ids"] for text in (prompt, prompt.rstrip()))  # a last space may join the next word
        ids, sure = (row[:-1] if row and row[-1] in specials else row for row in (ids, sure))
        return sure, len(ids)

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        ids, mask = features["input_ids"], features["attention_mask"].clone()
        free = torch.ones(len(ids), dtype=torch.bool, device=ids.device)
        for sure, count in self.known:
            if len(sure) > ids.shape[1]:
                continue
            own = free & (ids[:, : len(sure)] == torch.tensor(sure, device=ids.device)).all(1)
            mask[own, :count] = 0
            free &= ~own
        return features | {"sentence_embedding": super().forward({**features, "attention_mask": mask})["sentence_embedding"]}
