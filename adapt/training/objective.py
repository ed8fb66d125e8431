"""What a training run minimises, and the run: batches, steps, early stopping."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch

from adapt.errors import UserError
from adapt.job import Job
from adapt.training import loop
from adapt.training.loop import EarlyStopping, Loss, ParameterGroup, TrainingReport, training_steps
from adapt.training.settings import TrainingSettings


class Objective(ABC):
    """A loss with its data. `module` holds every trained parameter; `label` and `unit` name the work and its rows in progress.

    `data_parallel`: the loss is a mean over rows, which several processes may share; see `loop.fit`.
    """

    module: torch.nn.Module
    label: str
    unit: str
    data_parallel: bool = False

    @abstractmethod
    def batches(self, size: int, epoch: int) -> list[list[int]]:
        """Row numbers of an epoch's batches of at most `size` rows."""

    @abstractmethod
    def loss(self, epoch: int, rows: list[int], done: float) -> Loss:
        """The loss of these rows, when the fraction `done` of all steps is done."""

    @abstractmethod
    def parameter_groups(self) -> list[ParameterGroup]:
        """The parameters to train, with their learning rates."""

    def has_validation(self) -> bool:
        """Whether there are held-out rows to stop early by."""
        return False

    def validation_loss(self) -> float:
        """The loss of the held-out rows."""
        raise NotImplementedError

    def evaluation_interval(self, steps: int) -> int:
        """Steps between two evaluations of the held-out rows."""
        return max(1, steps // 20)

    def check(self, steps: int) -> str:
        """Why training can't start with that many steps; "" where it can."""
        return "" if steps else f"{self.label}: there is no batch to train on"


def train(objective: Objective, settings: TrainingSettings, job: Job) -> TrainingReport:
    """Minimise an objective. Raises UserError where it has nothing to train on, WorkFailed where the loss diverges."""
    steps = training_steps(lambda epoch: objective.batches(settings.batch_size, epoch), settings.epochs, settings.max_steps)
    if problem := objective.check(len(steps)):
        raise UserError(problem)
    early_stopping = None
    if objective.has_validation():
        early_stopping = EarlyStopping(objective.validation_loss, objective.evaluation_interval(len(steps)), settings.patience)
    return loop.fit(
        objective.module, objective.loss, steps, objective.parameter_groups(), job, label=objective.label, unit=objective.unit,
        settings=settings, early_stopping=early_stopping, data_parallel=objective.data_parallel,
    )  # fmt: skip
