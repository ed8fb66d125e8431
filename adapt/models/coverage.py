"""How well a model's tokenizer covers texts: the shares of unknown tokens, truncated texts, and texts without known tokens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

SAMPLE_SIZE = 2_000  # texts, drawn with a fixed seed
# Shares from which a warning is given. A model of the texts' language has a few unknown tokens in ten thousand.
MAX_UNKNOWN, MAX_TRUNCATED, MAX_EMPTY = 0.05, 0.25, 0.01


@dataclass(frozen=True)
class Coverage:
    """Shares, 0 to 1, on `sampled` of `texts` texts: of unknown tokens, of texts longer than `max_length` tokens, of empty texts.

    A text is empty where it has no token that the model knows. `max_length` is 0 for a model without a limit.
    """

    texts: int
    sampled: int
    unknown: float
    truncated: float
    empty: float
    max_length: int


def sample_texts(texts: Sequence[str]) -> list[str]:
    """The texts, or a sample of `SAMPLE_SIZE` of them, the same on every call."""
    import numpy as np

    if len(texts) <= SAMPLE_SIZE:
        return list(texts)
    return [texts[i] for i in sorted(np.random.default_rng(0).permutation(len(texts))[:SAMPLE_SIZE].tolist())]


def tokenizer_coverage(folder: Path, texts: Sequence[str]) -> Coverage | None:
    """The coverage of texts by the tokenizer of the model in `folder`, without loading weights; None without a fast tokenizer."""
    tokenizer = _tokenizer(folder)
    if tokenizer is None or not texts:
        return None
    sample, unknown_id, most = sample_texts(texts), _unknown(tokenizer), _max_length(folder)
    special = tokenizer.num_special_tokens_to_add(False)
    tokens = unknown = cut = empty = 0
    for found in tokenizer.encode_batch_fast(sample, add_special_tokens=False):
        strange = found.ids.count(unknown_id) if unknown_id is not None else 0
        tokens, unknown = tokens + len(found.ids), unknown + strange
        cut += bool(most) and len(found.ids) + special > most
        empty += strange == len(found.ids)
    count = len(sample)
    return Coverage(len(texts), count, unknown / max(1, tokens), cut / count, empty / count, most)


def warnings(name: str, coverage: Coverage) -> list[str]:
    """A sentence for each share of the coverage of a source that is beyond its bound."""
    found = []
    of = f" (of {coverage.sampled:,} texts drawn from {coverage.texts:,})" if coverage.sampled < coverage.texts else ""
    if coverage.unknown > MAX_UNKNOWN:
        found.append(
            f"{name}: {coverage.unknown:.0%} of the tokens are unknown to the model{of}: it does not know these texts. "
            "Choose a base model that covers their language or script."
        )
    if coverage.truncated > MAX_TRUNCATED:
        found.append(
            f"{name}: {coverage.truncated:.0%} of the texts are longer than the {coverage.max_length:,} tokens that the model "
            f"accepts{of}; the rest of each is truncated. Split long texts, or choose a model with a higher limit."
        )
    if coverage.empty > MAX_EMPTY:
        found.append(f"{name}: {coverage.empty:.0%} of the texts have no token that the model knows{of}.")
    return found


def coverage_warnings(name: str, folder: Path, texts: Sequence[str]) -> list[str]:
    """Warnings, prefixed with WARNING, for the use of the model in `folder` on these texts; [] where it covers them."""
    found = tokenizer_coverage(folder, texts)
    return [f"WARNING: {text}" for text in warnings(name, found)] if found else []


def _tokenizer(folder: Path) -> Any:
    files = [folder / "tokenizer.json", *sorted(folder.glob("*/tokenizer.json"))]
    file = next((file for file in files if file.is_file()), None)
    return _loaded(folder, file, file.stat().st_mtime_ns if file else 0)


@lru_cache(maxsize=1)  # a run computes the coverage of every data source
def _loaded(folder: Path, file: Path | None, changed: int) -> Any:
    from tokenizers import Tokenizer

    try:
        if file:
            found = Tokenizer.from_file(str(file))
        else:
            from transformers import AutoTokenizer

            found = AutoTokenizer.from_pretrained(str(folder)).backend_tokenizer
    except Exception:  # a missing or damaged tokenizer is reported where the model is loaded
        return None
    found.no_truncation()
    found.no_padding()
    return found


def _unknown(tokenizer: Any) -> int | None:
    """The id of the unknown token; None for tokenizers without one (byte-level)."""
    model = json.loads(tokenizer.to_str())["model"]
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    return tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None


def _max_length(folder: Path) -> int:
    """The model's maximum number of tokens, special tokens included; 0 where its files name none."""
    limits = []
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    ):
        for file in (folder / name, *sorted(folder.glob(f"*/{name}"))):
            try:
                value = json.loads(file.read_text(encoding="utf-8")).get(key)
            except (OSError, ValueError, AttributeError):
                continue
            if isinstance(value, (int, float)) and 0 < value < 1e9:
                limits.append(int(value))
    return min(limits, default=0)
