"""Masked-language modelling of an encoder's own body (Devlin et al. 2019, BERT, https://arxiv.org/abs/1810.04805)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from sentence_transformers import SentenceTransformer
from transformers import AutoConfig, AutoModelForMaskedLM
from transformers.modeling_outputs import BaseModelOutput

from adapt.errors import UserError
from adapt.models.bi_encoder import pad_batch, quiet_libraries
from adapt.models.mixed_precision import compute_dtype
from adapt.runtime.device import device, seed_all


def has_head(model_type: str) -> bool:
    """Whether transformers has a masked-language-model head for this architecture."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES


class Masked(torch.nn.Module):
    """An encoder's body and a head that predicts masked tokens.

    The head is the checkpoint's where it has one; otherwise it is new, and tied to the encoder's word embeddings where the
    architecture ties them. `encoder_frozen` freezes the body while a new head is trained.
    """

    def __init__(self, encoder: SentenceTransformer, folder: Path, *, seed: int):
        """Raises UserError for architectures without a masked-language-model head, and tokenizers without a mask."""
        super().__init__()
        seed_all(seed)  # the head is new in most embedders
        self.encoder = encoder
        body: Any = encoder[0].auto_model
        if encoder.tokenizer.mask_token_id is None:
            raise UserError(f"{folder}: the tokenizer has no mask token; simcse works with any encoder")
        try:
            with quiet_libraries():
                config = AutoConfig.from_pretrained(folder)
                self.head = AutoModelForMaskedLM.from_pretrained(folder, config=config, dtype=torch.float32)
        except (ValueError, AttributeError) as error:
            name = type(body).__name__
            raise UserError(f"{folder}: '{name}' has no masked-language-model head; simcse works with any encoder") from error
        if getattr(config, "tie_word_embeddings", True):
            self.head.get_output_embeddings().weight = body.get_input_embeddings().weight
        self.encoder_frozen = False
        self.given = _Given()
        setattr(self.head, self.head.base_model_prefix, self.given)
        self.to(device())

    def forward(self, masked: Sequence[Sequence[int]], originals: Sequence[Sequence[int]], chosen: Sequence[Any]) -> torch.Tensor:
        """Mean cross-entropy over the chosen tokens: ids with masks, original ids, and which tokens count; all [texts, tokens]."""
        pad = self.encoder.tokenizer.pad_token_id or 0
        features = pad_batch(masked, pad, device())
        targets = pad_batch(originals, pad, device())["input_ids"]
        counts = pad_batch([[int(c) for c in row] for row in chosen], 0, device())["input_ids"].bool()
        body: Any = self.encoder[0].auto_model
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.encoder_frozen):
            hidden = body(**features)[0]
        self.given.hidden = hidden[counts][None]  # the head is most of the work: only the chosen tokens go through it
        dtype = compute_dtype(body)
        with torch.autocast(device().type, dtype, dtype != torch.float32, cache_enabled=False):
            logits = self.head(input_ids=targets[counts][None]).logits[0]
        return F.cross_entropy(logits.float(), targets[counts])


class _Given(torch.nn.Module):
    """Replaces the body of a model by hidden states that are computed already: what remains is the head, whatever its name."""

    hidden: torch.Tensor | None = None

    def forward(self, *args: Any, **kwargs: Any) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.hidden)
