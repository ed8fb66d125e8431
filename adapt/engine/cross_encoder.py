"""Open, run and save cross-encoders: transformers that read two texts at once and give one score."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from adapt.engine.device import autocast, device, seed_all
from adapt.engine.encoder import TOKENS_PER_BATCH, by_length, padded, quiet
from adapt.errors import UserError
from adapt.job import Job
from adapt.models import weights_digest

# Tells sentence-transformers' CrossEncoder to give scores in 0 to 1, as this package does.
SIGMOID = {"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model folder holds a sequence classifier."""
    import json

    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return any("SequenceClassification" in name for name in config.get("architectures") or ())


class Reader(torch.nn.Module):
    """A sequence classifier with one output and its tokenizer."""

    def __init__(self, folder: Path, new_head_seed: int | None = None):
        """Load from `folder`; with a seed, a head that the folder does not have is drawn from it. Raises UserError."""
        super().__init__()
        try:
            with quiet():
                config = AutoConfig.from_pretrained(folder)
                has_head = is_cross_encoder(Path(folder))
                if not has_head and new_head_seed is None:
                    raise UserError(f"{folder}: is not a cross-encoder (no classification head); train one: adapt cross-encoder")
                if not has_head or config.num_labels != 1:
                    config.num_labels = 1
                if new_head_seed is not None:
                    seed_all(new_head_seed)
                self.tokenizer = AutoTokenizer.from_pretrained(folder)
                self.model = AutoModelForSequenceClassification.from_pretrained(
                    folder, config=config, ignore_mismatched_sizes=new_head_seed is not None, dtype=torch.float32
                )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise UserError(f"{folder}: holds no model that can read pairs of texts ({error})") from None
        self.to(device()).eval()

    def ids(self, first: Sequence[str], second: Sequence[str], max_length: int) -> list[tuple[list[int], list[int]]]:
        """(token ids, token types) of each pair, cut at `max_length` from the longer side."""
        if not first:
            return []
        encoded = self.tokenizer(
            list(first), list(second), truncation="longest_first", max_length=max_length, return_token_type_ids=True
        )
        return list(zip(encoded["input_ids"], encoded["token_type_ids"], strict=True))

    def forward(self, pairs: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
        """Logits [pairs], fp32."""
        features = padded([ids for ids, _ in pairs], self.tokenizer.pad_token_id or 0, device())
        if getattr(self.model.config, "type_vocab_size", 0) > 1:
            features["token_type_ids"] = padded([types for _, types in pairs], 0, device())["input_ids"]
        return self.model(**features).logits[:, 0].float()

    def save(self, folder: Path) -> None:
        """A folder that `sentence_transformers.CrossEncoder` loads, too."""
        self.model.config.update(SIGMOID)
        with quiet():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        for file in folder.iterdir():
            os.chmod(file, 0o644)


@lru_cache(maxsize=1)
def _opened(folder: Path, digest: str) -> Reader:
    return Reader(folder)  # by digest too: a folder may be replaced while the process lives


@torch.inference_mode()
def predict(folder: Path, pairs: Sequence[tuple[str, str]], job: Job, max_length: int = 256, label: str = "scoring") -> np.ndarray:
    """Scores in 0 to 1 of every pair, [pairs], float64; both orders of a pair are read and averaged."""
    reader = _opened(folder, weights_digest(folder))
    scores = np.zeros(len(pairs))
    progress = job.progress(label, 2 * len(pairs), "pairs")
    for left, right in ((0, 1), (1, 0)):
        ids = reader.ids([p[left] for p in pairs], [p[right] for p in pairs], max_length)
        for group in by_length([len(row) for row, _ in ids], TOKENS_PER_BATCH):
            with autocast():
                logits = reader([ids[i] for i in group])
            scores[group] += torch.sigmoid(logits).double().cpu().numpy() / 2
            progress.advance(len(group))
    return scores
