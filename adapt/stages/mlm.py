"""Masked-language modelling on the domain's texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import EncoderFolder, Texts
from adapt.settings import PositiveFloat, Share
from adapt.stages._pretraining import PretrainingStage, lacks_mask_head
from adapt.training.settings import EarlyStoppingSettings

if TYPE_CHECKING:
    from adapt.losses.pretraining import PretrainingObjective, PretrainingSetup


class Mlm(PretrainingStage):
    """Masked-language modelling: predict masked words (domain-adaptive pretraining).

    Devlin et al. 2019, https://arxiv.org/abs/1810.04805. For encoders with a masked-language-model head. The head is the base's,
    or a new one, which is trained alone first where the base is an embedding model.
    """

    version: ClassVar[int] = 1
    output_name: ClassVar[str] = "mlm"
    example: ClassVar[str] = "adapt mlm --model all-MiniLM-L6-v2 --texts passages.jsonl --out mlm-medical --max-steps 20"

    mask_ratio: Share = Field(0.15, description="fraction of the words masked in each text")
    head_learning_rate: PositiveFloat = Field(2e-4, description="peak learning rate of the head")
    freeze_encoder_ratio: Share = Field(0.35, description="fraction of the steps that train only the head")
    early_stopping: EarlyStoppingSettings = Field(default_factory=EarlyStoppingSettings, description="early stopping")

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        architecture = str(config.get("model_type") or "")
        if not lacks_mask_head(architecture):
            return []
        return [f"mlm needs a masked-language-model head, and '{architecture}' has none; use simcse"]

    def setup_settings(self, is_embedder: bool) -> dict[str, Any]:
        found = super().setup_settings(is_embedder)
        if is_embedder:
            found |= {"new_learning_rate": self.head_learning_rate, "freeze_encoder": self.freeze_encoder_ratio}
        return found

    def objective(self, setup: PretrainingSetup, job: Job) -> PretrainingObjective:
        from adapt.losses.pretraining import MaskedLanguageModelling

        return MaskedLanguageModelling(setup, self.dropout, mask_ratio=self.mask_ratio)

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where no text is left to train on."""
        return self.pretrain(model, texts, job)
