"""Bi-encoders: loading and saving sentence-transformers models, tokenising, and sentence embeddings."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from adapt.errors import UserError
from adapt.models import int8, model_folder, validation
from adapt.models.lookup import prompt_for_role
from adapt.models.mixed_precision import set_precision
from adapt.models.pooling import default_pooling
from adapt.models.prompts import PromptExcludingPooling
from adapt.models.static import PaddedStaticEmbedding
from adapt.runtime.device import device

# sentence-transformers ≥ 5.4 writes module paths that older servers can't load; every version loads these.
LEGACY_MODULES = {
    "sentence_transformers.base.modules.transformer.Transformer": "sentence_transformers.models.Transformer",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling": "sentence_transformers.models.Pooling",
    "sentence_transformers.base.modules.normalize.Normalize": "sentence_transformers.models.Normalize",
    "sentence_transformers.base.modules.dense.Dense": "sentence_transformers.models.Dense",
    "adapt.models.static.PaddedStaticEmbedding": "sentence_transformers.models.StaticEmbedding",
    "adapt.models.prompts.PromptExcludingPooling": "sentence_transformers.models.Pooling",
}
LEGACY_POOLING = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Suppress load reports, warnings and progress bars of other libraries inside the block; errors are still logged."""
    from transformers.utils import logging as transformers_logging

    library: Any = transformers_logging  # without types
    before, bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        library.set_verbosity(before)
        if bars:
            library.enable_progress_bar()


def load_encoder(folder: Path, precision: str = "auto") -> SentenceTransformer:
    """The model in `folder`, on the default device, in evaluation mode, with weights in fp32 whatever type they are stored in.

    Its transformer layers compute in `precision` (see `set_precision`). A plain language model gets the pooling of
    `adapt.models.pooling.default_pooling`. Raises UserError with all problems where the folder holds no valid model: weights
    missing, of another architecture or not finite, no tokenizer, the same embedding for every text. No code from the folder is
    executed.
    """
    model_folder.require_valid(folder)
    with quiet_libraries(), validation.record_loading() as loaded:
        try:
            if model_folder.is_sentence_transformer(folder):
                model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=False, local_files_only=True)
            else:
                from sentence_transformers.base.modules.transformer import Transformer
                from sentence_transformers.sentence_transformer.modules.pooling import Pooling

                transformer = Transformer(str(folder))
                width = transformer.get_embedding_dimension()
                model = SentenceTransformer(modules=[transformer, Pooling(width, default_pooling(folder))], device="cpu")
        except UserError:
            raise
        except Exception as error:  # damaged folders raise many types, from four libraries
            raise UserError(f"{folder}: holds no model that sentence-transformers can load ({_reason(error)})") from None
    validation.raise_problems(folder, validation.loading_problems(loaded, unused=("pooler",)))
    _adjust(model, folder)
    model.float()
    validation.raise_problems(folder, validation.weight_problems(model) or _probe_problems(model))
    set_precision(model, precision)
    return model.to(device()).eval()


def _adjust(model: SentenceTransformer, folder: Path) -> None:
    """Adjust modules and length limit to this package's inputs. Raises UserError for a tokenizer or pooling that does not fit."""
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling
    from sentence_transformers.sentence_transformer.modules.static_embedding import StaticEmbedding

    if isinstance(model[0], StaticEmbedding):
        model[0] = PaddedStaticEmbedding(model[0])
        rows = model[0].num_embeddings
    else:
        body: Any = model[0].auto_model
        rows = body.get_input_embeddings().weight.shape[0]
        readable = max_positions(body)
        if readable and (not model.max_seq_length or model.max_seq_length > readable):
            model.max_seq_length = readable
    validation.raise_problems(folder, validation.tokenizer_problems(model.tokenizer, rows))
    for place, part in enumerate(model):
        if isinstance(part, Pooling):
            width = getattr(model[0], "get_embedding_dimension", lambda: None)()
            if place == 1 and width and part.embedding_dimension != width:
                raise UserError(f"{folder}: Pooling is for {part.embedding_dimension} dimensions, and the network has {width}")
            if not part.include_prompt and model.prompts:
                model[place] = PromptExcludingPooling(part, model.tokenizer, [text or "" for text in model.prompts.values()])


