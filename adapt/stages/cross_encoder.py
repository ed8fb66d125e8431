"""Train a cross-encoder on gold pairs, to label others with."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from adapt.job import Job
from adapt.records import CrossEncoder, CrossEncoderFolder, EncoderFolder, Scored
from adapt.stages import PositiveFloat, PositiveInt, Share, TrainingStage


class CrossEncoderStage(TrainingStage):
    """Train a cross-encoder on gold pairs, to label others with.

    The labeller of Augmented SBERT (Thakur et al. 2021, https://arxiv.org/abs/2010.08240): both texts are read at once, binary
    cross-entropy on the score. A share of the pairs is held out, and the labeller's agreement with it is reported.
    """

    product: ClassVar[str] = "cross-encoder"
    stand_ins: ClassVar = {"pairs": ("gold",)}
    example: ClassVar[str] = "adapt cross-encoder --model all-MiniLM-L6-v2 --pairs gold.csv --out labeller --epochs 1"

    epochs: PositiveInt = Field(3, description="passes over the pairs, in an order of the two texts that is drawn anew each time")
    batch_size: PositiveInt = Field(16, description="pairs per step")
    head_learning_rate: PositiveFloat = Field(1e-3, description="of the new scoring layer")
    held_out: Share = Field(0.1, description="share of the pairs kept aside to judge the labeller")
    max_length: PositiveInt = Field(192, description="tokens per pair")
    dropout: Share = Field(0.1, description="dropout while training")

    def run(self, model: EncoderFolder, pairs: Scored, job: Job) -> CrossEncoderFolder:
        """The trained cross-encoder, in `job.out / "model"`; sentence-transformers' CrossEncoder loads it."""
        import numpy as np
        import torch

        from adapt.engine.batches import by_like_length
        from adapt.engine.cross_encoder import Reader, predict
        from adapt.engine.training import Group, epochs_of, fit, set_dropout, trainable

        order = np.random.default_rng(job.seed).permutation(len(pairs))
        aside = round(self.held_out * len(pairs))
        held, train = [pairs[i] for i in order[:aside]], [pairs[i] for i in order[aside:]]
        scores = torch.tensor([p.score for p in train])
        reader = Reader(model.path, new_head_seed=job.seed)
        first, second = [p.sentence1 for p in train], [p.sentence2 for p in train]
        orders = reader.ids(first, second, self.max_length), reader.ids(second, first, self.max_length)
        set_dropout(reader, self.dropout)

        def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
            # Which text comes first is drawn anew each epoch: similarity has no direction, a transformer's input has.
            turned = [int(np.random.default_rng([job.seed, epoch, i]).random() < 0.5) for i in rows]
            logits = reader([orders[turn][i] for turn, i in zip(turned, rows, strict=True)])
            return torch.nn.functional.binary_cross_entropy_with_logits(logits, scores[rows].to(logits.device))

        plan = epochs_of(
            lambda epoch: by_like_length([len(row) for row, _ in orders[0]], self.batch_size, job.seed, epoch),
            self.epochs,
            self.max_steps,
        )
        is_new = [(name, p) for name, p in trainable(reader) if "classifier" in name or "pooler" in name]
        new = {id(p) for _, p in is_new}
        body = [(name, p) for name, p in trainable(reader) if id(p) not in new]
        fitted = fit(
            reader, loss, plan, [Group(body, self.learning_rate), Group(is_new, self.head_learning_rate)], job,
            label="cross-encoder", unit="pairs", how=self.optimisation(),
        )  # fmt: skip
        folder = job.out / "model"
        reader.save(folder)
        job.counts.update(pairs=len(train), **vars(fitted))
        if len(held) >= 10:
            from scipy.stats import spearmanr

            found = predict(folder, [(p.sentence1, p.sentence2) for p in held], job, self.max_length, label="held-out gold")
            agreement = float(spearmanr(found, [p.score for p in held]).statistic)
            job.counts.update(held_out=len(held), held_out_spearman=agreement)
            job.note(f"cross-encoder: Spearman {agreement:.3f} on {len(held)} gold pairs held out")
        return CrossEncoder(folder)
