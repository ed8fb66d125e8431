"""How fast a model encodes, and how large it is: latency of one query, texts per second in batches, bytes and numbers."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

COUNTERS = {"I64", "I32", "BOOL"}  # positions and masks that are saved beside the weights


def measure(encode: Callable[[Sequence[str]], np.ndarray], queries: Sequence[str], passages: Sequence[str]) -> dict[str, float]:
    """Latency of single queries in milliseconds (median, 95th percentile), passages per second, the width of a vector.

    Tokenising is part of it, loading and a warm-up are not. `encode` should keep no vectors.
    """
    encode(list(queries[:2]) + list(passages[:8]))
    waits = []
    for query in queries:
        start = time.perf_counter()
        encode([query])
        waits.append(1_000 * (time.perf_counter() - start))
    start = time.perf_counter()
    vectors = encode(passages)
    seconds = time.perf_counter() - start
    return {
        "latency_ms_p50": float(np.median(waits)),
        "latency_ms_p95": float(np.quantile(waits, 0.95)),
        "texts_per_second": len(passages) / seconds,
        "dimensions": float(np.shape(vectors)[1]),
    }


def size(folder: Path) -> dict[str, float]:
    """A model folder's weights in MB (10⁶ bytes) and, where they are safetensors, how many parameters they are.

    Read from the files' headers; nothing is loaded. Pickled weights beside safetensors are a copy, and not counted.
    """
    tensors = sorted(folder.rglob("*.safetensors"))
    files = tensors or sorted(folder.rglob("pytorch_model*.bin"))
    found = {"megabytes": sum(file.stat().st_size for file in files) / 1e6}
    if tensors:
        found["parameters"] = float(sum(map(_parameters, tensors)))
    return found


def _parameters(file: Path) -> int:
    """Numbers in a safetensors file that training may move: eight bytes tell how long the JSON header is."""
    with open(file, "rb") as opened:
        header = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
    header.pop("__metadata__", None)
    return sum(math.prod(tensor["shape"]) for tensor in header.values() if tensor["dtype"] not in COUNTERS)
