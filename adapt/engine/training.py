"""One training loop for every stage: AdamW, linear warm-up and decay, clipped gradients, exact resume, no surprises."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from adapt.engine.device import autocast, seed_all
from adapt.errors import WorkFailed
from adapt.job import Job

CHECKPOINT_SECONDS = 120.0


@dataclass(frozen=True)
class Group:
    """Parameters with a peak learning rate of their own, held still for the first `frozen` share of the steps."""

    parameters: Sequence[tuple[str, torch.nn.Parameter]]
    learning_rate: float
    frozen: float = 0.0


@dataclass(frozen=True)
class Fitted:
    """What a training run says of itself; losses are means over the first and the last tenth of the steps."""

    steps: int
    rows: int
    first_loss: float
    last_loss: float
    seconds: float


def epochs_of(batches: Callable[[int], list[list[int]]], epochs: int, max_steps: int | None) -> list[tuple[int, list[int]]]:
    """The whole plan of a training run, (epoch, row indices) for each step, cut at `max_steps`."""
    plan: list[tuple[int, list[int]]] = []
    for epoch in range(epochs):
        plan += [(epoch, rows) for rows in batches(epoch)]
        if max_steps and len(plan) >= max_steps:
            return plan[:max_steps]
    return plan


def fit(
    module: torch.nn.Module,
    loss: Callable[[int, list[int], float], torch.Tensor],
    plan: Sequence[tuple[int, list[int]]],
    groups: Sequence[Group],
    job: Job,
    *,
    label: str,
    unit: str,
    warmup: float = 0.1,
    weight_decay: float = 0.01,
    clip: float = 1.0,
) -> Fitted:
    """Minimise `loss(epoch, rows, share of steps done)` over the plan's steps; `module` holds every trained parameter.

    Randomness is a function of (job.seed, step), so a run resumed from a checkpoint in `job.work` makes the same weights as
    an unbroken one. Raises WorkFailed when the loss is no longer a finite number.
    """
    optimizer = torch.optim.AdamW(list(_decayed(groups, weight_decay)), lr=0.0, betas=(0.9, 0.999), eps=1e-8)
    file = job.work / "checkpoint.pt"
    start, losses = 0, []
    if file.is_file():
        saved = torch.load(file, map_location="cpu", weights_only=True)
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        start, losses = saved["step"], saved["losses"]
        job.note(f"{label}: goes on at step {start} of {len(plan)}")
    module.train()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    progress = job.progress(label, sum(len(rows) for _, rows in plan), unit)
    progress.advance(sum(len(rows) for _, rows in plan[:start]))
    began = last_saved = time.monotonic()
    for step in range(start, len(plan)):
        epoch, rows = plan[step]
        seed_all(_mixed(job.seed, step))
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * _rate(step, len(plan), warmup, group["frozen"])
        with autocast():
            value = loss(epoch, rows, step / len(plan))
        losses.append(float(value.detach()))
        if not math.isfinite(losses[-1]):
            raise WorkFailed(
                f"{label}: the loss is {losses[-1]} at step {step + 1} of {len(plan)}. "
                "Try a lower learning_rate, and look at the scores of the training rows."
            )
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        progress.advance(len(rows), f"loss {np.mean(losses[-20:]):.3f}")
        if time.monotonic() - last_saved > CHECKPOINT_SECONDS and step + 1 < len(plan):
            last_saved = time.monotonic()
            _save(
                file,
                {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1, "losses": losses},
            )
    module.eval()
    tenth = max(1, len(losses) // 10)
    return Fitted(
        len(plan),
        sum(len(rows) for _, rows in plan),
        float(np.mean(losses[:tenth])),
        float(np.mean(losses[-tenth:])),
        time.monotonic() - began,
    )


def _decayed(groups: Sequence[Group], weight_decay: float) -> Iterable[dict[str, Any]]:
    # Biases and layer norms are not decayed: every BERT recipe since the first.
    for group in groups:
        for decays in (True, False):
            chosen = [p for _, p in group.parameters if (p.ndim > 1) == decays]
            if chosen:
                yield {
                    "params": chosen,
                    "weight_decay": weight_decay if decays else 0.0,
                    "peak": group.learning_rate,
                    "frozen": group.frozen,
                }


def _rate(step: int, steps: int, warmup: float, frozen: float) -> float:
    """Share of the peak learning rate at `step`: 0 while frozen, then a linear rise over `warmup` of the rest, then a fall."""
    first = round(frozen * steps)
    if step < first:
        return 0.0
    steps, step = steps - first, step - first
    rise = max(1, round(warmup * steps))
    return (step + 1) / rise if step < rise else max(0.0, (steps - step) / max(1, steps - rise))


def _mixed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint32)[0])


def _save(file: Any, state: dict[str, Any]) -> None:
    aside = file.with_suffix(".aside")
    torch.save(state, aside)
    with open(aside, "rb") as written:
        os.fsync(written.fileno())
    os.replace(aside, file)


def trainable(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The named parameters that take gradients, each once even when shared."""
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]


def set_dropout(module: torch.nn.Module, share: float) -> None:
    """Set every dropout layer's share; attention's own dropout is read from the module's attribute of that name."""
    for part in module.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = share
        for name in ("dropout_prob", "attention_dropout"):
            if isinstance(getattr(part, name, None), float):
                setattr(part, name, share)