def _probe_problems(model: SentenceTransformer) -> list[str]:
    """What is wrong with the embeddings of different texts, on the CPU and in fp32."""
    model.eval()
    ids = validation.probe_inputs(model.tokenizer, model.max_seq_length or 512)
    pad = model.tokenizer.pad_token_id or 0
    return validation.forward_problems(lambda: sentence_embeddings(model, pad_batch(ids, pad, torch.device("cpu"))), "vector")


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def max_positions(body: Any) -> int | None:
    """Maximum number of tokens, by a network's position embeddings or, without them, its configuration; None: no limit.

    RoBERTa-like models count positions from the padding index on: of 514 rows 512 are usable.
    """
    for name, part in body.named_modules():
        if isinstance(part, torch.nn.Embedding) and name.rpartition(".")[2] in ("position_embeddings", "wpe", "embed_positions"):
            return part.num_embeddings - (0 if part.padding_idx is None else part.padding_idx + 1)
    limit = getattr(body.config, "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else None


def save_encoder(model: SentenceTransformer, folder: Path) -> Path:
    """Save as a sentence-transformers folder that older versions and servers load, too; returns `folder`. Raises OSError.

    Its similarity function is set to cosine, which training here uses, whatever that of the base model was.
    """
    model.similarity_fn_name = "cosine"
    with quiet_libraries():
        model.save_pretrained(str(folder), create_model_card=False)
    _rewrite(folder / "modules.json", lambda modules: [m | {"type": LEGACY_MODULES.get(m["type"], m["type"])} for m in modules])
    for module in json.loads((folder / "modules.json").read_text()):
        if module["type"].endswith(".Pooling"):
            _rewrite(folder / module["path"] / "config.json", _legacy_pooling)
        if module["type"].endswith(".Transformer"):
            legacy = {"max_seq_length": model.max_seq_length, "do_lower_case": False}
            (folder / module["path"] / "sentence_bert_config.json").write_text(json.dumps(legacy, indent=2) + "\n")
    for file in folder.rglob("*"):
        if file.is_file():
            os.chmod(file, 0o644)  # safetensors writes 0600, which other users can't read
    return folder


def _rewrite(file: Path, change: Callable[[Any], Any]) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text())), indent=2) + "\n")


def _legacy_pooling(config: dict[str, Any]) -> dict[str, Any]:
    modes = config["pooling_mode"]
    modes = [modes] if isinstance(modes, str) else modes
    legacy: dict[str, Any] = {"word_embedding_dimension": config["embedding_dimension"]}
    legacy.update({key: mode in modes for mode, key in LEGACY_POOLING.items()})
    return legacy | {"include_prompt": config.get("include_prompt", True)}


def set_pooling(model: SentenceTransformer, mode: str) -> None:
    """Replace the model's pooling, in place; `mode`: cls, mean or max."""
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    place = next(i for i, part in enumerate(model) if isinstance(part, Pooling))
    model[place] = Pooling(model[place].embedding_dimension, mode)


def prompt_for(model: SentenceTransformer, role: str) -> str:
    """The model's prompt for a `query`, a `document`, or ("") any other text; "" where it has none."""
    return prompt_for_role(model.prompts, model.default_prompt_name, role)


def token_ids(model: SentenceTransformer, texts: Sequence[str], role: str = "", max_length: int | None = None) -> list[list[int]]:
    """Token ids of each text with its prompt and special tokens, truncated at `max_length` (default: the model's limit)."""
    prompt = prompt_for(model, role)
    return tokenize(model, [prompt + text for text in texts], max_length)


def tokenize(model: SentenceTransformer, texts: Sequence[str], max_length: int | None = None) -> list[list[int]]:
    """Token ids of each text with special tokens, without a prompt; see `token_ids`."""
    if not texts:
        return []
    limit = min(max_length or 10**9, model.max_seq_length or 512)
    ids: list[list[int]] = model.tokenizer(list(texts), truncation=True, max_length=limit)["input_ids"]
    return ids


def sentence_embeddings(model: SentenceTransformer | int8.QuantizedEncoder, features: dict[str, torch.Tensor]) -> torch.Tensor:
    """Embeddings [texts, d] in fp32 of `input_ids` and `attention_mask` [texts, tokens], truncated to the model's truncate_dim."""
    return model(features)["sentence_embedding"][:, : model.truncate_dim].float()


def pad_batch(ids: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` [texts, tokens of the longest], int64, on `device`; `pad`: the padding token's id."""
    longest = max(len(row) for row in ids)
    table = np.full((len(ids), longest), pad, dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.int64)
    for row, tokens in enumerate(ids):
        table[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {
        "input_ids": torch.from_numpy(table).to(device, non_blocking=True),
        "attention_mask": torch.from_numpy(mask).to(device, non_blocking=True),
    }
