"""Multilingual knowledge distillation with parallel sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder, Parallels
from adapt.settings import Length, NonNegativeFloat, PositiveFloat, PositiveInt
from adapt.stages import Retain, TrainingStage


class Align(TrainingStage):
    """Extend an encoder to another language: train it on parallel sentences to match a teacher's embeddings.

    Multilingual distillation (Reimers & Gurevych 2020, https://arxiv.org/abs/2004.09813): the loss is the mean squared error of
    the student's embeddings of a sentence and of its translation against the teacher's embedding of the sentence, plus an in-batch
    contrastive term in both directions. The teacher is the initial model, unless another is given. Use a base that was pretrained
    on the other language: any other learns only what the parallel sentences contain.
    """

    version: ClassVar[int] = 5
    output_name: ClassVar[str] = "aligned"
    explicit_inputs: ClassVar[tuple[str, ...]] = ("teacher",)
    example: ClassVar[str] = "adapt align --model all-MiniLM-L6-v2 --parallel en-fr.csv --out aligned --max-steps 5"

    epochs: PositiveInt = Field(3, description="passes over the sentences")
    batch_size: PositiveInt = Field(64, description="parallel sentences per step; for the contrastive term also its negatives")
    learning_rate: PositiveFloat = Field(1e-4, description="peak learning rate")
    max_length: Length = Field(128, description="maximum tokens per sentence; the rest is cut")
    mse_weight: NonNegativeFloat = Field(1.0, description="weight of the squared error, summed over the embedding's dimensions")
    contrastive_weight: NonNegativeFloat = Field(1.0, description="weight of the in-batch contrastive term")
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the contrastive term's cosines")
    retain: Retain = 0.0

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        return (
            [] if self.mse_weight or self.contrastive_weight else ["mse_weight and contrastive_weight are both 0: there is no loss"]
        )

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        model, teacher = widths.get("model"), widths.get("teacher")
        if model is None or teacher is None or model == teacher:
            return []
        return [f"the teacher's embeddings have {teacher} dimensions, the model's {model}; use a teacher with as many dimensions"]

    def run(self, model: EncoderFolder, parallel: Parallels, job: Job, teacher: EncoderFolder | None = None) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where teacher and model differ in dimensions."""
        import torch

        from adapt.errors import UserError
        from adapt.inference.encoding import embed
        from adapt.losses.alignment import Alignment, AlignmentSetup
        from adapt.models.bi_encoder import load_encoder, save_encoder
        from adapt.models.dropout import set_dropout
        from adapt.training.objective import train

        wanted = torch.from_numpy(embed((teacher or model).path, [row.source for row in parallel], job, label="teacher"))
        encoder = load_encoder(model.path)
        if wrong := self.dimension_problems({"model": encoder.get_embedding_dimension() or 0, "teacher": wanted.shape[1]}):
            raise UserError([f"align: {problem}" for problem in wrong])
        set_dropout(encoder, self.dropout)
        setup = AlignmentSetup(
            model.path, encoder, job.seed, self.learning_rate, self.max_length, self.mse_weight,
            self.contrastive_weight, self.scale, self.retain, self.precision,
        )  # fmt: skip
        report = train(Alignment(setup, parallel, wanted), self.training(), job)
        job.counts.update(parallel=len(parallel), **vars(report))
        return Encoder(save_encoder(encoder, job.out / "model"))
