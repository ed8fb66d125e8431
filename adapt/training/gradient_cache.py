"""Batches larger than memory: representations of a whole batch, activations of one chunk at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from sentence_transformers import SentenceTransformer
from torch.utils.checkpoint import checkpoint

from adapt.inference.batching import length_groups
from adapt.models.bi_encoder import pad_batch, sentence_embeddings
from adapt.runtime.device import device


def forward_cached(model: SentenceTransformer, ids: Sequence[Sequence[int]], budget: int) -> torch.Tensor:
    """Sentence vectors [texts, d] in fp32 with the gradients of `forward`, for the activations of `budget` padded tokens.

    Gradient caching, Gao et al. (2021), https://arxiv.org/abs/2101.06983: each chunk is encoded without keeping activations,
    the loss is taken on the vectors of all, and in the backward pass each chunk is encoded again, one after the other, from
    the same random state, so that dropout falls alike both times. That is a checkpoint around the whole encoder for each chunk.
    """
    groups = length_groups([len(row) for row in ids], budget)
    pad = model.tokenizer.pad_token_id or 0

    def encode(features: dict[str, torch.Tensor]) -> torch.Tensor:
        return sentence_embeddings(model, dict(features))  # a copy: modules add to what they are given

    parts = [checkpoint(encode, pad_batch([ids[i] for i in group], pad, device()), use_reentrant=False) for group in groups]
    order = torch.tensor([i for group in groups for i in group], device=parts[0].device)
    return torch.cat(parts)[order.argsort()]
