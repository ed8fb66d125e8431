"""Open, run and save bi-encoders: ordinary sentence-transformers folders, or plain language models with CLS pooling."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from adapt.engine import cores, int8
from adapt.engine.batches import by_length
from adapt.engine.device import autocast, device
from adapt.errors import UserError
from adapt.job import Job
from adapt.models import weights_digest
from adapt.vectors import Vectors, with_prompt

# On a CPU what passes between two layers must stay in a core's cache: 1.1 to 1.3 times quicker than with 4,096.
TOKENS_PER_BATCH = 16_384 if torch.cuda.is_available() else 1_024

AT_ONCE = 10_000  # texts that stand in memory as tokens; among so many there are enough of any length

# sentence-transformers ≥ 5.4 writes module paths that older servers misread; the spelling before loads everywhere.
LEGACY_MODULES = {
    "sentence_transformers.base.modules.transformer.Transformer": "sentence_transformers.models.Transformer",
    "sentence_transformers.sentence_transformer.modules.pooling.Pooling": "sentence_transformers.models.Pooling",
    "sentence_transformers.base.modules.normalize.Normalize": "sentence_transformers.models.Normalize",
    "sentence_transformers.base.modules.dense.Dense": "sentence_transformers.models.Dense",
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
def quiet():
    """Keep other libraries' load reports and progress bars off the screen; their errors still come through."""
    from transformers.utils import logging as chatter

    before, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        chatter.set_verbosity(before)
        if bars:
            chatter.enable_progress_bar()


def is_tuned(folder: Path) -> bool:
    """Whether a model folder is a finished embedder (it says how to pool) and not a plain language model."""
    return (folder / "modules.json").is_file()


def open_encoder(folder: Path) -> SentenceTransformer:
    """The model in `folder`, on this machine's device, in evaluation mode.

    A plain language model has no pooling of its own: it gets the CLS vector, as in the TSDAE paper. Raises UserError where
    the folder holds no loadable model.
    """
    with quiet():
        try:
            if is_tuned(folder):
                model = SentenceTransformer(str(folder), device=str(device()))
            else:
                from sentence_transformers.base.modules.transformer import Transformer
                from sentence_transformers.sentence_transformer.modules.pooling import Pooling

                transformer = Transformer(str(folder))
                width = transformer.get_embedding_dimension()
                model = SentenceTransformer(modules=[transformer, Pooling(width, "cls")], device=str(device()))
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            raise UserError(f"{folder}: holds no model that sentence-transformers can load ({error})") from None
    return model.eval()


@lru_cache(maxsize=2)
def _opened(folder: Path, digest: str) -> SentenceTransformer:
    return open_encoder(folder)  # by digest too: a folder may be replaced while the process lives


def save_encoder(model: SentenceTransformer, folder: Path) -> Path:
    """Save as an ordinary sentence-transformers folder that older versions and servers load too."""
    with quiet():
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
            os.chmod(file, 0o644)  # safetensors writes 0600, which a server under another user can't read
    return folder


def _rewrite(file: Path, change: Any) -> None:
    file.write_text(json.dumps(change(json.loads(file.read_text())), indent=2) + "\n")


def _legacy_pooling(config: dict[str, Any]) -> dict[str, Any]:
    modes = config["pooling_mode"]
    modes = [modes] if isinstance(modes, str) else modes
    legacy: dict[str, Any] = {"word_embedding_dimension": config["embedding_dimension"]}
    legacy.update({key: mode in modes for mode, key in LEGACY_POOLING.items()})
    return legacy | {"include_prompt": config.get("include_prompt", True)}


def set_pooling(model: SentenceTransformer, mode: str) -> None:
    """Take the sentence vector another way than the model does: cls, mean or max."""
    from sentence_transformers.sentence_transformer.modules.pooling import Pooling

    place = next(i for i, part in enumerate(model) if isinstance(part, Pooling))
    model[place] = Pooling(model[place].embedding_dimension, mode)


def prompt_of(model: SentenceTransformer, role: str) -> str:
    """The text that the model wants before a `query`, a `document`, or ("") any other text."""
    prompts = model.prompts or {}
    default = prompts.get(model.default_prompt_name or "", "") or ""
    return prompts.get(role) or default


