"""Results of commands that are no single run: an ablation, and the comparison of two models."""

from __future__ import annotations

from typing import Literal

from adapt.results.values import Difference, Fraction, Role, Value


class Contribution(Difference):
    """What steps add to one metric: the whole recipe (`final`) less the recipe without them (`without`)."""

    metric: str
    role: Role
    without: Fraction
    final: Fraction


class AblationRow(Value):
    """The steps that were left out together, and their contribution to each check's main metric."""

    without: tuple[str, ...]
    contributions: tuple[Contribution, ...]


class Ablation(Value):
    """What `adapt ablate` finds, and `ablation.json` holds; `skipped`: sentences on steps that could not be left out."""

    schema_version: Literal[1] = 1
    recipe: str
    split: Literal["dev", "test"]
    rows: tuple[AblationRow, ...]
    skipped: tuple[str, ...] = ()


class Promotion(Value):
    """Whether the second of two compared models may replace the first."""

    promote: bool
    sentence: str
