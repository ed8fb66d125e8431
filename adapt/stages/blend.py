"""Weight interpolation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder
from adapt.stages import Share, Stage


class Blend(Stage):
    """Interpolate between the weights of two models of the same architecture.

    The result is `other + alpha · (model - other)`, as in WiSE-FT (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
    Blending a tuned model with its base reduces forgetting, at some cost in the target domain.
    """

    output_name: ClassVar[str] = "blended"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"other": ("base",)}
    example: ClassVar[str] = "adapt blend --model tuned --other all-MiniLM-L6-v2 --alpha 0.5 --out blended"

    alpha: Share = Field(0.5, description="weight of the model: 0 gives the other model, 1 the model")

    def run(self, model: EncoderFolder, other: EncoderFolder, job: Job) -> EncoderFolder:
        """The blended encoder, in `job.out / "model"`. Raises UserError where the two have other weights by name or shape."""
        from adapt.models.interpolation import interpolate

        return Encoder(interpolate(other.path, model.path, self.alpha, job.out / "model"))
