"""The objectives of unsupervised pretraining: what each of the stages tsdae, mlm, simcse and embedding-denoising minimises."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from adapt.inference.batching import length_bucketed_batches
from adapt.inference.encoding import forward
from adapt.job import Job
from adapt.losses.denoising import Denoising
from adapt.losses.linear_denoiser import DenoisedEmbeddings
from adapt.losses.masked import Masked
from adapt.losses.retention import Retention, cosine_distance
from adapt.losses.simcse import simcse
from adapt.models.dropout import set_dropout
from adapt.runtime import collectives
from adapt.training.denoising_data import TokenizedTexts
from adapt.training.loop import ParameterGroup, trainable
from adapt.training.objective import Objective

FITTED_ON = 20_000  # texts; a linear map gains nothing from more


@dataclass(frozen=True)
class PretrainingSetup:
    """What all objectives need: the model, its texts and the shared settings.

    `learning_rate`: of the encoder; `new_learning_rate`: of a decoder or head; `freeze_encoder`: fraction of steps in which only
    these are trained; `retain`: weight of the distillation towards the initial model's embeddings; `held_out`: the fraction of the
    texts that early stopping uses.
    """

    label: str
    unit: str
    base: Path
    encoder: SentenceTransformer
    texts: TokenizedTexts
    seed: int
    is_embedder: bool  # of the base
    batch_size: int
    learning_rate: float
    new_learning_rate: float = 0.0
    freeze_encoder: float = 0.0
    retain: float = 0.0
    precision: str = "auto"
    held_out: float = 0.0


class PretrainingObjective(Objective):
    """An objective on texts alone, beside which the embeddings may be held near those of the initial model."""

    data_parallel = True

    def __init__(self, setup: PretrainingSetup, module: torch.nn.Module, dropout: float):
        self.setup, self.module, self.encoder, self.texts = setup, module, setup.encoder, setup.texts
        self.label, self.unit = setup.label, setup.unit
        set_dropout(module, dropout)
        order = np.random.default_rng(setup.seed).permutation(len(setup.texts.ids))
        self.held_out, self.rows = np.split(order, [round(setup.held_out * len(order))])
        self.body = trainable(setup.encoder)
        of_body = {id(parameter) for _, parameter in self.body}
        self.new = [(name, p) for name, p in trainable(module) if id(p) not in of_body]
        self.frozen = setup.freeze_encoder if self.new else 0.0
        self.retention = Retention(setup.base, setup.retain, precision=setup.precision)

    @abstractmethod
    def task_loss(self, epoch: int, rows: list[int]) -> tuple[torch.Tensor, int]:
        """The mean loss of these rows, and the number of items (texts or tokens) that it is a mean over."""

    def batches(self, size: int, epoch: int) -> list[list[int]]:
        lengths = [len(self.texts.ids[i]) for i in self.rows]
        return [self.rows[batch].tolist() for batch in length_bucketed_batches(lengths, size, self.setup.seed, epoch)]

    def loss(self, epoch: int, rows: list[int], done: float) -> tuple[torch.Tensor, int]:
        if self.frozen:
            self.module.encoder_frozen = done < self.frozen  # type: ignore[assignment]
        value, weight = self.task_loss(epoch, rows)
        if self.retention.weight and done >= self.frozen:
            clean = self.texts.clean(rows)
            scale = 1.0
            if collectives.world_size() > 1:
                # A mean over texts beside one over tokens: scaled so that the sum over processes is right for both.
                scale = (len(rows) / collectives.all_reduce(len(rows))) / (weight / collectives.all_reduce(weight))
            value = value + self.retention(clean, forward(self.encoder, clean)) * scale
        return value, weight

    def parameter_groups(self) -> list[ParameterGroup]:
        rate = self.setup.learning_rate
        return [ParameterGroup(self.body, rate, self.frozen), ParameterGroup(self.new, self.setup.new_learning_rate or rate)]

    def has_validation(self) -> bool:
        return len(self.held_out) > 0

    def validation_loss(self) -> float:
        """The task's loss on texts that are not trained on; their corruption is that of epoch 0, the same each time."""
        rows, size = self.held_out.tolist(), self.setup.batch_size
        total = weights = 0.0
        for start in range(0, len(rows), size):
            value, weight = self.task_loss(0, rows[start : start + size])
            total, weights = total + float(value) * weight, weights + weight
        return total / weights


