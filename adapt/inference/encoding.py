"""Embeddings of texts by a bi-encoder: with gradients for training, or cached for inference."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from adapt.inference import model_cache, parallel, token_budget
from adapt.inference.batching import length_groups
from adapt.inference.embedding_cache import UNNORMALIZED, EmbeddingCache, Embeddings, prepend_prompt, require_finite
from adapt.job import Job
from adapt.models import int8
from adapt.models.bi_encoder import load_encoder, pad_batch, sentence_embeddings, tokenize
from adapt.runtime.device import device
from adapt.runtime.precision import InferencePrecision, resolve

TOKENIZE_CHUNK = 10_000  # texts that are tokenised together: enough for groups of similar length

Model = SentenceTransformer | int8.QuantizedEncoder


def forward(model: Model, ids: Sequence[Sequence[int]], budget: int | None = None) -> torch.Tensor:
    """Sentence embeddings [texts, d] in fp32, with gradients; texts of similar length share a forward pass.

    `ids`: token ids of each text. `budget`: padded tokens per pass, by default those of `token_budget`.
    """
    work = partial(_embeddings, model, ids)
    return parallel.in_order(model, [len(row) for row in ids], work, budget or token_budget.tokens_per_pass())


def _embeddings(model: Model, ids: Sequence[Sequence[int]], rows: Sequence[int]) -> torch.Tensor:
    return sentence_embeddings(model, pad_batch([ids[i] for i in rows], model.tokenizer.pad_token_id or 0, device()))


@torch.inference_mode()
def embed(
    folder: Path,
    texts: Sequence[str],
    job: Job,
    role: str = "",
    label: str = "encoding",
    precision: InferencePrecision = "auto",
    normalize: bool = True,
) -> Embeddings:
    """Embeddings [texts, d] of the model in `folder`: unit vectors, or (`normalize` False) of the length that it gives them.

    `role`: the prompt to use (`query`, `document`, or ""). Equal texts are encoded once. Raises UserError where an embedding is
    not finite.

    With `job.embedding_cache` set, embeddings are read from and written to that folder (see `adapt.inference.embedding_cache`):
    checks, mining, the gate and the final test encode a passage once. Embeddings in another `precision` than the default are
    cached separately. With int8, texts without an embedding in the default precision are encoded in int8 (see
    `adapt.models.int8`); checks never use those embeddings.
    """
    resolved = resolve("auto" if precision == "int8" else precision)
    kind = ("" if normalize else UNNORMALIZED) + ("" if resolved == resolve() else f"-{resolved}")
    cache, quantized = EmbeddingCache(folder, job.embedding_cache, kind), None
    inputs = prepend_prompt(folder, texts, role)
    if precision == "int8" and normalize and cache.missing(inputs):
        int8_cache = EmbeddingCache(folder, job.embedding_cache, int8.cache_suffix(inputs))
        quantized = _quantized(folder, inputs, job) if int8_cache.missing(inputs) else None
        cache = int8_cache if quantized or not int8_cache.missing(inputs) else cache
    missing = cache.missing(inputs)
    if missing:
        model = model_cache.encoder(folder, resolved)
        progress = job.progress(label, len(missing), "texts")

        def encode(chunk: Sequence[str]) -> None:
            part = cache.missing(chunk)  # fewer where memory ran out before
            ids = tokenize(model, part)
            groups = length_groups([len(row) for row in ids], token_budget.tokens_per_pass())
            for group, found in zip(groups, parallel.map_parts(partial(_embeddings, quantized or model, ids), groups), strict=True):
                found = torch.nn.functional.normalize(found, dim=1) if normalize else found
                cache.put([part[i] for i in group], require_finite(folder, found.cpu().numpy()))
                progress.advance(len(group))

        try:
            for start in range(0, len(missing), TOKENIZE_CHUNK):
                token_budget.retry_out_of_memory(partial(encode, missing[start : start + TOKENIZE_CHUNK]), job, label)
        finally:
            cache.save()  # also what an interrupted run has encoded
    return cache.get(inputs)


@torch.inference_mode()
def _quantized(folder: Path, inputs: Sequence[str], job: Job) -> int8.QuantizedEncoder | None:
    """The model in int8; None, and a note with the reason, where fp32 is to be used."""
    model = load_encoder(folder, "fp32")  # what is converted, and what int8 is compared with
    ids = tokenize(model, int8.calibration_texts(inputs))
    pad = model.tokenizer.pad_token_id or 0

    def calibration() -> list[int8.Features]:
        return [pad_batch([row], pad, device()) for row in ids[: int8.CALIBRATION_TEXTS]]

    def cosines(quantized: int8.QuantizedTransformer | None) -> npt.NDArray[np.float32]:
        found = forward(int8.QuantizedEncoder(model, quantized) if quantized else model, ids[int8.CALIBRATION_TEXTS :])
        unit = torch.nn.functional.normalize(found, dim=1).numpy()
        pairs: npt.NDArray[np.float32] = (unit @ unit.T)[np.triu_indices(len(found), 1)]
        return pairs

    transformer = getattr(model[0], "auto_model", model[0])
    quantized = int8.quantize(transformer, parallel.workers(), len(set(inputs)), job, calibration, cosines, "cosines")
    return int8.QuantizedEncoder(model, quantized) if quantized else None
