"""Scores of pairs by a cross-encoder: logits with gradients for training, calibrated or raw scores for inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from adapt.inference import model_cache, parallel, token_budget
from adapt.inference.batching import length_groups
from adapt.job import Job
from adapt.models import calibration, int8
from adapt.models.cross_encoder import CrossEncoderModel, TokenizedPair
from adapt.runtime.precision import InferencePrecision

Scores = npt.NDArray[np.float64]  # [pairs], 0 to 1

TRUNCATED_SHARE_WARNING = 0.25  # share of truncated pairs from which the note is a warning, as in `adapt.models.coverage`
TOKENIZE_CHUNK = 10_000  # pairs that are tokenised together, 2 kB each: enough for groups of similar length


@dataclass
class Truncation:
    """Counts of tokenised pairs, and of those that were longer than `limit` tokens."""

    pairs: int = 0
    truncated: int = 0
    limit: int = 0

    def add(self, pairs: int, truncated: int, limit: int) -> None:
        """Count further pairs."""
        self.pairs, self.truncated, self.limit = self.pairs + pairs, self.truncated + truncated, limit

    def report(self, job: Job, label: str) -> None:
        """Note the count and add it to `job.counts`; does nothing where no pair was truncated."""
        if not self.truncated:
            return
        job.counts["truncated_pairs"] = job.counts.get("truncated_pairs", 0) + self.truncated
        share = self.truncated / self.pairs
        prefix = "WARNING: " if share > TRUNCATED_SHARE_WARNING else ""
        job.note(
            f"{prefix}{label}: {self.truncated:,} of {self.pairs:,} pairs ({share:.1%}) are longer than {self.limit:,} tokens and "
            "were truncated"
        )


def logits(
    model: CrossEncoderModel, pairs: Sequence[TokenizedPair], quantized: int8.QuantizedTransformer | None = None
) -> torch.Tensor:
    """Logits [pairs] in fp32, with gradients; pairs of similar length share a forward pass."""
    work = partial(_forward, model, pairs, quantized)
    return parallel.in_order(model, [len(ids) for ids, _ in pairs], work, token_budget.tokens_per_pass())


def _forward(
    model: CrossEncoderModel, pairs: Sequence[TokenizedPair], quantized: int8.QuantizedTransformer | None, rows: Sequence[int]
) -> torch.Tensor:
    output: torch.Tensor = model([pairs[i] for i in rows], quantized)
    return output


@torch.inference_mode()
def predict(
    folder: Path,
    pairs: Sequence[tuple[str, str]],
    job: Job,
    max_length: int = 256,
    label: str = "scoring",
    calibrated: bool = False,
    quantized: int8.QuantizedTransformer | None = None,
    precision: InferencePrecision = "auto",
    truncation: Truncation | None = None,
) -> Scores:
    """Scores [pairs], 0 to 1, of the cross-encoder in `folder`: the mean over both orders of each pair.

    A raw score is the sigmoid of the logit, whatever activation the model's configuration names (ms-marco models name none:
    sentence-transformers returns their logits). `calibrated`: on the gold scale, where the model has a calibration. `quantized`:
    the same model by `quantize_cross_encoder`. Truncated pairs are counted in `truncation`, or reported to the job without one.
    """
    model = model_cache.cross_encoder(folder, "auto" if precision == "int8" else precision)
    scores = np.zeros(len(pairs))
    progress = job.progress(label, 2 * len(pairs), "pairs")
    counted = truncation or Truncation()

    def score(ids: Sequence[TokenizedPair]) -> Scores:
        found = np.empty(len(ids))
        groups = length_groups([len(row) for row, _ in ids], token_budget.tokens_per_pass())
        for group, part in zip(groups, parallel.map_parts(partial(_forward, model, ids, quantized), groups), strict=True):
            found[group] = torch.sigmoid(part).double().cpu().numpy()
            progress.advance(len(group))
        return found

    for start in range(0, len(pairs), TOKENIZE_CHUNK):
        chunk = pairs[start : start + TOKENIZE_CHUNK]
        for first, second in ((0, 1), (1, 0)):
            ids, truncated = model.ids_and_truncated([p[first] for p in chunk], [p[second] for p in chunk], max_length)
            if first == 0:  # both orders have the same length
                counted.add(len(chunk), truncated, model.limit(max_length))
            scores[start : start + len(chunk)] += token_budget.retry_out_of_memory(partial(score, ids), job, label) / 2
    if truncation is None:
        counted.report(job, label)
    return calibration.apply(folder, scores) if calibrated else scores


@torch.inference_mode()
def quantize_cross_encoder(
    folder: Path, sample: Sequence[tuple[str, str]], count: int, job: Job, max_length: int = 256
) -> int8.QuantizedTransformer | None:
    """The cross-encoder in int8, to score `count` pairs like those in `sample`; None, and a note, where fp32 is to be used."""
    model = CrossEncoderModel(folder, precision="fp32")  # what is converted, and what int8 is compared with
    ids = model.ids([first for first, _ in sample], [second for _, second in sample], max_length)
    validation = ids[int8.CALIBRATION_TEXTS :]

    def scores(quantized: int8.QuantizedTransformer | None) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = torch.sigmoid(logits(model, validation, quantized)).numpy()
        return found

    def features() -> list[int8.Features]:
        return [model.features([row]) for row in ids[: int8.CALIBRATION_TEXTS]]

    return int8.quantize(model.model, parallel.workers(), 2 * count, job, features, scores, "scores")