class DenoisingAutoEncoding(PretrainingObjective):
    """TSDAE: a decoder reconstructs each text from the embedding of its corrupted copy."""

    def __init__(self, setup: PretrainingSetup, dropout: float, *, deletion_ratio: float, tied: bool, decoder_layers: int | None):
        """Raises UserError for architectures without a decoder."""
        module = Denoising(setup.encoder, setup.base, tied=tied, seed=setup.seed, decoder_layers=decoder_layers)
        module.check_that_it_sees_its_input(setup.texts.clean(range(min(4, len(setup.texts.ids)))))
        self.deletion_ratio, self.autoencoder = deletion_ratio, module
        super().__init__(setup, module, dropout)

    def task_loss(self, epoch: int, rows: list[int]) -> tuple[torch.Tensor, int]:
        corrupted = self.texts.corrupted(rows, self.deletion_ratio, self.setup.seed, epoch)
        return self.autoencoder(corrupted, self.texts.clean(rows)), sum(len(self.texts.ids[i]) - 1 for i in rows)


class MaskedLanguageModelling(PretrainingObjective):
    """A head predicts the masked words of each text."""

    def __init__(self, setup: PretrainingSetup, dropout: float, *, mask_ratio: float):
        """Raises UserError for architectures without a masked-language-model head."""
        self.mask_ratio, self.model = mask_ratio, Masked(setup.encoder, setup.base, seed=setup.seed)
        tokenizer = setup.encoder.tokenizer
        self.mask = tokenizer.mask_token_id
        self.ordinary = np.setdiff1d(np.arange(len(tokenizer)), tokenizer.all_special_ids)
        super().__init__(setup, self.model, dropout)

    def task_loss(self, epoch: int, rows: list[int]) -> tuple[torch.Tensor, int]:
        masked, chosen = self.texts.masked(rows, self.mask_ratio, self.mask, self.ordinary, self.setup.seed, epoch)
        return self.model(masked, self.texts.clean(rows), chosen), int(sum(tokens.sum() for tokens in chosen))


class ContrastiveDropout(PretrainingObjective):
    """Unsupervised SimCSE: each text must find its own embedding under another dropout mask among those of the batch."""

    data_parallel = False  # the loss of a row depends on the other rows

    def __init__(self, setup: PretrainingSetup, dropout: float, *, scale: float):
        self.scale = scale
        super().__init__(setup, setup.encoder, dropout)

    def task_loss(self, epoch: int, rows: list[int]) -> tuple[torch.Tensor, int]:
        first, second = forward(self.encoder, self.texts.clean(rows) * 2).chunk(2)
        return simcse(first, second, self.scale), len(rows)


class EmbeddingDenoising(PretrainingObjective):
    """The embedding of a corrupted text is moved to the base's embedding of it after a linear denoiser."""

    def __init__(self, setup: PretrainingSetup, dropout: float, *, deletion_ratio: float, ridge: float, job: Job):
        self.deletion_ratio = deletion_ratio
        rows = np.random.default_rng(setup.seed).permutation(len(setup.texts.ids))[:FITTED_ON]
        corrupted = setup.texts.corrupted(rows, deletion_ratio, setup.seed, 0)
        self.target = DenoisedEmbeddings(setup.base, corrupted, setup.texts.clean(rows), ridge, setup.precision, job)
        super().__init__(setup, setup.encoder, dropout)

    def task_loss(self, epoch: int, rows: list[int]) -> tuple[torch.Tensor, int]:
        corrupted = self.texts.corrupted(rows, self.deletion_ratio, self.setup.seed, epoch)
        return cosine_distance(forward(self.encoder, corrupted), self.target(corrupted)), len(rows)


def dimensions(encoder: SentenceTransformer) -> Mapping[str, int]:
    """The encoder's embedding dimension, and that of its hidden states as `hidden`; empty for static embeddings."""
    body = getattr(encoder[0], "auto_model", None)
    if body is None:
        return {}
    return {"model": encoder.get_embedding_dimension() or 0, "hidden": body.config.hidden_size}
