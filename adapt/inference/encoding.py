"""What a bi-encoder makes of texts: vectors with gradients for training, or kept for whoever asks next."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from adapt.inference import model_cache, parallel, token_budget
from adapt.inference.batching import length_groups
from adapt.inference.embedding_cache import UNNORMALIZED, EmbeddingCache, prepend_prompt, require_finite
from adapt.job import Job
from adapt.models import int8
from adapt.models.bi_encoder import load_encoder, pad_batch, sentence_embeddings, tokenize
from adapt.runtime.device import device
from adapt.runtime.precision import InferencePrecision, resolve

TOKENIZE_CHUNK = 10_000  # texts that stand in memory as tokens; among so many there are enough of any length


def forward(
    model: SentenceTransformer | int8.QuantizedEncoder, ids: Sequence[Sequence[int]], budget: int | None = None
) -> torch.Tensor:
    """Sentence vectors [texts, d] in fp32, with gradients; texts of like length share a forward pass, so little is padding."""
    return parallel.in_order(
        model, [len(row) for row in ids], partial(_vectors, model, ids), budget or token_budget.tokens_per_pass()
    )


def _vectors(model: SentenceTransformer | int8.QuantizedEncoder, ids: Sequence[Sequence[int]], rows: Sequence[int]) -> torch.Tensor:
    return sentence_embeddings(model, pad_batch([ids[i] for i in rows], model.tokenizer.pad_token_id or 0, device()))


@torch.inference_mode()
def embed(
    folder: Path,
    texts: Sequence[str],
    job: Job,
    role: str = "",
    label: str = "encoding",
    precision: InferencePrecision = "auto",
    unit: bool = True,
) -> np.ndarray:
    """Unit vectors [texts, d], float32, of the model in `folder`, or (`unit` False) as long as it makes them.

    Equal texts are encoded once. Raises UserError where a vector is not finite.

    With `job.embedding_cache` set, embeddings are stored there and read from there (see `adapt.inference.embedding_cache`): checks,
    mining, the gate and the final test encode a passage once. Embeddings in another `precision` than the default are stored
    separately. With int8, texts that have no embedding in the default precision yet are encoded in int8 (see `adapt.models.int8`);
    no check uses those embeddings.
    """
    resolved = resolve("auto" if precision == "int8" else precision)
    kind = ("" if unit else UNNORMALIZED) + ("" if resolved == resolve() else f"-{resolved}")
    store, small = EmbeddingCache(folder, job.embedding_cache, kind), None
    given = prepend_prompt(folder, texts, role)
    if precision == "int8" and unit and store.missing(given):
        apart = EmbeddingCache(folder, job.embedding_cache, int8.cache_suffix(given))
        small = _in_int8(folder, given, job) if apart.missing(given) else None
        store = apart if small or not apart.missing(given) else store
    missing = store.missing(given)
    if missing:
        model = model_cache.encoder(folder, resolved)
        progress = job.progress(label, len(missing), "texts")

        def encode(texts: Sequence[str]) -> None:
            part = store.missing(texts)  # fewer where memory ran out on the way
            ids = tokenize(model, part)
            groups = length_groups([len(row) for row in ids], token_budget.tokens_per_pass())
            for group, found in zip(groups, parallel.map_parts(partial(_vectors, small or model, ids), groups), strict=True):
                found = torch.nn.functional.normalize(found, dim=1) if unit else found
                store.put([part[i] for i in group], require_finite(folder, found.cpu().numpy()))
                progress.advance(len(group))

        try:
            for start in range(0, len(missing), TOKENIZE_CHUNK):
                token_budget.retry_out_of_memory(partial(encode, missing[start : start + TOKENIZE_CHUNK]), job, label)
        finally:
            store.save()  # of a broken encoding, too, what is there
    return store.get(given)


@torch.inference_mode()
def _in_int8(folder: Path, given: Sequence[str], job: Job) -> int8.QuantizedEncoder | None:
    """The model in int8, or None where it is to be read as ever."""
    model = load_encoder(folder, "fp32")  # what is converted, and what int8 is held against
    ids = tokenize(model, int8.calibration_texts(given))
    pad = model.tokenizer.pad_token_id or 0

    def calibration() -> list[int8.Features]:
        return [pad_batch([row], pad, device()) for row in ids[: int8.CALIBRATION_TEXTS]]

    def cosines(body: int8.QuantizedTransformer | None) -> np.ndarray:
        found = forward(int8.QuantizedEncoder(model, body) if body else model, ids[int8.CALIBRATION_TEXTS :])
        unit = torch.nn.functional.normalize(found, dim=1).numpy()
        return (unit @ unit.T)[np.triu_indices(len(found), 1)]

    transformer = getattr(model[0], "auto_model", model[0])
    body = int8.quantize(transformer, parallel.workers(), len(set(given)), job, calibration, cosines, "cosines")
    return int8.QuantizedEncoder(model, body) if body else None
