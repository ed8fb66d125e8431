"""Data-parallel training over several processes: each computes a part of a step's rows, and gradients are summed.

The processes are launched by torchrun or `--nproc`. In a single process every function here returns its input unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import torch
from torch import distributed


def initialise() -> None:
    """Initialise torch's default process group; does nothing where it is initialised already."""
    if not distributed.is_initialized():
        distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=timedelta(days=1))


def barrier() -> None:
    """Block until every process has reached this call."""
    if world_size() > 1:
        all_reduce(0.0)


def world_size() -> int:
    """Number of processes that train together, at least 1."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """This process's number, 0 to world_size - 1; rank 0 writes the files."""
    return distributed.get_rank() if world_size() > 1 else 0


def rows_of_this_rank(rows: list[int]) -> list[int]:
    """This process's rows of a step; fewer rows than processes are computed by all of them, each with an equal weight."""
    return rows[rank() :: world_size()] if len(rows) >= world_size() else rows


def scale_mean(mean: torch.Tensor, weight: int) -> torch.Tensor:
    """Scale a mean over this process's `weight` items so that the sum over processes is the mean over all items."""
    if world_size() == 1:
        return mean
    return mean * (weight / all_reduce(float(weight)))


def all_reduce(value: float) -> float:
    """The sum of a number over all processes."""
    if world_size() == 1:
        return value
    summed = torch.tensor([value], dtype=torch.float64)
    distributed.all_reduce(summed)
    return float(summed)


def all_reduce_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Sum each gradient over all processes, in place; a parameter without a gradient contributes zeros."""
    if world_size() == 1:
        return
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        distributed.all_reduce(parameter.grad)
