"""adapt: make a text-embedding model good at your domain, by a recipe of stages that are evaluated one by one.

    run             run a recipe: `adapt.run("medical-recipe")`
    load_recipe     read and check a recipe
    run_stage       run a single stage; each stage is a function, too: tsdae, cross_encoder, silver, mine, finetune, pairs, ...
    evaluate        a model's metrics on labelled data
    compare         two models on the same items: paired differences, intervals, p
    losses          the losses as modules for sentence-transformers' SentenceTransformerTrainer
    UserError, WorkFailed   the exceptions that these raise

>>> import adapt
>>> tuned = adapt.tsdae(model="all-MiniLM-L6-v2", texts=["Aspirin thins the blood.", ...])  # doctest: +SKIP
>>> adapt.compare("all-MiniLM-L6-v2", tuned, sts=[("a cat", "a kitten", 0.9), ...])  # doctest: +SKIP

Everything is imported when it is first used: `import adapt` loads no torch.
"""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapt.api import compare, evaluate, load_recipe, run, run_stage
    from adapt.errors import UserError, WorkFailed

__version__ = "0.1.0"
__all__ = ["UserError", "WorkFailed", "__version__", "compare", "evaluate", "load_recipe", "run", "run_stage"]

_FROM = {
    **dict.fromkeys(("compare", "evaluate", "load_recipe", "run", "run_stage"), "adapt.api"),
    **dict.fromkeys(("UserError", "WorkFailed"), "adapt.errors"),
}

# OpenMP's threads spin while they wait, and slow down other processes on the same cores: with two busy processes on two cores
# training is three times slower, and twice where waiting threads sleep (scripts/bench/loaded). OpenMP reads this when torch is
# loaded, so it is set here.
if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & os.environ.keys():
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def __getattr__(name: str) -> object:
    """A public name, a subpackage, or a stage as a function."""
    if name in _FROM:
        found: object = getattr(importlib.import_module(_FROM[name]), name)
        globals()[name] = found
        return found
    if not name.startswith("_"):
        if find_spec(f"adapt.{name}"):
            return importlib.import_module(f"adapt.{name}")
        from adapt import stages

        if name.replace("_", "-") in stages.names():
            from adapt.stage_functions import stage_function

            return stage_function(name)
    raise AttributeError(f"module 'adapt' has no attribute '{name}'")


def __dir__() -> list[str]:
    from adapt import stages

    return sorted({*__all__, "losses", *(name.replace("-", "_") for name in stages.names())})
