"""Floating-point operations that a job needs: on real tokens, each counted once; padding is not counted."""

from collections.abc import Sequence
from typing import Any


def config_of(encoder: Any) -> Any:
    """The configuration of the transformer of a SentenceTransformer."""
    return encoder[0].auto_model.config


def forward(config: Any, lengths: Sequence[int]) -> float:
    """Of a BERT encoder on texts of these numbers of tokens: four projections, attention among a text's own tokens, two layers."""
    d, f = config.hidden_size, config.intermediate_size
    return config.num_hidden_layers * sum(2 * n * (4 * d * d + 2 * d * f) + 4 * n * n * d for n in lengths)


def training(config: Any, lengths: Sequence[int]) -> float:
    """Forward and backward: the gradients of activations and of weights cost as much as the forward pass each."""
    return 3 * forward(config, lengths)


def denoising(config: Any, noisy: Sequence[int], clean: Sequence[int]) -> float:
    """Of a TSDAE step, per sentence: the encoder, a decoder with one-key cross-attention, the head on n - 1 targets."""
    d, read = config.hidden_size, [n - 1 for n in clean]
    cross = config.num_hidden_layers * 2 * 2 * d * d * len(clean)  # V and O of one vector for each sentence and layer
    head = sum(read) * 2 * d * (config.vocab_size + d)
    # Attention of the decoder is causal: half of it is computed.
    causal = config.num_hidden_layers * sum(2 * n * n * d for n in read)
    return 3 * (forward(config, noisy) + forward(config, read) - causal + cross + head)
