"""Models loaded for inference, cached by their weights, so that consecutive calls do not load and validate them again."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from sentence_transformers import SentenceTransformer

from adapt.inference import token_budget
from adapt.models.bi_encoder import load_encoder
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.models.lookup import weights_digest
from adapt.models.mixed_precision import convert_for_inference
from adapt.runtime.precision import resolve


def encoder(folder: Path, precision: str = "auto") -> SentenceTransformer:
    """The bi-encoder in `folder`, for inference only; the two last used stay loaded. Raises UserError as `load_encoder` does."""
    return _encoder(_Key(weights_digest(folder), folder), resolve(precision))


def cross_encoder(folder: Path, precision: str = "auto") -> CrossEncoderModel:
    """The cross-encoder in `folder`, for inference only; the last used stays loaded. Raises UserError as the class does."""
    return _cross_encoder(_Key(weights_digest(folder), folder), resolve(precision))


def clear() -> None:
    """Drop all cached models and free GPU memory."""
    _encoder.cache_clear()
    _cross_encoder.cache_clear()
    token_budget.empty_gpu_cache()


@dataclass(frozen=True)
class _Key:
    """A model's content, wherever it is: a step's output is validated before it is moved to its final folder."""

    digest: str
    folder: Path = field(compare=False)


@lru_cache(maxsize=2)
def _encoder(key: _Key, precision: str) -> SentenceTransformer:
    model = load_encoder(key.folder, precision)
    convert_for_inference(model)
    return model


@lru_cache(maxsize=1)
def _cross_encoder(key: _Key, precision: str) -> CrossEncoderModel:
    model = CrossEncoderModel(key.folder, precision=precision)
    convert_for_inference(model)
    return model
