"""The number of tokens per forward pass, which is halved where a GPU runs out of memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from adapt.errors import WorkFailed
from adapt.job import Job
from adapt.runtime.device import device

# On a CPU the activations between two layers should fit into a core's cache: 1.1 to 1.3 times faster than 4,096 tokens in fp32.
# In bf16, 512 to 4,096 are equally fast.
TOKENS = {"cpu": 1_024, "cuda": 16_384, "mps": 4_096}
MIN_TOKENS = 256  # a GPU without memory for so few has none for the model

Result = TypeVar("Result")


@dataclass
class _Limit:
    tokens: int | None = None


_limit = _Limit()


def tokens_per_pass() -> int:
    """Padded tokens of one forward pass."""
    return _limit.tokens or TOKENS.get(device().type, TOKENS["cuda"])


def out_of_memory_before() -> bool:
    """Whether memory has run out in this process: activations are then recomputed in the backward pass."""
    return _limit.tokens is not None


def retry_out_of_memory(work: Callable[[], Result], job: Job, label: str) -> Result:
    """The result of `work`, repeated with half the tokens per pass, and a note, whenever memory runs out.

    The result is mathematically the same: groups are smaller, and training recomputes their activations in the backward pass, as
    in gradient caching. `work` must be repeatable. Raises WorkFailed where MIN_TOKENS do not fit.
    """
    while True:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0]  # the error keeps its frames' tensors alive
        if tokens_per_pass() <= MIN_TOKENS:
            raise WorkFailed(
                f"{label}: {reason}, for {tokens_per_pass()} tokens per pass. Try a lower max_length or batch_size, "
                "precision bf16, or ADAPT_DEVICE=cpu"
            )
        _limit.tokens = tokens_per_pass() // 2
        empty_gpu_cache()
        job.note(f"{label}: {reason}; continuing with {_limit.tokens:,} tokens per pass")


def empty_gpu_cache() -> None:
    """Return cached GPU memory that no tensor uses; does nothing without a GPU."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
