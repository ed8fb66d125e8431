"""Unsupervised SimCSE on the domain's texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import EncoderFolder, Texts
from adapt.settings import PositiveFloat, Share
from adapt.stages._pretraining import PretrainingStage

if TYPE_CHECKING:
    from adapt.losses.pretraining import PretrainingObjective, PretrainingSetup


class SimCse(PretrainingStage):
    """Unsupervised SimCSE: two embeddings of a text under different dropout masks are a positive pair.

    Gao, Yao & Chen 2021, https://arxiv.org/abs/2104.08821. The negatives are the other texts of the batch. Works with every
    transformer. There is no early stopping: without dropout both embeddings of a text are equal, so a held-out loss is meaningless.
    """

    version: ClassVar[int] = 1
    output_name: ClassVar[str] = "simcse"
    example: ClassVar[str] = "adapt simcse --model all-MiniLM-L6-v2 --texts passages.jsonl --out simcse-medical --max-steps 20"

    scale: PositiveFloat = Field(20.0, description="inverse temperature of the cosines")
    dropout: Share = Field(0.1, gt=0, description="dropout during training, which makes the two embeddings of a text differ")

    def objective(self, setup: PretrainingSetup, job: Job) -> PretrainingObjective:
        from adapt.losses.pretraining import ContrastiveDropout

        return ContrastiveDropout(setup, self.dropout, scale=self.scale)

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where no text is left to train on."""
        return self.pretrain(model, texts, job)
