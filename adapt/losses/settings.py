"""The settings of each loss of `finetune`: a model for each, so that a loss can't be given what it does not use."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from adapt.settings import NonNegativeFloat, PositiveFloat, PositiveInt, Settings, Share

MANHATTAN = "manhattan"


class LossSettings(Settings):
    """A loss; `examples`: the kinds of rows that it takes."""

    shorthand: ClassVar[str] = "name"
    examples: ClassVar[tuple[str, ...]] = ("scored",)
    name: str

    def takes_pairs(self) -> bool:
        """Whether rows without hard negatives are enough."""
        return False

    def threshold(self) -> float | None:
        """The score from which a scored row counts as a pair; None where scored rows are no pairs."""
        return None

    def margin_problems(self, dimension: int) -> list[str]:
        """What is wrong with a margin for unit vectors of that many dimensions; 0: not known."""
        return []


class RankingLoss(LossSettings):
    """A loss that ranks documents for an anchor."""

    examples: ClassVar[tuple[str, ...]] = ("triplets",)
    negatives: int = Field(1, ge=0, description="hard negatives per anchor and epoch")


class InBatchLoss(RankingLoss):
    """A ranking loss that can take negatives from the batch, in which a guide model can mask false negatives."""

    positive_threshold: Share | None = Field(None, description="lowest score of a positive")
    guide_margin: NonNegativeFloat = Field(0.05, description="mask texts with guide score > positive - margin")
    guide_margin_strategy: Literal["relative", "absolute"] = Field("relative", description="fraction of the score, or cosine")

    def threshold(self) -> float | None:
        return self.positive_threshold


class Mnrl(InBatchLoss):
    """Multiple negatives ranking (InfoNCE): the positive against all other documents of the batch and the hard negatives."""

    examples: ClassVar[tuple[str, ...]] = ("pairs", "triplets")
    name: Literal["mnrl"] = "mnrl"
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the similarities")
    symmetric: bool = Field(False, description="also rank the anchors of the batch for each positive")
    batching: Literal["no_duplicates", "grouped"] = Field("no_duplicates", description="unique texts, or similar rows together")

    def takes_pairs(self) -> bool:
        return True


class Triplet(InBatchLoss):
    """The positive must be nearer than a hard negative, or one chosen in the batch, by a margin."""

    name: Literal["triplet"] = "triplet"
    distance: Literal["squared", "euclidean", "cosine", "manhattan"] = Field("squared", description="between unit vectors")
    margin: PositiveFloat | Literal["soft"] = Field(0.3, description="margin of distances, or soft; contrastive: 0.5")
    in_batch: Literal["none", "batch-hard", "semi-hard", "all"] = Field("none", description="negatives from the batch")

    def takes_pairs(self) -> bool:
        return self.in_batch != "none"

    def margin_problems(self, dimension: int) -> list[str]:
        if self.margin == "soft" or (self.distance == MANHATTAN and not dimension):
            return []
        largest = {"squared": 4.0, "euclidean": 2.0, "cosine": 2.0, "manhattan": 2 * math.sqrt(dimension)}[self.distance]
        return _margin_problems(self.margin, self.distance, largest, 0.3)


class MarginMse(RankingLoss):
    """The teacher's score of the positive less that of a hard negative."""

    name: Literal["margin-mse"] = "margin-mse"


class Cosent(LossSettings):
    """The order of the scores (CoSENT)."""

    name: Literal["cosent"] = "cosent"
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the similarities")


class Angle(LossSettings):
    """The order of the scores, by angles in complex space (AnglE)."""

    name: Literal["angle"] = "angle"
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the similarities")


class Cosine(LossSettings):
    """Squared error of the cosine."""

    name: Literal["cosine"] = "cosine"


class ContrastiveLoss(LossSettings):
    """Reduces the distance of pairs of equal meaning; other pairs should differ by a margin."""

    margin: PositiveFloat = Field(0.5, description="cosine distance that pairs of different meaning should have")
    positive_threshold: Share = Field(0.5, description="score from which the two texts mean the same")

    def margin_problems(self, dimension: int) -> list[str]:
        return _margin_problems(self.margin, "cosine", 2.0, 0.5)


class Contrastive(ContrastiveLoss):
    """Reduces the distance of pairs of equal meaning; other pairs should differ by a margin."""

    name: Literal["contrastive"] = "contrastive"


class OnlineContrastive(ContrastiveLoss):
    """`contrastive` on the hard pairs of each batch."""

    name: Literal["online-contrastive"] = "online-contrastive"


class Softmax(LossSettings):
    """A classifier of labelled pairs (natural language inference)."""

    examples: ClassVar[tuple[str, ...]] = ("labelled",)
    name: Literal["softmax"] = "softmax"


LOSSES: tuple[type[LossSettings], ...] = (
    Mnrl, Triplet, MarginMse, Cosent, Angle, Cosine, Contrastive, OnlineContrastive, Softmax,
)  # fmt: skip
LOSS_NAMES = [loss.tag() for loss in LOSSES]


def _named(value: object) -> object:
    """`mnrl` as {name: mnrl}; settings without a name are mnrl's."""
    if isinstance(value, dict):
        return {"name": "mnrl", **value}
    return {"name": value} if isinstance(value, str) else value


Loss = Annotated[
    Mnrl | Triplet | MarginMse | Cosent | Angle | Cosine | Contrastive | OnlineContrastive | Softmax,
    Field(discriminator="name"),
    BeforeValidator(_named),
]


class Matryoshka(Settings):
    """Shorter embeddings, at which the loss is taken too: `matryoshka: [256, 128]`."""

    shorthand: ClassVar[str] = "dims"
    prefix: ClassVar[str] = "matryoshka_"
    dims: tuple[PositiveInt, ...] = Field((), description="shorter embedding dimensions to train, too")
    weights: tuple[PositiveFloat, ...] = Field((), description="weight of each of these dimensions; default: 1")


def losses_with(setting: str) -> list[str]:
    """The names of the losses that have this setting."""
    return [loss.tag() for loss in LOSSES if setting in loss.model_fields]


def _margin_problems(margin: float, distance: str, largest: float, default: float) -> list[str]:
    if margin < largest:
        return []
    return [
        f"margin {margin:g} can't be met: on unit vectors the {distance} distance is at most {largest:g}, so that the loss would "
        f"never be 0. Lower it; the default is {default:g}"
    ]
