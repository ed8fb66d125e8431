"""How fast a model encodes: latency of one query, texts per second in batches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np


def measure(encode: Callable[[Sequence[str]], object], queries: Sequence[str], passages: Sequence[str]) -> dict[str, float]:
    """Median and 95th percentile latency of single queries in milliseconds, and passages per second; warm-up outside."""
    encode(list(queries[:2]) + list(passages[:8]))
    waits = []
    for query in queries:
        start = time.perf_counter()
        encode([query])
        waits.append(1_000 * (time.perf_counter() - start))
    start = time.perf_counter()
    encode(passages)
    seconds = time.perf_counter() - start
    return {
        "latency_ms_p50": float(np.median(waits)),
        "latency_ms_p95": float(np.quantile(waits, 0.95)),
        "texts_per_second": len(passages) / seconds,
    }
