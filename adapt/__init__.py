"""adapt: make any text-embedding model good at your domain, by a recipe of stages that are checked one by one.

>>> import adapt
>>> recipe = adapt.load_recipe("smoke")
>>> results = adapt.run(recipe, "runs/smoke")  # doctest: +SKIP
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

# OpenMP's threads spin while they wait, and take the time of whoever shares the cores: with two busy processes on two cores
# training is three times slower, and twice where waiting threads sleep (scripts/bench/loaded). OpenMP reads this when torch is
# loaded, so it is set here.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapt.recipe import Recipe
    from adapt.results import RunResult

__version__ = "0.1.0"
__all__ = ["__version__", "compare", "load_recipe", "run"]


def load_recipe(name: str, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by path or shipped name, with `path.to.setting=value` overrides; raises UserError with all its problems."""
    from adapt.recipe import loading

    return loading.load(name, overrides)


def run(recipe: Recipe, out: str | Path, **options: Any) -> RunResult:
    """Carry out a recipe in a folder; see `adapt.pipeline.runner.run`."""
    from adapt.pipeline.runner import run as carry_out

    return carry_out(recipe, Path(out), **options)


def compare(first: str, second: str, kind: str, data: str, seed: int = 0) -> dict[str, Any]:
    """{metric: paired difference second - first with its interval} of two models on one check's data."""
    from adapt.pipeline.comparison import differences
    from adapt.pipeline.measurements import measure_each

    before, after = measure_each((first, second), {kind: (kind, data)}, "test")
    return {metric.partition(".")[2]: delta for metric, delta in differences(before, after, seed).items()}
