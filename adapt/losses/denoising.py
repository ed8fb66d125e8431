"""TSDAE's loss: reconstruct a sentence from the embedding of its corrupted copy (https://arxiv.org/abs/2104.06979)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModelForCausalLM

from adapt.errors import UserError
from adapt.inference import parallel, token_budget
from adapt.inference.encoding import forward
from adapt.losses.linear_cross_entropy import linear_cross_entropy
from adapt.models.bi_encoder import pad_batch, quiet_libraries
from adapt.models.mixed_precision import compute_dtype
from adapt.runtime.device import device, seed_all

INSTEAD = (
    "Use mlm (any encoder with a masked-language-model head) or simcse (any encoder); "
    "tsdae works with BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA, ERNIE, BigBird, RemBERT."
)


class Denoising(torch.nn.Module):
    """An encoder and a decoder whose only input is the sentence embedding.

    `tied`: encoder and decoder share their weights, as in the paper. Untied, the decoder starts as a copy of the base, and the
    encoder can be frozen while only the decoder is trained (`encoder_frozen`). `decoder_layers` keeps only the first layers.
    """

    def __init__(self, encoder: SentenceTransformer, folder: Path, *, tied: bool, seed: int, decoder_layers: int | None = None):
        """Raises UserError for architectures that have no decoder."""
        super().__init__()
        seed_all(seed)  # cross-attention and the language-model head are new in most checkpoints
        self.encoder = encoder
        body = encoder[0].auto_model
        try:
            config = AutoConfig.from_pretrained(folder)
            config.is_decoder, config.add_cross_attention, config.tie_word_embeddings = True, True, True
            if decoder_layers is not None and not tied:
                config.num_hidden_layers = min(decoder_layers, config.num_hidden_layers)
            with quiet_libraries():
                self.decoder = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=torch.float32)
        except (ValueError, AttributeError) as error:
            raise UserError(f"{folder}: TSDAE can't build a decoder for '{type(body).__name__}'. {INSTEAD}") from error
        if tied:
            _tie(body, getattr(self.decoder, self.decoder.base_model_prefix))
        for attention in [part.crossattention for part in self.decoder.modules() if hasattr(part, "crossattention")]:
            _collapse(attention)
        self.encoder_frozen = False
        self.to(device())

    def forward(self, noisy: Sequence[Sequence[int]], originals: Sequence[Sequence[int]]) -> torch.Tensor:
        """Mean cross-entropy per original token after the first, given the sentence vectors of the noisy ids."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            vectors = forward(self.encoder, noisy)
        return self.restore(vectors, originals)

    def restore(self, vectors: torch.Tensor, originals: Sequence[Sequence[int]]) -> torch.Tensor:
        """The loss of restoring `originals` from sentence vectors [texts, d]."""
        pad = self.encoder.tokenizer.pad_token_id or 0
        body = getattr(self.decoder, self.decoder.base_model_prefix)

        def states(rows: list[int], vectors: torch.Tensor) -> torch.Tensor:
            features = pad_batch([originals[i][:-1] for i in rows], pad, device())
            hidden: torch.Tensor = body(
                input_ids=features["input_ids"],
                attention_mask=features["attention_mask"],
                encoder_hidden_states=vectors[rows][:, None].to(self.decoder.dtype),
                use_cache=False,
            )[0]
            return hidden[features["attention_mask"].bool()]  # the vocabulary head is most of the work: padding is left out

        shares = parallel.partition(body, [len(ids) for ids in originals], token_budget.tokens_per_pass())
        rows = [row for share in shares for group in share for row in group]
        wanted = torch.tensor([token for row in rows for token in originals[row][1:]], device=vectors.device)
        given, words = _before_words(self.decoder, parallel.forward_parts(body, states, shares, vectors))
        return linear_cross_entropy(given, words.weight, words.bias, wanted, compute_dtype(self.decoder))

    def check_that_it_sees_its_input(self, ids: Sequence[Sequence[int]]) -> None:
        """Raise UserError unless the loss depends on the encoder's input; decoder-only models raise no other error.

        Asked is the gradient at the encoder's input, past the first token: a causal encoder's first vector, which is what CLS
        pooling takes, knows nothing of the rest.
        """
        self.eval()
        read: list[torch.Tensor] = []
        body: Any = self.encoder[0].auto_model
        hook = body.get_input_embeddings().register_forward_hook(lambda module, given, found: read.append(found))
        try:
            slopes = torch.autograd.grad(self(ids, ids), read, allow_unused=True)
        except TypeError:  # a decoder that takes no encoder_hidden_states at all
            slopes = ()
        finally:
            hook.remove()
        if not any(slope is not None and slope[:, 1:].any() for slope in slopes):
            name = type(body).__name__
            raise UserError(
                f"the loss of '{name}' does not depend on the encoder's input, so that denoising can't train it. {INSTEAD}"
            )


def _tie(encoder: Any, decoder: torch.nn.Module) -> None:
    """Make the encoder use the decoder's parameters, with the encoder's values, wherever both have one of that name and shape.

    In this direction the vocabulary head, which is tied to the decoder's word embeddings, stays tied.
    """
    shared = dict(decoder.named_parameters())
    for name, parameter in list(encoder.named_parameters()):
        if name in shared and shared[name].shape == parameter.shape:
            shared[name].data.copy_(parameter.data)
            owner, _, leaf = name.rpartition(".")
            setattr(encoder.get_submodule(owner), leaf, shared[name])


def _collapse(attention: Any) -> None:
    """Replace cross-attention to a single key by that key's value: a softmax over one element is 1 for every query.

    The value goes through the output layer once for each sentence and not for each token, queries and keys are not computed:
    a seventh of the decoder's layers. Dropout among attention weights makes tokens differ, and is left its own way.
    """
    usual = attention.forward
    inside: Any = getattr(attention, "self", None)
    after: Any = getattr(attention, "output", None)
    if not all(hasattr(inside, name) for name in ("value", "dropout")) or not hasattr(after, "LayerNorm"):
        return  # no attention as BERT has it

    def forward(states: torch.Tensor, mask: Any = None, vectors: Any = None, *more: Any, **named: Any) -> Any:
        vectors = named.pop("encoder_hidden_states", vectors)
        if vectors is None or vectors.shape[1] != 1 or (attention.training and inside.dropout.p):
            return usual(states, mask, vectors, *more, **named)
        given = after.dense(inside.value(vectors)).expand(-1, states.shape[1], -1)
        return after.LayerNorm(after.dropout(given) + states), None

    attention.forward = forward


def _before_words(decoder: Any, hidden: torch.Tensor) -> tuple[torch.Tensor, Any]:
    """(what the head hands to its last layer, that layer): [tokens, d], and d → vocabulary."""
    handed: list[torch.Tensor] = []

    def take(module: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        handed.append(given[0])
        return (given[0][:0],)  # the last layer is given no rows: its work is most of a step, and done elsewhere

    words = decoder.get_output_embeddings()
    hook = words.register_forward_pre_hook(take)
    try:
        _head(decoder)(hidden)
    finally:
        hook.remove()
    return handed[0], words


def _head(decoder: torch.nn.Module) -> torch.nn.Module:
    """The layers from hidden states to logits, whatever the architecture calls them."""
    for name in ("cls", "lm_head", "generator_lm_head"):
        head = getattr(decoder, name, None)
        if isinstance(head, torch.nn.Module):
            before = getattr(decoder, "generator_predictions", None)
            return torch.nn.Sequential(before, head) if before is not None else head
    raise UserError(f"TSDAE can't find the language-model head of '{type(decoder).__name__}'. {INSTEAD}")
