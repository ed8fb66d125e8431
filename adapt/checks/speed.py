"""Measure a model's encoding speed and size: latency of a query, texts per second in batches, bytes and parameters."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

COUNTERS = {"I64", "I32", "BOOL"}  # dtypes of positions and masks, which are saved with the weights but are not parameters


def measure(encode: Callable[[Sequence[str]], np.ndarray], queries: Sequence[str], passages: Sequence[str]) -> dict[str, float]:
    """Latency of single queries in milliseconds (median, 95th percentile), passages per second, embedding dimensions.

    The time includes tokenization, but not loading and a warm-up. `encode` must not cache embeddings.
    """
    encode(list(queries[:2]) + list(passages[:8]))
    latencies = []
    for query in queries:
        start = time.perf_counter()
        encode([query])
        latencies.append(1_000 * (time.perf_counter() - start))
    start = time.perf_counter()
    embeddings = encode(passages)
    seconds = time.perf_counter() - start
    return {
        "latency_ms_p50": float(np.median(latencies)),
        "latency_ms_p95": float(np.quantile(latencies, 0.95)),
        "texts_per_second": len(passages) / seconds,
        "dimensions": float(np.shape(embeddings)[1]),
    }


def size(folder: Path) -> dict[str, float]:
    """A model folder's weights in MB (10⁶ bytes) and, for safetensors, the number of parameters.

    From the files' headers, without loading. Pickled weights beside safetensors are duplicates and are not counted.
    """
    tensors = sorted(folder.rglob("*.safetensors"))
    files = tensors or sorted(folder.rglob("pytorch_model*.bin"))
    sizes = {"megabytes": sum(file.stat().st_size for file in files) / 1e6}
    if tensors:
        sizes["parameters"] = float(sum(map(_parameters, tensors)))
    return sizes


def _parameters(file: Path) -> int:
    """The number of parameters in a safetensors file; its first eight bytes are the length of the JSON header."""
    with open(file, "rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    header.pop("__metadata__", None)
    return sum(math.prod(tensor["shape"]) for tensor in header.values() if tensor["dtype"] not in COUNTERS)