def token_ids(model: SentenceTransformer, texts: Sequence[str], role: str = "", max_length: int | None = None) -> list[list[int]]:
    """Each text's token ids, its prompt and special tokens included, cut at `max_length` (the model's own where None)."""
    prompt = prompt_of(model, role)
    return _ids(model, [prompt + text for text in texts], max_length)


def _ids(model: SentenceTransformer, given: Sequence[str], max_length: int | None = None) -> list[list[int]]:
    limit = min(max_length or 10**9, model.max_seq_length or 512)
    return model.tokenizer(list(given), truncation=True, max_length=limit)["input_ids"] if given else []


def padded(ids: Sequence[Sequence[int]], pad: int, here: torch.device) -> dict[str, torch.Tensor]:
    """Token ids as `input_ids` and `attention_mask`, [texts, longest]."""
    longest = max(len(row) for row in ids)
    table = np.full((len(ids), longest), pad, dtype=np.int64)
    mask = np.zeros((len(ids), longest), dtype=np.int64)
    for row, tokens in enumerate(ids):
        table[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return {
        "input_ids": torch.from_numpy(table).to(here, non_blocking=True),
        "attention_mask": torch.from_numpy(mask).to(here, non_blocking=True),
    }


def forward(
    model: SentenceTransformer | int8.Encoder, ids: Sequence[Sequence[int]], budget: int = TOKENS_PER_BATCH
) -> torch.Tensor:
    """Sentence vectors [texts, d] in fp32, with gradients; texts of like length share a forward pass, so little is padding."""
    return cores.in_order(model, [len(row) for row in ids], partial(_vectors, model, ids), budget)


def _vectors(model: SentenceTransformer | int8.Encoder, ids: Sequence[Sequence[int]], rows: Sequence[int]) -> torch.Tensor:
    return model(padded([ids[i] for i in rows], model.tokenizer.pad_token_id or 0, device()))["sentence_embedding"].float()


@torch.inference_mode()
def embed(
    folder: Path, texts: Sequence[str], job: Job, role: str = "", label: str = "encoding", precision: int8.Precision = "auto"
) -> np.ndarray:
    """Unit vectors [texts, d], float32, of the model in `folder`; equal texts are encoded once.

    With `job.vectors` set, vectors are kept there (see `adapt.vectors`) and read back by whoever asks next: a check, mining, the
    gate and the final test share one encoding of the same passages. With `precision` int8, texts of which no such vectors stand
    are read in int8 (see `adapt.engine.int8`), and kept apart from these: nothing that measures the model reads them.
    """
    store, small = Vectors(folder, job.vectors), None
    given = with_prompt(folder, texts, role)
    if precision == "int8" and store.missing(given):
        apart = Vectors(folder, job.vectors, int8.kind(given))
        small = _in_int8(folder, given, job) if apart.missing(given) else None
        store = apart if small or not apart.missing(given) else store
    missing = store.missing(given)
    if missing:
        model = _opened(folder, weights_digest(folder))
        progress = job.progress(label, len(missing), "texts")
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            ids = _ids(model, part)
            groups = by_length([len(row) for row in ids], TOKENS_PER_BATCH)
            with autocast():
                for group, found in zip(groups, cores.each(partial(_vectors, small or model, ids), groups), strict=True):
                    found = torch.nn.functional.normalize(found, dim=1)
                    store.keep([part[i] for i in group], found.cpu().numpy())
                    progress.advance(len(group))
        store.save()
    return store.take(given)


@torch.inference_mode()
def _in_int8(folder: Path, given: Sequence[str], job: Job) -> int8.Encoder | None:
    """The model in int8, or None where it is to be read as ever."""
    model = _opened(folder, weights_digest(folder))
    ids = _ids(model, int8.sample(given))
    pad = model.tokenizer.pad_token_id or 0

    def calibration() -> list[int8.Features]:
        return [padded([row], pad, device()) for row in ids[: int8.CALIBRATION]]

    def cosines(body: int8.Body | None) -> np.ndarray:
        found = forward(int8.Encoder(model, body) if body else model, ids[int8.CALIBRATION :])
        unit = torch.nn.functional.normalize(found, dim=1).numpy()
        return (unit @ unit.T)[np.triu_indices(len(found), 1)]

    body = int8.body(getattr(model[0], "auto_model", model[0]), len(set(given)), job, calibration, cosines, "cosines")
    return int8.Encoder(model, body) if body else None
