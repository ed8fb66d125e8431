"""TSDAE: a transformer-based sequential denoising auto-encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import EncoderFolder, Texts
from adapt.settings import PositiveFloat, PositiveInt, Settings, Share
from adapt.stages._pretraining import PretrainingStage, lacks_decoder
from adapt.training.settings import EarlyStoppingSettings

if TYPE_CHECKING:
    from adapt.losses.pretraining import PretrainingObjective, PretrainingSetup


class DecoderSettings(Settings):
    """The decoder, which is discarded after training."""

    prefix: ClassVar[str] = "decoder_"
    tied: bool | None = Field(None, description="share the encoder's weights; default: for a language model only")
    layers: PositiveInt | None = Field(None, description="layers of an untied decoder; default: all")
    learning_rate: PositiveFloat = Field(2e-4, description="peak learning rate of an untied decoder")


class Tsdae(PretrainingStage):
    """Denoising auto-encoder (TSDAE): reconstruct a text from the embedding of its corrupted copy.

    A plain language model is trained as in Wang, Reimers & Gurevych (2021, https://arxiv.org/abs/2104.06979): encoder and decoder
    tied, CLS pooling. An embedding model would lose quality that way: it gets an untied decoder, which is trained alone first;
    then both are trained, the encoder with a low learning rate and distillation from the base's embeddings.

    For architectures without a decoder use mlm or simcse; for an embedding model and many texts, embedding-denoising.
    """

    version: ClassVar[int] = 6
    output_name: ClassVar[str] = "tsdae"
    example: ClassVar[str] = "adapt tsdae --model all-MiniLM-L6-v2 --texts passages.jsonl --out tsdae-medical --max-steps 20"

    deletion_ratio: Share = Field(0.6, description="fraction of the words deleted from each text")
    decoder: DecoderSettings = Field(default_factory=DecoderSettings, description="the decoder, which is discarded after training")
    freeze_encoder_ratio: Share = Field(0.35, description="fraction of the steps that train only the decoder")
    early_stopping: EarlyStoppingSettings = Field(default_factory=EarlyStoppingSettings, description="early stopping")

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        architecture = str(config.get("model_type") or "")
        if not lacks_decoder(architecture):
            return []
        instead = "embedding-denoising, simcse" if is_embedder else "simcse"
        return [
            f"tsdae needs a decoder with cross-attention, and '{architecture}' has none; use {instead} or, for encoders with a "
            "masked-language-model head, mlm"
        ]

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        width, hidden = widths.get("model"), widths.get("hidden")
        if not width or not hidden or width == hidden:
            return []
        return [
            f"the base gives embeddings of {width} dimensions (by modules after the transformer, or truncate_dim), and its decoder "
            f"needs {hidden}; use embedding-denoising, mlm or simcse, or another base"
        ]

    def setup_settings(self, is_embedder: bool) -> dict[str, Any]:
        found = super().setup_settings(is_embedder)
        if is_embedder:
            found |= {"new_learning_rate": self.decoder.learning_rate, "freeze_encoder": self.freeze_encoder_ratio}
        return found

    def objective(self, setup: PretrainingSetup, job: Job) -> PretrainingObjective:
        from adapt.losses.pretraining import DenoisingAutoEncoding

        tied = not setup.is_embedder if self.decoder.tied is None else self.decoder.tied
        return DenoisingAutoEncoding(
            setup, self.dropout, deletion_ratio=self.deletion_ratio, tied=tied, decoder_layers=self.decoder.layers
        )

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where no text is left to train on."""
        return self.pretrain(model, texts, job)
