"""Models that are held open for inference: whoever asks for the same weights next does not load and examine them again."""

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
    """The bi-encoder in `folder`, for inference alone; the last two are held open. Raises UserError where it is not sound."""
    return _encoder(_Model(weights_digest(folder), folder), resolve(precision))


def cross_encoder(folder: Path, precision: str = "auto") -> CrossEncoderModel:
    """The cross-encoder in `folder`, for inference alone; the last one is held open. Raises UserError where it is not sound."""
    return _cross_encoder(_Model(weights_digest(folder), folder), resolve(precision))


def clear() -> None:
    """Close all of them, and leave a GPU's memory to whatever comes next."""
    _encoder.cache_clear()
    _cross_encoder.cache_clear()
    token_budget.empty_gpu_cache()


@dataclass(frozen=True)
class _Model:
    """A model by its content, wherever it is: what a step has made is moved to its place after it was examined."""

    digest: str
    folder: Path = field(compare=False)


@lru_cache(maxsize=2)
def _encoder(model: _Model, precision: str) -> SentenceTransformer:
    found = load_encoder(model.folder, precision)
    convert_for_inference(found)
    return found


@lru_cache(maxsize=1)
def _cross_encoder(model: _Model, precision: str) -> CrossEncoderModel:
    found = CrossEncoderModel(model.folder, precision=precision)
    convert_for_inference(found)
    return found
