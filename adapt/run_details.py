"""Details of a run beside `results.json`, as typed values: what stages write next to their output, and the per-example comparison.

Metrics are fractions, cosines lie in -1 to 1. Histograms have equal bins over the range that their docstring names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

PER_EXAMPLE, PER_EXAMPLE_VERSION = "per_example.json", 1
Counts = dict[str, tuple[int, ...]]  # {series: count of each bin}


class Detail(BaseModel):
    """A frozen value. Fields of other versions are ignored: stages keep their output between versions."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="constants")


# ------------------------------------------------------------------------------------------------ beside a stage's output


class TrainingCurve(Detail):
    """`training.json`: the loss of every step, and (step, loss on held-out rows) of every evaluation."""

    losses: tuple[float, ...]
    held_out: tuple[tuple[int, float], ...] = ()


class MiningReport(Detail):
    """`analysis.json` of mining: cosines (-1 to 1) of queries with positives, mined negatives and random passages.

    `overlap_with_positives`: the overlap coefficient of a series and the positives, 0 to 1. `cross_encoder_positive_rate`: the
    share that the cross-encoder scores at 0.5 or above, of the pairs in each group that it scored; empty without one.
    """

    histograms: Counts
    overlap_with_positives: dict[str, float] = {}
    cross_encoder_positive_rate: dict[str, float] = {}


class TargetDistance(Detail):
    """Total variation, 0 to 1, between a histogram of scores and the one that it should have."""

    to: Literal["gold", "uniform"]
    before: float  # of all candidates
    after: float  # of the silver pairs


class SilverSummary(Detail):
    """`summary.json` of silver pairs: histograms of scores (0 to 1) of candidates, silver and gold, and how they were labelled.

    Counts of units, candidates and samplers are in `model_extra`.
    """

    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")
    histogram: Counts = {}
    pairs: int
    mean: float | None = None
    agreement: dict[str, float | tuple[float, float]] = {}  # of the cross-encoder with held-out gold; intervals are [low, high]
    distance: TargetDistance | None = None

    def facts(self) -> list[tuple[str, float]]:
        """(name, number) of everything but the histograms."""
        extra: Mapping[str, object] = self.model_extra or {}
        found: dict[str, object] = {"pairs": self.pairs}
        found |= {name: value for name, value in extra.items() if name not in ("distance_before", "distance_after")}
        found |= {f"agreement, {name}": value for name, value in self.agreement.items()}
        if self.distance:
            found |= {"distance before": self.distance.before, "distance after": self.distance.after}
        found["mean"] = self.mean
        return [(name, value) for name, value in found.items() if isinstance(value, (int, float))]


# ------------------------------------------------------------------------------------------------ base and final by example


class ItemChange(Detail):
    """One test item: its texts, its value with the base and with the final model, and the difference."""

    texts: tuple[str, ...]
    base: float
    final: float
    gain: float


class Gains(Detail):
    """How many items are better, the same and worse; `items`, best gain first, evenly thinned where there are many."""

    better: int
    same: int
    worse: int
    items: tuple[ItemChange, ...]


class Hit(Detail):
    """A passage among the nearest neighbours of a query."""

    id: str
    text: str
    relevant: bool
    cosine: float


class RelevantPassage(Detail):
    """A relevant passage of a query and its rank with either model; None below rank 1,000."""

    id: str
    text: str
    base_rank: int | None
    final_rank: int | None


class QueryNeighbours(Detail):
    """A query with the nearest passages of either model; `base` and `final` are the values of the metric."""

    query: str
    change: Literal["gained", "unchanged", "lost"]
    base: float
    final: float
    base_hits: tuple[Hit, ...]
    final_hits: tuple[Hit, ...]
    relevant: tuple[RelevantPassage, ...]


class CosineDistribution(Detail):
    """Cosines of several series of text pairs with one model: histograms (-1 to 1), means, overlap with the first series."""

    counts: Counts
    means: dict[str, float]
    overlap: dict[str, float]


class CosineComparison(Detail):
    """The same series of text pairs with the base and with the final model."""

    series: tuple[str, ...]
    base: CosineDistribution
    final: CosineDistribution


class CheckComparison(Detail):
    """Base and final by item of one check; a part that its kind does not have is missing."""

    kind: str
    metric: str
    items: int = 0
    gains: Gains | None = None
    neighbours: tuple[QueryNeighbours, ...] = ()
    cosines: CosineComparison | None = None


class PerExampleComparison(Detail):
    """`per_example.json`: base and final by item of each target check's test data, the gate's target first.

    `key` identifies the models and data that are compared.
    """

    schema_version: Literal[1] = 1
    key: str = ""
    checks: dict[str, CheckComparison] = {}
