"""One training loop for every stage: AdamW, warm-up and decay, clipped gradients, early stop, exact resume, no surprises."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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

LOOKED_AT = 8  # rows of the last step, whose loss is computed again after it
CHECKPOINT_SECONDS = 25.0  # a killed run loses half a minute at most; see scripts/bench/README.md for what that costs


@dataclass(frozen=True)
class Group:
    """Parameters with a peak learning rate of their own, held still for the first `frozen` share of the steps."""

    parameters: Sequence[tuple[str, torch.nn.Parameter]]
    learning_rate: float
    frozen: float = 0.0


@dataclass(frozen=True)
class Optimisation:
    """How the weights move. `scheduler`: linear or cosine fall after the warm-up, or constant. `precision`: see `set_precision`."""

    warmup: float = 0.1
    weight_decay: float = 0.01
    scheduler: str = "linear"
    precision: str = "auto"
    gradient_checkpointing: bool = False
    clip: float = 1.0


@dataclass(frozen=True)
class HeldOut:
    """A loss on rows that training does not see, asked every `every` steps (and at the end).

    The best weights are kept; after `patience` answers in a row that are no better, training stops.
    """

    loss: Callable[[], float]
    every: int
    patience: int


@dataclass(frozen=True)
class Fitted:
    """What a training run says of itself; losses are means over the first and the last tenth of the steps."""

    steps: int
    rows: int
    first_loss: float
    last_loss: float
    seconds: float


@dataclass
class _Watch:
    """The held-out losses so far, [(step, loss)], and the weights that gave the lowest."""

    seen: list[tuple[int, float]]
    best: dict[str, torch.Tensor] | None = None

    def ask(self, held_out: HeldOut, module: torch.nn.Module, step: int) -> None:
        module.eval()
        with torch.no_grad():
            found = held_out.loss()
        module.train()
        if not self.seen or found < min(loss for _, loss in self.seen):
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
        self.seen.append((step, found))

    def tired(self, patience: int) -> bool:
        losses = [loss for _, loss in self.seen]
        return len(losses) - 1 - losses.index(min(losses)) >= patience if losses else False


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
    loss: Callable[[int, list[int], float], torch.Tensor | tuple[torch.Tensor, int]],
    plan: Sequence[tuple[int, list[int]]],
    groups: Sequence[Group],
    job: Job,
    *,
    label: str,
    unit: str,
    how: Optimisation = Optimisation(),
    held_out: HeldOut | None = None,
    splits: bool = False,
) -> Fitted:
    """Minimise `loss(epoch, rows, share of steps done)` over the plan's steps; `module` holds every trained parameter.

    Randomness is a function of (job.seed, step), so a run resumed from a checkpoint in `job.work` makes the same weights as
    an unbroken one. `splits`: the loss is a mean over rows (or, returned as (mean, weight), over that many things), so that
    several processes may take a part of the rows each; otherwise each computes the whole step. Either way all of them hold one
    model. The losses of all steps are written to `training.json` in `job.out`. Raises WorkFailed when the loss is no longer a
    finite number, UserError for a precision that the device does not have.
    """
    precision = set_precision(module, how.precision)
    # Fused: one pass over the weights instead of ten; of a cross-encoder's step of 0.95 s the update falls from 0.21 to 0.035 s.
    grouped = list(_decayed(groups, how.weight_decay))
    optimizer = torch.optim.AdamW(grouped, lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=device().type in ("cpu", "cuda"))
    scaler = torch.amp.GradScaler(device().type, enabled=precision == "fp16")
    checkpoints = Checkpoints(job.work)
    start, losses, watch = 0, [], _Watch([])
    if saved := checkpoints.load(job.note):
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        scaler.load_state_dict(saved["scaler"])
        start, losses, watch = saved["step"], saved["losses"], _Watch(saved["seen"], saved["best"])
        job.note(f"{label}: resuming at step {start} of {len(plan)}")
    module.train()
    if how.gradient_checkpointing:
        _set_checkpointing(module, True)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    progress = job.progress(label, sum(len(rows) for _, rows in plan), unit, interruptible=False)  # a checkpoint comes first
    progress.advance(sum(len(rows) for _, rows in plan[:start]))

    def gradients(epoch: int, rows: list[int], done: int) -> float:
        """The loss of a step, whose gradients are in the parameters' `grad` afterwards; may be called again."""
        seed_all(_mixed(job.seed, done))
        part = collectives.rows_of_this_rank(rows) if splits else rows
        found = loss(epoch, part, done / len(plan))
        value, weight = found if isinstance(found, tuple) else (found, len(part))
        if splits:
            value = collectives.scale_mean(value, weight)
        parallel.zero_gradients(module, parameters)
        scaler.scale(value if splits else value / collectives.world_size()).backward()
        return collectives.all_reduce(float(value.detach())) if splits else float(value.detach())

    def state() -> dict[str, Any]:
        return {
            "module": module.state_dict(), "optimizer": optimizer.state_dict(), "scaler": scaler.state_dict(),
            "step": done, "losses": losses, "seen": watch.seen, "best": watch.best,
        }  # fmt: skip

    def keep() -> None:
        if collectives.rank() == 0:
            interruption.extend_deadline()
            checkpoints.save(state())

    began = last_saved = time.monotonic()
    done, whole = start, True  # whole: weights and optimiser are those after `done` steps
    try:
        while done < len(plan) and not (held_out and watch.tired(held_out.patience)):
            epoch, rows = plan[done]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _rate(done, len(plan), how.warmup, group["frozen"], how.scheduler)
            step = partial(gradients, epoch, rows, done)
            # One of several processes can't begin anew: the others wait for its part of the sums.
            losses.append(token_budget.retry_out_of_memory(step, job, label) if collectives.world_size() == 1 else step())
            if not math.isfinite(losses[-1]):
                raise WorkFailed(
                    f"{label}: the loss is {losses[-1]} at step {done + 1} of {len(plan)}. "
                    "Try a lower learning_rate, and look at the scores of the training rows."
                )
            whole = False
            collectives.all_reduce_gradients(parameters)
            scaler.unscale_(optimizer)
            _clip(parameters, how.clip)
            scaler.step(optimizer)
            scaler.update()
            done, whole = done + 1, True
            progress.advance(len(rows), f"loss {np.mean(losses[-20:]):.3f}")
            if held_out and (done % held_out.every == 0 or done == len(plan)):
                watch.ask(held_out, module, done)
            if done < len(plan) and (interruption.requested() or time.monotonic() - last_saved > CHECKPOINT_SECONDS):
                last_saved = time.monotonic()
                interruption.raise_if_interrupted()
                keep()
    except interruption.Interrupted:  # after a step, or, where one takes long, within it
        if whole:
            del losses[done:]
            keep()
            job.note(f"{label}: checkpoint at step {done} of {len(plan)}")
        raise
    finally:
        checkpoints.close()
    if watch.best is not None:
        module.load_state_dict(watch.best)
        at, best = min(watch.seen, key=lambda pair: pair[1])
        job.counts.update(held_out_loss=best, best_step=at)
        job.note(f"{label}: held-out loss {best:.4f} after step {at}, the best of {len(watch.seen)}; its weights are kept")
    if how.gradient_checkpointing:
        _set_checkpointing(module, False)
    module.eval()
    if done:
        last_epoch, last_rows = plan[done - 1]

        def last_loss() -> float:
            with torch.no_grad():
                found = loss(last_epoch, last_rows[:LOOKED_AT], 1.0)
            return float(found[0] if isinstance(found, tuple) else found)

        validation.after_last_update(module, label, done, len(plan), last_loss, [value for _, value in watch.seen])
    curve = TrainingCurve(losses=tuple(losses), held_out=tuple(watch.seen))
    (job.out / "training.json").write_text(curve.model_dump_json() + "\n", encoding="utf-8")
    tenth = max(1, len(losses) // 10)
    return Fitted(
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
                part.gradient_checkpointing_enable({"use_reentrant": False})
            else:
                part.gradient_checkpointing_disable()


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


def _clip(parameters: Sequence[torch.nn.Parameter], most: float) -> None:
    """Scale the gradients so that their norm is at most `most`.

    To the bit what torch's `clip_grad_norm_` does, which also multiplies by 1: a hundredth of a cross-encoder's step.
    """
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if not most / (norm + 1e-6) >= 1:
        torch.nn.utils.clip_grads_with_norm_(parameters, most, norm)


def _rate(step: int, steps: int, warmup: float, frozen: float, scheduler: str = "linear") -> float:
    """Share of the peak learning rate at `step`: 0 while frozen, then a linear rise over `warmup` of the rest, then a fall."""
    first = round(frozen * steps)
    if step < first:
        return 0.0
    steps, step = steps - first, step - first
    rise = max(1, round(warmup * steps))
    if step < rise:
        return (step + 1) / rise
    left = max(0.0, (steps - step) / max(1, steps - rise))
    return {"linear": left, "cosine": 0.5 * (1 - math.cos(math.pi * left)), "constant": 1.0}[scheduler]


def _mixed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint32)[0])


def trainable(module: torch.nn.Module) -> list[tuple[str, torch.nn.Parameter]]:
    """The named parameters that take gradients, each once even when shared."""
    return [(name, p) for name, p in module.named_parameters() if p.requires_grad]
