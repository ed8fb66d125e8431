"""Mix the weights of the model with those of another of the same architecture."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder
from adapt.stages import Share, Stage


class Blend(Stage):
    """Mix the weights of the model with those of another of the same architecture.

    `other + share · (model - other)`: the model before a chain of steps gives back what they made it forget, at some cost at
    home (Wortsman et al. 2022, WiSE-FT, https://arxiv.org/abs/2109.01903).
    """

    output_name: ClassVar[str] = "blended"
    default_inputs: ClassVar = {"other": ("base",)}
    example: ClassVar[str] = "adapt blend --model tuned --other all-MiniLM-L6-v2 --share 0.5 --out blended"

    share: Share = Field(0.5, description="of the way from the other model to the model: 0 is the other, 1 the model")

    def run(self, model: EncoderFolder, other: EncoderFolder, job: Job) -> EncoderFolder:
        """The blended encoder, in `job.out / "model"`. Raises UserError where the two have other weights by name or shape."""
        from adapt.models.interpolation import interpolate

        return Encoder(interpolate(other.path, model.path, self.share, job.out / "model"))
