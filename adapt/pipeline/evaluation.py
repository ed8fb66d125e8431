"""Evaluation of the models of one run on the data of its checks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from adapt import checks
from adapt.checks import Measurement, leakage
from adapt.job import Job
from adapt.pipeline.measurements import Measurements
from adapt.pipeline.plan import check_digests
from adapt.recipe import Recipe
from adapt.records import CrossEncoder, Encoder


class Evaluator:
    """Measures models by a recipe's checks, golden ones excepted; results are cached in `root`/measurements."""

    def __init__(self, recipe: Recipe, root: Path, job: Job):
        self.recipe = recipe
        self.measurements = Measurements(job, root / "measurements", options=recipe.read_options())
        self.digests = check_digests(recipe)

    def measure(
        self, model: Encoder | CrossEncoder, split: str, only: Callable[[str], bool] = lambda check: True
    ) -> dict[str, Measurement]:
        """{check: measurement} on `dev` or `test` data; a cross-encoder is measured by checks that need pair scores alone."""
        return {
            name: self.measurements.measure(model, spec.kind, spec.sources()[split], split, self.digests[name][split])
            for name, spec in self.recipe.checks.items()
            if split in spec.sources()
            and spec.role != "golden"
            and only(name)
            and (isinstance(model, Encoder) or not checks.find(spec.kind).needs_embeddings)
        }

    def measure_on_dev(self, model: Encoder | CrossEncoder) -> dict[str, Measurement]:
        """{check: measurement} on dev data: of an encoder by all checks, of a cross-encoder, which is not exported, by targets."""
        if isinstance(model, Encoder):
            return self.measure(model, "dev")
        return self.measure(model, "dev", lambda check: self.recipe.checks[check].role == "target")

    def health(self, model: Encoder) -> dict[str, float] | None:
        """Properties of the embedding space on dev data of the gate's target (without one, of the first target check)."""
        targets = [name for name, spec in self.recipe.checks.items() if spec.dev is not None and spec.role == "target"]
        target = self.recipe.gate.target if self.recipe.gate else None
        check = target.partition(".")[0] if target else next(iter(targets), None)
        if check is None:
            return None
        spec = self.recipe.checks[check]
        assert spec.dev is not None
        return self.measurements.health(model, spec.kind, spec.dev, "dev", self.digests[check]["dev"])

    @cached_property
    def protected_texts(self) -> leakage.ProtectedTexts:
        """The texts of dev and test data of every check; raises UserError with the problems of every file."""
        self.measurements.read_all(self.recipe.checks)  # raises the problems of every file
        return leakage.of_checks(self.recipe.checks, self.measurements.read)
