"""The training loop of every stage: AdamW, warm-up and decay, gradient clipping, early stopping, checkpoints, exact resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from adapt.errors import WorkFailed
from adapt.inference import parallel, token_budget
from adapt.job import Job
from adapt.models.mixed_precision import set_precision
from adapt.run_details import TrainingCurve
from adapt.runtime import collectives, interruption
from adapt.runtime.device import device, seed_all
from adapt.training import validation
from adapt.training.checkpoint import Checkpoints
from adapt.training.settings import TrainingSettings

CHECKED_ROWS = 8  # rows of the last step, whose loss is computed again after it
CHECKPOINT_SECONDS = 25.0  # a killed run loses half a minute at most; see scripts/bench/README.md for what that costs
Loss = torch.Tensor | tuple[torch.Tensor, int]  # a mean over rows, or (mean, number of items that it is a mean over)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with a peak learning rate of their own, which is 0 for the first `frozen` fraction of the steps."""

    parameters: Sequence[tuple[str, torch.nn.Parameter]]
    learning_rate: float
    frozen: float = 0.0


@dataclass
class EarlyStopping:
    """Evaluates a validation loss every `every` steps (and at the end), keeps the best weights and decides when to stop."""

    validation_loss: Callable[[], float]
    every: int
    patience: int
    history: list[tuple[int, float]] = field(default_factory=list)  # (step, loss)
    best_weights: dict[str, torch.Tensor] | None = None

    def evaluate(self, module: torch.nn.Module, step: int) -> None:
        """Compute the loss after `step` steps; the weights are kept where it is the lowest so far."""
        module.eval()
        with torch.no_grad():
            loss = self.validation_loss()
        module.train()
        if not self.history or loss < min(before for _, before in self.history):
            self.best_weights = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
        self.history.append((step, loss))

    def should_stop(self) -> bool:
        """Whether the last `patience` evaluations brought no improvement."""
        losses = [loss for _, loss in self.history]
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience if losses else False


@dataclass(frozen=True)
class TrainingReport:
    """What a training run did; losses are means over the first and the last tenth of the steps."""

    steps: int
    rows: int
    first_loss: float
    last_loss: float
    seconds: float


def training_steps(batches: Callable[[int], list[list[int]]], epochs: int, max_steps: int | None) -> list[tuple[int, list[int]]]:
    """(epoch, row indices) of each step of a training run, cut at `max_steps`."""
    steps: list[tuple[int, list[int]]] = []
    for epoch in range(epochs):
        steps += [(epoch, rows) for rows in batches(epoch)]
        if max_steps and len(steps) >= max_steps:
            return steps[:max_steps]
    return steps


