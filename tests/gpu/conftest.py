"""Results on a GPU compared with the CPU; skipped without a GPU: `pytest -m gpu`."""

from __future__ import annotations

import os

import pytest


def pytest_collection_modifyitems(items):
    import torch

    for item in items:
        if "/gpu/" in str(item.path).replace(os.sep, "/"):
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no GPU"))


@pytest.fixture
def on():
    """`on("cuda", "bf16")`: from here to the test's end, models compute there in that precision."""
    from adapt.inference import model_cache, token_budget
    from adapt.runtime import device
    from adapt.runtime.precision import fast_bfloat16

    before = {name: os.environ.get(name) for name in ("ADAPT_DEVICE", "ADAPT_PRECISION")}

    def move(where: str, precision: str = "fp32") -> None:
        os.environ.update(ADAPT_DEVICE=where, ADAPT_PRECISION=precision)
        device.device.cache_clear()
        fast_bfloat16.cache_clear()
        model_cache.clear()
        token_budget._limit.tokens = None

    yield move
    move("cpu")
    for name, value in before.items():
        if value is None:
            os.environ.pop(name)
        else:
            os.environ[name] = value
