"""Checks after training: weights, losses and embeddings are finite, and the embedding space has not collapsed.

The loss of each step is looked at before its update; what the last update did shows here, before anything is committed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from adapt.errors import UserError, WorkFailed
from adapt.job import Job
from adapt.models import model_folder
from adapt.records import CrossEncoder, Encoder

PROBED = 64  # texts of the training data that the trained model encodes
SHRUNK = 0.01  # spread of vectors, as a share of the spread before the step, below which the space has collapsed
REMEDY = "Try a lower learning_rate, and look at the scores of the training rows."


def after_last_update(
    module: torch.nn.Module,
    label: str,
    step: int,
    steps: int,
    loss: Callable[[], float] | None = None,
    held_out: Sequence[float] = (),
) -> None:
    """Raise WorkFailed unless every weight, the loss of the last rows after the last update, and all held-out losses are finite."""
    from adapt.models.validation import weight_problems

    wrong = weight_problems(module)
    if not wrong and loss is not None and not math.isfinite(value := loss()):
        wrong = [f"the loss is {value}"]
    wrong += [f"a held-out loss is {value}" for value in held_out if not math.isfinite(value)][:1]
    if wrong:
        raise WorkFailed(f"{label}: not finite after step {step} of {steps}: {wrong[0]}. {REMEDY}")


def made(model: Encoder | CrossEncoder, before: Path | None, texts: Sequence[str], name: str, job: Job) -> None:
    """Raise WorkFailed unless the model that a step has made can be used: opened, on texts of the step's own, as its users will.

    `before`: the folder of the model that the step started from, beside which vectors may not have collapsed.
    """
    try:
        wrong = _scores(model.path, texts) if isinstance(model, CrossEncoder) else _vectors(model.path, before, texts)
    except UserError as error:
        wrong = [problem.removeprefix(f"{model.path}: ") for problem in error.problems]
    if wrong:
        raise WorkFailed(f"{name}: the model that training made can't be used: {'; '.join(wrong)}. {REMEDY}")
    if before is not None:
        _say(model.path, before, name, job)


def _vectors(folder: Path, before: Path | None, texts: Sequence[str]) -> list[str]:
    from adapt.models import validation

    given = list(dict.fromkeys(texts))[:PROBED]
    found = _read(folder, given)
    wrong = validation.output_problems(found, "vector") if len(given) > 1 else []
    if wrong or before is None or len(given) < 2:
        return wrong
    now, then = _mean_distance(found), _mean_distance(_read(before, given))
    if now < SHRUNK * then:
        return [f"its vectors have collapsed: the mean cosine of {len(given)} texts is {1 - now:.6f}, before it was {1 - then:.4f}"]
    return []


@torch.inference_mode()
def _read(folder: Path, texts: Sequence[str]) -> torch.Tensor:
    """Vectors [texts, d] in fp32, by the model as it is loaded from its folder."""
    from adapt.inference import model_cache
    from adapt.inference.encoding import forward
    from adapt.models.bi_encoder import token_ids

    model = model_cache.encoder(folder)
    return forward(model, token_ids(model, texts)) if texts else torch.zeros(0, 1)


def _mean_distance(vectors: torch.Tensor) -> float:
    """1 less the mean cosine of all pairs of different rows."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=1)
    n = len(unit)
    return 1 - float((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1)))


@torch.inference_mode()
def _scores(folder: Path, texts: Sequence[str]) -> list[str]:
    from adapt.inference import model_cache
    from adapt.inference.scoring import logits
    from adapt.models import validation

    reader, given = model_cache.cross_encoder(folder), list(dict.fromkeys(texts))[:PROBED]
    if len(given) < 3:
        return []
    found = logits(reader, reader.ids(given, given[1:] + given[:1], 256))
    return validation.output_problems(found[:, None], "score")


def _say(folder: Path, before: Path, name: str, job: Job) -> None:
    """Note what of the base is another now: its similarity, since training is by cosine, and the type of its weights."""
    old, new = model_folder.similarity(before), model_folder.similarity(folder)
    if old != new:
        job.note(
            f"{name}: the base compares vectors by {old}; training is by {new}, as the configuration of the trained model says"
        )
    types, now = (", ".join(sorted(model_folder.stored_types(place))) for place in (before, folder))
    if types and types != now:
        job.note(f"{name}: the base's weights are stored as {types}; they are trained in fp32 and stored as {now}")
