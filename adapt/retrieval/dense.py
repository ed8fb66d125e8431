"""Nearest neighbours by dot product, exact, block by block: memory is bounded for any number of texts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from adapt.retrieval import topk
from adapt.retrieval.topk import TIE, best

if TYPE_CHECKING:
    import torch

__all__ = ["TIE", "best", "top"]

QUERIES, CORPUS = 1_024, 2_048  # a block of scores takes 8 MiB and stays in the processor's cache
GPU_BLOCK = 32_768  # passages per block on a GPU: with 1,024 queries 0.8 GB for scores, 8-byte keys and their copy
WIDE = 8  # blocks of the corpus at once without compiled code: 0.78 s instead of 1.44 (2,000 × 20,000), half the queries per block


def top(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows of `corpus` [n, d] for each row of `queries` [q, d]: (indices [q, k], scores [q, k]), best first.

    For unit vectors this is cosine similarity. k is reduced to n; ties (to six digits) go to the lower index.
    """
    k = min(k, len(corpus))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    if uses_gpu(len(queries), len(corpus)) and (gpu := _gpu()) is not None:
        return on_gpu(queries, corpus, k, gpu)
    search, size = (_compiled, QUERIES) if topk.pays(len(queries), len(corpus)) else (_merged, -(-QUERIES // 2))
    for start in range(0, len(queries), size):
        rows = slice(start, min(start + size, len(queries)))
        indices[rows], scores[rows] = search(queries[rows], corpus, k)
    return indices, scores


def uses_gpu(queries: int, passages: int) -> bool:
    """Whether `top` searches on a GPU: for a large search if a GPU is available."""
    return queries * passages >= topk.COMPILED and _gpu() is not None


def _compiled(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of all blocks of the corpus; each thread selects in its part of a block's rows."""
    held, threads = topk.Held(len(queries), k), topk.threads()
    parts = [slice(i * len(queries) // threads, (i + 1) * len(queries) // threads) for i in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(corpus), CORPUS):
            block = queries @ corpus[start : start + CORPUS].T
            list(pool.map(lambda rows, block=block, start=start: held.show(block[rows], start, rows), parts))
    return held.sorted()


def _merged(queries: np.ndarray, corpus: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The same without compiled code; earlier results come first, so that ties go to the lower index."""
    indices = np.empty((len(queries), 0), dtype=np.int64)
    values = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(corpus), WIDE * CORPUS):
        block = queries @ corpus[start : start + WIDE * CORPUS].T
        columns = best(block, min(k, block.shape[1]))
        indices = np.concatenate([indices, columns + start], axis=1)
        values = np.concatenate([values, np.take_along_axis(block, columns, axis=1)], axis=1)
        if start:
            order = best(values, min(k, values.shape[1]))
            indices, values = np.take_along_axis(indices, order, axis=1), np.take_along_axis(values, order, axis=1)
    return indices, values


def _gpu() -> torch.device | None:
    from adapt.runtime.device import device

    return device() if device().type == "cuda" else None


def on_gpu(queries: np.ndarray, corpus: np.ndarray, k: int, device: torch.device) -> tuple[np.ndarray, np.ndarray]:
    """The same on a torch device, in fp32: scores take so little of the time that bf16 with a second pass is not faster.

    A score and its index are packed into one key of 64 bits (millionths in the upper half, the negated index in the lower), so
    that one top-k of integers orders ties by index. Passages are copied once per 1,024 queries, from pinned memory and in
    parallel with the search of the block before.
    """
    import torch

    low = 2**32  # the lower half of a key
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    whole = torch.from_numpy(np.ascontiguousarray(corpus, dtype=np.float32))
    if device.type == "cuda":
        whole = whole.pin_memory()
    with torch.inference_mode():
        for first in range(0, len(queries), QUERIES):
            rows = slice(first, min(first + QUERIES, len(queries)))
            block_queries = torch.from_numpy(np.ascontiguousarray(queries[rows], dtype=np.float32)).to(device)
            keys = torch.empty((len(block_queries), 0), dtype=torch.int64, device=device)
            values = torch.empty((len(block_queries), 0), dtype=torch.float32, device=device)
            for start in range(0, len(corpus), GPU_BLOCK):
                block = block_queries @ whole[start : start + GPU_BLOCK].to(device, non_blocking=True).T
                columns = torch.arange(start, start + block.shape[1], device=device)
                block_keys = (block.double() * 1e6).round_().long() * low + (low - 1 - columns)
                block_keys, columns = block_keys.topk(min(k, block_keys.shape[1]), dim=1)
                keys, values = torch.cat([keys, block_keys], 1), torch.cat([values, block.gather(1, columns)], 1)
                keys, order = keys.topk(min(k, keys.shape[1]), dim=1)
                values = values.gather(1, order)
            indices[rows] = (low - 1 - keys % low).cpu().numpy()
            scores[rows] = values.cpu().numpy()
    return indices, scores
