"""Settings of training that stages share, and those of one run as the training loop takes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import Field

from adapt.settings import NonNegativeFloat, PositiveInt, Settings, Share


class OptimizerSettings(Settings):
    """AdamW and its learning-rate schedule."""

    warmup_ratio: Share = Field(0.1, description="fraction of the steps with a rising learning rate")
    lr_scheduler: Literal["linear", "cosine", "constant"] = Field("linear", description="learning rate after the warm-up")
    weight_decay: NonNegativeFloat = Field(0.01, description="weight decay of AdamW, for matrices only")


class EarlyStoppingSettings(Settings):
    """Early stopping on the loss of held-out rows, after which the best weights are kept; off while `held_out` is 0."""

    held_out: Share = Field(0.0, description="fraction of the rows held out for early stopping")
    patience: PositiveInt = Field(3, description="evaluations without improvement before stopping")


@dataclass(frozen=True)
class TrainingSettings:
    """How long and how a model is trained. `precision`: see `adapt.models.mixed_precision.set_precision`."""

    epochs: int = 1
    max_steps: int | None = None
    batch_size: int = 32
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    precision: str = "auto"
    gradient_checkpointing: bool = False
    patience: int = 3
    max_grad_norm: float = 1.0
