"""Denoise the embeddings of corrupted texts by a linear map, and distil the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import EncoderFolder, Texts
from adapt.settings import NonNegativeFloat, PositiveFloat, Share
from adapt.stages._pretraining import PretrainingStage
from adapt.training.settings import EarlyStoppingSettings

if TYPE_CHECKING:
    from adapt.losses.pretraining import PretrainingObjective, PretrainingSetup


class EmbeddingDenoising(PretrainingStage):
    """Distil a linear denoiser, which maps the embedding of a corrupted text to that of the clean text.

    For a base that is an embedding model. A linear map from the base's embeddings of corrupted texts to those of the clean texts is
    fitted in closed form (after the marginalised denoising auto-encoder, Chen et al. 2012, https://arxiv.org/abs/1206.4683). The
    encoder is then trained to give, for a corrupted text, the base's embedding after the map. The architecture does not change.
    """

    version: ClassVar[int] = 1
    output_name: ClassVar[str] = "embedding-denoising"
    example: ClassVar[str] = (
        "adapt embedding-denoising --model all-MiniLM-L6-v2 --texts passages.jsonl --out denoised-medical --max-steps 20"
    )

    unit: Literal["sentence", "text"] = Field("text", description="train on sentences or on whole texts")
    learning_rate: PositiveFloat = Field(1e-4, description="peak learning rate")
    retain: NonNegativeFloat = Field(0.0, description="weight of distillation from the base's embeddings")
    deletion_ratio: Share = Field(0.6, description="fraction of the words deleted from each text")
    ridge: PositiveFloat = Field(
        1.0, description="ridge penalty that pulls the map to the identity, in mean variances of the embeddings"
    )
    early_stopping: EarlyStoppingSettings = Field(default_factory=EarlyStoppingSettings, description="early stopping")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        found = super().problems(kinds)
        if self.base_type == "language-model":
            found.append(
                "embedding-denoising learns from the base's own embeddings, and those of a plain language model carry little "
                "meaning; use tsdae"
            )
        return found

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        if config.get("model_type") and self.base_type == "auto" and not is_embedder:
            return ["embedding-denoising learns from the base's own embeddings, and the base is no embedding model; use tsdae"]
        return []

    def objective(self, setup: PretrainingSetup, job: Job) -> PretrainingObjective:
        from adapt.losses.pretraining import EmbeddingDenoising as Objective

        return Objective(setup, self.dropout, deletion_ratio=self.deletion_ratio, ridge=self.ridge, job=job)

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where no text is left to train on."""
        if not self.is_embedder(model):
            from adapt.errors import UserError

            raise UserError(
                f"embedding-denoising learns from the base's own embeddings, and {model.path} is a plain language model, whose "
                "embeddings carry little meaning; use tsdae, or a base that is an embedding model"
            )
        return self.pretrain(model, texts, job)
