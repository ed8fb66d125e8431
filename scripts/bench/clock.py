"""Time and memory of two or three implementations, run alternately, and the machine's peak rate beside them."""

import ctypes
import gc
import math
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from adapt.runtime.device import device
from adapt.runtime.environment import environment
from adapt.runtime.precision import fast_bfloat16

Side = Callable[[], float]  # does the work once and says how many seconds counted


@dataclass(frozen=True)
class Arm:
    """A kind of work: this package's way, stock's with its defaults, stock's with its best settings, and what must hold.

    count: things (texts, pairs, queries) in one call. flop: useful ones on real tokens, 0 where that means nothing.
    pack: real tokens over tokens computed. feed: share of our time that is spent in the model. gate: {what: (value, holds)}.
    """

    name: str
    unit: str
    count: int
    ours: Side
    stock: Side
    best: Side
    gate: Callable[[], dict[str, tuple[float, bool]]]
    about: str = ""  # what stock's best settings are
    flop: float = 0.0
    tokens: int = 0
    pack: float = 1.0
    feed: Callable[[], float] | None = None
    warm_up: bool = True  # False: every round counts, and memory is not weighed


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
KIND = ["wall"]  # cpu: seconds of this process alone, for a machine that others use, too; with one thread


def now() -> float:
    """The clock, after the device is synchronised."""
    if device().type == "cuda":
        torch.cuda.synchronize()
    return CLOCKS[KIND[0]]()


def timed(work: Callable[[], Any]) -> float:
    began = now()
    work()
    return now() - began


def peak(work: Callable[[], Any]) -> float:
    """Peak MiB that `work` adds: of GPU memory, or of the process (Linux)."""
    gc.collect()
    if device().type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        allocated = torch.cuda.memory_allocated()
        work()
        return (torch.cuda.max_memory_allocated() - allocated) / 2**20
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what earlier work freed must not hide what this one takes
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the high-water mark falls to what is held now
    except OSError:
        work()
        return math.nan
    before = _status("VmRSS")
    work()
    return (_status("VmHWM") - before) / 2**10


def _status(name: str) -> float:
    with open("/proc/self/status") as file:
        return next(float(line.split()[1]) for line in file if line.startswith(name + ":"))


def _products(a: torch.Tensor, w: torch.Tensor) -> None:
    for _ in range(4):
        torch.nn.functional.linear(a, w)


def probe(seconds: float = 1.0) -> dict[str, float]:
    """GFLOP/s of the GEMM that these models live on, 4096 × 384 × 1536, in fp32 and, where it pays, in bf16."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        if dtype == torch.bfloat16 and not fast_bfloat16():
            continue
        rows = 4096 if device().type == "cpu" else 65_536
        a, w = torch.randn(rows, 384, device=device(), dtype=dtype), torch.randn(1536, 384, device=device(), dtype=dtype)
        rates = []
        began = now()
        while now() - began < seconds:
            rates.append(2 * rows * 384 * 1536 * 4 / timed(partial(_products, a, w)))
        found[name] = statistics.median(rates) / 1e9
    return found


@dataclass
class Result:
    """The measurements of an arm; the ratios are stock's time over ours, pair by pair."""

    name: str
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)
    gate: dict[str, tuple[float, bool]] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def ratio(self, other: str) -> tuple[float, float, float]:
        """(median, lower, upper) of the other side's time over ours: a 95 % bootstrap interval over the pairs."""
        ratios = np.array(self.seconds[other]) / np.array(self.seconds["ours"])
        drawn = np.random.default_rng(0).choice(ratios, (10_000, len(ratios)))
        low, high = np.percentile(np.median(drawn, axis=1), [2.5, 97.5])
        return float(np.median(ratios)), float(low), float(high)


def measure(arm: Arm, pairs: int, say: Callable[[str], None]) -> Result:
    """Warm up each side and measure its memory, then run them alternately, `pairs` times, in alternating order."""
    result = Result(arm.name)
    sides = {"ours": arm.ours, "stock": arm.stock, "best": arm.best}
    for name, side in sides.items():
        result.memory[name] = peak(side) if arm.warm_up else math.nan
        result.seconds[name] = []
    before = probe()
    for turn in range(pairs):
        order = list(sides) if turn % 2 == 0 else list(sides)[::-1]
        for name in order:
            gc.collect()
            result.seconds[name].append(sides[name]())
        say(f"{arm.name} {turn + 1}/{pairs}: " + ", ".join(f"{name} {times[-1]:.2f} s" for name, times in result.seconds.items()))
    after = probe()
    result.gate = arm.gate()
    peaks = {name: statistics.median([before[name], after[name]]) for name in before}
    ours = statistics.median(result.seconds["ours"])
    result.about = {
        "count": arm.count, "unit": arm.unit, "best_settings": arm.about, "probe_before": before, "probe_after": after,
        "per_second": arm.count / ours,
    }  # fmt: skip
    if arm.flop:
        used = max(peaks.values()) * 1e9
        share = {side: arm.flop / statistics.median(times) / used for side, times in result.seconds.items()}
        fed = arm.feed() if arm.feed else None
        result.about |= {"tokens": arm.tokens, "flop": arm.flop, "mfu": share, "pack": arm.pack, "feed": fed}
        if fed:
            result.about["kernel"] = share["ours"] / arm.pack / fed
    return result


def machine() -> dict[str, Any]:
    """Versions, threads and the device in words."""
    import os

    here = environment()
    name = torch.cuda.get_device_name() if device().type == "cuda" else f"{here['processor']}, {here['instructions']}"
    packages = ("sentence-transformers", "transformers", "torch", "numpy", "bm25s", "numba")
    return {
        "device": f"{device().type} ({name})", "threads": torch.get_num_threads(), "python": platform.python_version(),
        "clock": KIND[0], "load": os.getloadavg()[0], "versions": {package: version(package) for package in packages},
    }  # fmt: skip
