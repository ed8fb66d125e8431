"""How many tokens are computed at once, and what is done where a GPU's memory is too small for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from adapt.errors import WorkFailed
from adapt.job import Job
from adapt.runtime.device import device

# On a CPU what passes between two layers must stay in a core's cache: 1.1 to 1.3 times faster than with 4,096 tokens in fp32; in
# bf16 512 to 4,096 are alike.
TOKENS = {"cpu": 1_024, "cuda": 16_384, "mps": 4_096}
MIN_TOKENS = 256  # tokens; a GPU that has no room for so few has none for the model

Found = TypeVar("Found")


@dataclass
class _Limit:
    tokens: int | None = None


_limit = _Limit()


def tokens_per_pass() -> int:
    """How many padded tokens share a forward pass."""
    return _limit.tokens or TOKENS.get(device().type, TOKENS["cuda"])


def out_of_memory_before() -> bool:
    """Whether memory ran out before: activations of a group of texts are then computed again in the backward pass."""
    return _limit.tokens is not None


def retry_out_of_memory(work: Callable[[], Found], job: Job, label: str) -> Found:
    """What `work` returns; where memory runs out it is done again with half as many tokens at once, and this is said.

    The mathematics stays the same: groups are smaller, and in training their activations are computed again in the backward pass,
    as in gradient caching. `work` must be able to begin anew. Raises WorkFailed where LEAST tokens are too many.
    """
    while True:
        try:
            return work()
        except torch.OutOfMemoryError as error:
            reason = str(error).partition(". ")[0]  # the error itself holds on to the tensors of its frames
        if tokens_per_pass() <= MIN_TOKENS:
            raise WorkFailed(
                f"{label}: {reason}, for {tokens_per_pass()} tokens at once. Try a lower max_length or batch_size, precision bf16, "
                "or ADAPT_DEVICE=cpu"
            )
        _limit.tokens = tokens_per_pass() // 2
        empty_gpu_cache()
        job.note(f"{label}: {reason}; going on with {_limit.tokens:,} tokens at once")


def empty_gpu_cache() -> None:
    """Give back to the GPU what no tensor uses any more."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
