"""What a cross-encoder makes of pairs: logits with gradients for training, scores for labelling, filters and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from adapt.inference import model_cache, parallel, token_budget
from adapt.inference.batching import length_groups
from adapt.job import Job
from adapt.models import calibration, int8
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.runtime.precision import InferencePrecision

TokenizedPair = tuple[list[int], list[int]]  # of a pair: ids, and which of the two texts each is of

TRUNCATED_SHARE_WARNING = 0.25  # share of truncated pairs beyond which the note is a warning, as of texts (`networks.coverage`)
TOKENIZE_CHUNK = 10_000  # pairs that stand in memory as tokens, 2 kB each; among so many there are enough of any length


@dataclass
class Truncation:
    """How many of the pairs that a cross-encoder has read were longer than its limit, in tokens."""

    pairs: int = 0
    truncated: int = 0
    limit: int = 0

    def add(self, pairs: int, truncated: int, limit: int) -> None:
        """Count further pairs."""
        self.pairs, self.truncated, self.limit = self.pairs + pairs, self.truncated + truncated, limit

    def report(self, job: Job, label: str) -> None:
        """Add the count to the job's, and note it; nothing where no pair was truncated."""
        if not self.truncated:
            return
        job.counts["truncated_pairs"] = job.counts.get("truncated_pairs", 0) + self.truncated
        share = self.truncated / self.pairs
        loud = "WARNING: " if share > TRUNCATED_SHARE_WARNING else ""
        job.note(
            f"{loud}{label}: {self.truncated:,} of {self.pairs:,} pairs ({share:.1%}) are longer than {self.limit:,} tokens and "
            "were truncated"
        )


def logits(
    reader: CrossEncoderModel, pairs: Sequence[TokenizedPair], small: int8.QuantizedTransformer | None = None
) -> torch.Tensor:
    """The reader's logits of token ids, [pairs], fp32, with gradients; pairs of like length share a forward pass."""
    return parallel.in_order(
        reader, [len(ids) for ids, _ in pairs], partial(_read, reader, pairs, small), token_budget.tokens_per_pass()
    )


def _read(
    reader: CrossEncoderModel, pairs: Sequence[TokenizedPair], small: int8.QuantizedTransformer | None, rows: Sequence[int]
) -> torch.Tensor:
    return reader([pairs[i] for i in rows], small)


@torch.inference_mode()
def predict(
    folder: Path,
    pairs: Sequence[tuple[str, str]],
    job: Job,
    max_length: int = 256,
    label: str = "scoring",
    calibrated: bool = False,
    small: int8.QuantizedTransformer | None = None,
    precision: InferencePrecision = "auto",
    truncation: Truncation | None = None,
) -> np.ndarray:
    """Scores in 0 to 1 of every pair, [pairs], float64; both orders of a pair are read and averaged.

    A raw score is the sigmoid of the logit, whatever activation the model's own configuration names (ms-marco ones name none:
    sentence-transformers gives their logits). `calibrated` puts it on gold's scale, where the model has a calibration. `small`,
    the same model by `quantize_cross_encoder`, is used in its place. Truncated pairs are counted in `truncation`;
    without one they are reported to the job.
    """
    reader = model_cache.cross_encoder(folder, "auto" if precision == "int8" else precision)
    scores = np.zeros(len(pairs))
    progress = job.progress(label, 2 * len(pairs), "pairs")
    seen = truncation or Truncation()

    def score(ids: Sequence[TokenizedPair]) -> np.ndarray:
        found = np.empty(len(ids))
        groups = length_groups([len(row) for row, _ in ids], token_budget.tokens_per_pass())
        for group, part in zip(groups, parallel.map_parts(partial(_read, reader, ids, small), groups), strict=True):
            found[group] = torch.sigmoid(part).double().cpu().numpy()
            progress.advance(len(group))
        return found

    for start in range(0, len(pairs), TOKENIZE_CHUNK):
        part = pairs[start : start + TOKENIZE_CHUNK]
        for left, right in ((0, 1), (1, 0)):
            ids, truncated = reader.ids_and_truncated([p[left] for p in part], [p[right] for p in part], max_length)
            if left == 0:  # the other order is as long
                seen.add(len(part), truncated, reader.limit(max_length))
            scores[start : start + len(part)] += token_budget.retry_out_of_memory(partial(score, ids), job, label) / 2
    if truncation is None:
        seen.report(job, label)
    return calibration.apply(folder, scores) if calibrated else scores


@torch.inference_mode()
def quantize_cross_encoder(
    folder: Path, sample: Sequence[tuple[str, str]], count: int, job: Job, max_length: int = 256
) -> int8.QuantizedTransformer | None:
    """The classifier in int8, to read `count` pairs, of which the sample is a few; None, and a note, where fp32 is to be used."""
    reader = CrossEncoderModel(folder, precision="fp32")  # what is converted, and what int8 is held against
    ids = reader.ids([first for first, _ in sample], [second for _, second in sample], max_length)
    held = ids[int8.CALIBRATION_TEXTS :]

    def scores(small: int8.QuantizedTransformer | None) -> np.ndarray:
        return torch.sigmoid(logits(reader, held, small)).numpy()

    def features() -> list[int8.Features]:
        return [reader.features([row]) for row in ids[: int8.CALIBRATION_TEXTS]]

    return int8.quantize(reader.model, parallel.workers(), 2 * count, job, features, scores, "scores")
