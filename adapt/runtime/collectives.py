"""Several processes that train one model: each takes a part of a step's rows, gradients are added up.

Started by torchrun or `--nproc`; in a single process every function here does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import torch
from torch import distributed


def join() -> None:
    """Meet the other processes that torchrun started; does nothing the second time."""
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(days=1))


def wait() -> None:
    """Return when every process has come here."""
    if count() > 1:
        total(0.0)


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 to count - 1; process 0 writes the files."""
    return distributed.get_rank() if count() > 1 else 0


def part(rows: list[int]) -> list[int]:
    """This process's rows of a step; fewer rows than processes are computed by all, at a share of the weight each."""
    return rows[rank() :: count()] if len(rows) >= count() else rows


def weighted(mean: torch.Tensor, weight: int) -> torch.Tensor:
    """A mean over this process's `weight` things, scaled so that the sum over processes is the mean over all things."""
    if count() == 1:
        return mean
    return mean * (weight / total(float(weight)))


def total(value: float) -> float:
    """The sum of a number over all processes."""
    if count() == 1:
        return value
    held = torch.tensor([value], dtype=torch.float64)
    distributed.all_reduce(held)
    return float(held)


def add_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Sum each gradient over all processes; a parameter without one takes part with zeros, so that all have the same."""
    if count() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
