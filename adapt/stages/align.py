"""Teach an encoder another language with parallel sentences: both sides to a teacher's vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder, Parallels
from adapt.stages import Length, NonNegativeFloat, PositiveFloat, PositiveInt, Retain, TrainingStage


class Align(TrainingStage):
    """Teach an encoder another language with parallel sentences: both sides to a teacher's vectors.

    Multilingual distillation (Reimers & Gurevych 2020, https://arxiv.org/abs/2004.09813): the student's vectors of a sentence
    and of its translation are brought to the teacher's vector of the sentence by mean squared error, to which an in-batch
    contrastive term in both directions may be added. The teacher is the model as it came in, unless another is named. A base
    that has never read the other language learns no more of it than the parallel sentences show.
    """

    version: ClassVar[int] = 5
    output_name: ClassVar[str] = "aligned"
    explicit_inputs: ClassVar = ("teacher",)
    example: ClassVar[str] = "adapt align --model all-MiniLM-L6-v2 --parallel en-fr.csv --out aligned --max-steps 5"

    epochs: PositiveInt = Field(3, description="passes over the sentences")
    batch_size: PositiveInt = Field(64, description="parallel sentences per step; for the contrastive term also its negatives")
    learning_rate: PositiveFloat = Field(1e-4, description="peak learning rate")
    max_length: Length = Field(128, description="tokens per sentence; the rest is cut")
    mse: NonNegativeFloat = Field(
        1.0, description="weight of the squared error, taken per sentence (summed over the vector's numbers)"
    )
    contrastive: NonNegativeFloat = Field(1.0, description="weight of the in-batch contrastive term; 0: squared error alone")
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the contrastive term's cosines")
    retain: Retain = 0.0

    def problems(self, kinds) -> list[str]:
        return [] if self.mse or self.contrastive else ["mse and contrastive are both 0: nothing to learn from"]

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        model, teacher = widths.get("model"), widths.get("teacher")
        if model is None or teacher is None or model == teacher:
            return []
        return [f"the teacher's vectors have {teacher} dimensions, the model's {model}; name a teacher of the same width"]

    def run(self, model: EncoderFolder, parallel: Parallels, job: Job, teacher: EncoderFolder | None = None) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where teacher and model differ in width."""
        import torch

        from adapt.errors import UserError
        from adapt.inference.batching import no_duplicates_batches
        from adapt.inference.encoding import embed, forward
        from adapt.losses.alignment import to_teacher
        from adapt.losses.ranking import multiple_negatives
        from adapt.losses.retention import Retention
        from adapt.models.bi_encoder import load_encoder, save_encoder, token_ids
        from adapt.models.dropout import set_dropout
        from adapt.text.clean import normalised
        from adapt.training.loop import Group, epochs_of, fit, trainable

        sources, targets = [row.source for row in parallel], [row.target for row in parallel]
        wanted = torch.from_numpy(embed((teacher or model).path, sources, job, label="teacher"))
        encoder = load_encoder(model.path)
        width = encoder.get_embedding_dimension() or 0
        if wrong := self.dimension_problems({"model": width, "teacher": wanted.shape[1]}):
            raise UserError([f"align: {problem}" for problem in wrong])
        set_dropout(encoder, self.dropout)
        first, second = (token_ids(encoder, side, max_length=self.max_length) for side in (sources, targets))
        # Rows that share a sentence on either side would be each other's false negatives.
        keys = [(("s", normalised(row.source)), ("t", normalised(row.target))) for row in parallel]
        plan = epochs_of(lambda epoch: no_duplicates_batches(keys, self.batch_size, job.seed, epoch), self.epochs, self.max_steps)
        if not plan:
            raise UserError(f"align: {len(parallel)} rows make no batch of two different sentences; give more")

        retained = Retention(model.path, self.retain, precision=self.precision)

        def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
            ids = [side[i] for side in (first, second) for i in rows]
            # Unit vectors, as checks and search compare them: a vector's length is no knowledge.
            found = torch.nn.functional.normalize(forward(encoder, ids), dim=1)
            source, target = found.chunk(2)
            value = retained(ids, found)
            if self.mse:
                value = value + self.mse * width * to_teacher(source, target, wanted[rows].to(found.device))
            if self.contrastive:
                own = torch.arange(len(rows), device=found.device)
                fair = torch.ones(len(rows), len(rows), dtype=torch.bool, device=found.device)
                value = value + self.contrastive * multiple_negatives(source, target, own, fair, self.scale, symmetric=True)
            return value

        fitted = fit(
            encoder, loss, plan, [Group(trainable(encoder), self.learning_rate)], job,
            label="align", unit="sentences", how=self.optimisation(),
        )  # fmt: skip
        job.counts.update(parallel=len(parallel), **vars(fitted))
        return Encoder(save_encoder(encoder, job.out / "model"))