def fit(
    module: torch.nn.Module,
    loss: Callable[[int, list[int], float], Loss],
    plan: Sequence[tuple[int, list[int]]],
    groups: Sequence[ParameterGroup],
    job: Job,
    *,
    label: str,
    unit: str,
    settings: TrainingSettings | None = None,
    early_stopping: EarlyStopping | None = None,
    data_parallel: bool = False,
) -> TrainingReport:
    """Minimise `loss(epoch, rows, fraction of steps done)` over the plan's steps; `module` holds every trained parameter.

    Randomness is a function of (job.seed, step), so that a run resumed from a checkpoint in `job.work` ends in the same weights as
    an uninterrupted one. `data_parallel`: the loss is a mean over rows (or, returned as (mean, weight), over that many items), so
    that several processes may compute a part of the rows each; otherwise each computes the whole step. Either way all processes
    hold the same weights. The losses of all steps are written to `training.json` in `job.out`. Raises WorkFailed when the loss is
    not finite, UserError for a precision that the device does not support.
    """
    settings = settings or TrainingSettings()
    precision = set_precision(module, settings.precision)
    # Fused: one pass over the weights instead of ten; of a cross-encoder's step of 0.95 s the update falls from 0.21 to 0.035 s.
    grouped = list(_optimizer_groups(groups, settings.optimizer.weight_decay))
    optimizer = torch.optim.AdamW(grouped, lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=device().type in ("cpu", "cuda"))
    scaler = torch.amp.GradScaler(device().type, enabled=precision == "fp16")
    checkpoints = Checkpoints(job.work)
    start, losses = 0, []
    if saved := checkpoints.load(job.note):
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        start, losses = saved["step"], saved["losses"]
        if early_stopping:
            early_stopping.history, early_stopping.best_weights = saved["history"], saved["best_weights"]
        job.note(f"{label}: resuming at step {start} of {len(plan)}")
    module.train()
    if settings.gradient_checkpointing:
        _set_checkpointing(module, True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    progress = job.progress(label, sum(len(rows) for _, rows in plan), unit, interruptible=False)  # a checkpoint is written first
    progress.advance(sum(len(rows) for _, rows in plan[:start]))

    def gradients(epoch: int, rows: list[int], done: int) -> float:
        """The loss of a step, whose gradients are in the parameters' `grad` afterwards; may be called again."""
        seed_all(_step_seed(job.seed, done))
        part = collectives.rows_of_this_rank(rows) if data_parallel else rows
        result = loss(epoch, part, done / len(plan))
        value, weight = result if isinstance(result, tuple) else (result, len(part))
        if data_parallel:
            value = collectives.scale_mean(value, weight)
        parallel.zero_gradients(module, parameters)
        scaler.scale(value if data_parallel else value / collectives.world_size()).backward()  # type: ignore[no-untyped-call]
        return collectives.all_reduce(float(value.detach())) if data_parallel else float(value.detach())

    def state() -> dict[str, Any]:
        return {
            "module": module.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
            "step": done, "losses": losses, 
            "history": early_stopping.history if early_stopping else [],
            "best_weights": early_stopping.best_weights if early_stopping else None,
        }  # fmt: skip

    def save_checkpoint() -> None:
        if collectives.rank() == 0:
            interruption.extend_deadline()
            checkpoints.save(state())

    began = last_saved = time.monotonic()
    done, consistent = start, True  # consistent: weights and optimizer are those after `done` steps
    try:
        while done < len(plan) and not (early_stopping and early_stopping.should_stop()):
            epoch, rows = plan[done]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _schedule(
                    done, len(plan), settings.optimizer.warmup_ratio, group["frozen"], settings.optimizer.lr_scheduler
                )
            step = partial(gradients, epoch, rows, done)
            # One of several processes can't repeat a step: the others wait for its part of the sums.
            losses.append(token_budget.retry_out_of_memory(step, job, label) if collectives.world_size() == 1 else step())
            if not math.isfinite(losses[-1]):
                raise WorkFailed(
                    f"{label}: the loss is {losses[-1]} at step {done + 1} of {len(plan)}. "
                    "Try a lower learning_rate, and check the scores of the training rows."
                )
            consistent = False
            collectives.all_reduce_gradients(parameters)
            scaler.unscale_(optimizer)
            _clip(parameters, settings.max_grad_norm)
            scaler.step(optimizer)
            scaler.update()
            done, consistent = done + 1, True
            progress.advance(len(rows), f"loss {np.mean(losses[-20:]):.3f}")
            if early_stopping and (done % early_stopping.every == 0 or done == len(plan)):
                early_stopping.evaluate(module, done)
            if done < len(plan) and (interruption.requested() or time.monotonic() - last_saved > CHECKPOINT_SECONDS):
                last_saved = time.monotonic()
                interruption.raise_if_interrupted()
                save_checkpoint()
    except interruption.Interrupted:  # after a step, or, where one takes long, within it
        if consistent:
            del losses[done:]
            save_checkpoint()
            job.note(f"{label}: checkpoint at step {done} of {len(plan)}")
        raise
    finally:
        checkpoints.close()
    history = early_stopping.history if early_stopping else []
    if early_stopping and early_stopping.best_weights is not None:
        module.load_state_dict(early_stopping.best_weights)
        at, best = min(history, key=lambda pair: pair[1])
        job.counts.update(held_out_loss=best, best_step=at)
        job.note(f"{label}: best held-out loss {best:.4f}, after step {at} ({len(history)} evaluations); these weights are kept")
    if settings.gradient_checkpointing:
        _set_checkpointing(module, False)
    module.eval()
    if done:
        last_epoch, last_rows = plan[done - 1]

        def last_loss() -> float:
            with torch.no_grad():
                result = loss(last_epoch, last_rows[:CHECKED_ROWS], 1.0)
            return float(result[0] if isinstance(result, tuple) else result)

        validation.after_last_update(module, label, done, len(plan), last_loss, [value for _, value in history])
    curve = TrainingCurve(losses=tuple(losses), held_out=tuple(history))
    (job.out / "training.json").write_text(curve.model_dump_json() + "\n", encoding="utf-8")
    tenth = max(1, len(losses) // 10)
    return TrainingReport(
        done,
        sum(len(rows) for _, rows in plan[:done]),
        float(np.mean(losses[:tenth])),
        float(np.mean(losses[-tenth:])),
        time.monotonic() - began,
    )


def _set_checkpointing(module: torch.nn.Module, on: bool) -> None:
    """Recompute activations in the backward pass, or keep them: less memory for about a third more time."""
    for part in module.modules():
        if isinstance(part, PreTrainedModel) and part.supports_gradient_checkpointing:
            if on:
                part.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
            else:
                part.gradient_checkpointing_disable()  # type: ignore[no-untyped-call]


def _optimizer_groups(groups: Sequence[ParameterGroup], weight_decay: float) -> Iterable[dict[str, Any]]:
    # Biases and layer norms are not decayed, as in BERT.
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


def _clip(parameters: Sequence[torch.nn.Parameter], most: float) -> None:
    """Scale the gradients so that their norm is at most `most`.

    Bit for bit as torch's `clip_grad_norm_`, which also multiplies by 1: 1% of a cross-encoder's step.
    """
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not most / (norm + 1e-6) >= 1:
        torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)


def _schedule(step: int, steps: int, warmup: float, frozen: float, scheduler: str = "linear") -> float:
    """The learning rate at `step` as a fraction of its peak: 0 while frozen, then a linear rise and a decay."""
    first = round(frozen * steps)
    if step < first:
        return 0.0
    steps, step = steps - first, step - first
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    left = max(0.0, (steps - step) / max(1, steps - rise))
    return {"linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left)), "constant": 1.0}[scheduler]


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint32)[0])


def trainable(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The named parameters that take gradients, each once even when shared."""
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]
