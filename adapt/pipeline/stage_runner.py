"""Runs a stage: its models are checked before, the model that it trained is validated after, so that no broken one is cached."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from adapt.checks.leakage import sides
from adapt.errors import WorkFailed
from adapt.job import Job
from adapt.models import model_folder, pooling
from adapt.recipe import Recipe
from adapt.records import CrossEncoder, Encoder, Record
from adapt.runtime import process_group
from adapt.stages import Stage, TrainingStage

VALIDATION_RECORDS = 256  # records whose texts a trained model is validated on
Output = Encoder | CrossEncoder | Sequence[Record]  # of a stage: a model, or records


def run(stage: Stage, inputs: Mapping[str, object], job: Job, name: str) -> Output:
    """The output of the stage. Raises UserError for an invalid model, before any work, and WorkFailed where training diverged or
    its model is degenerate; then the checkpoints in `job.work` are deleted, so that the next run starts anew."""
    for given in inputs.values():
        if isinstance(given, (Encoder, CrossEncoder)):
            model_folder.require_valid(given.path)
        if isinstance(given, Encoder) and isinstance(stage, TrainingStage) and not model_folder.is_sentence_transformer(given.path):
            for sentence in pooling.default_notes(given.path, given.path.name):
                job.note(sentence)
    try:
        made: Output = stage.run(**inputs, job=job)
        # Of several processes only the main one writes its result.
        if isinstance(made, (Encoder, CrossEncoder)) and process_group.current().is_main_process:
            from adapt.training import validation

            before = inputs.get("model")
            base = before.path if isinstance(before, Encoder) and isinstance(made, Encoder) else None
            validation.made(made, base, list(islice(_texts(inputs), VALIDATION_RECORDS)), name, job)
    except WorkFailed:
        _delete_checkpoints(job)
        raise
    return made


def check_base(folder: Path, recipe: Recipe, job: Job) -> None:
    """Load a recipe's base model before any work, and note the defaults chosen for it. Raises UserError where it is invalid."""
    from adapt.inference import model_cache

    model_cache.encoder(folder)
    remarks = model_folder.similarity_notes(
        folder, recipe.model, "it is measured by it, and steps train by cosine", "it is measured and trained by cosine"
    )
    for sentence in (*remarks, *pooling.default_notes(folder, recipe.model)):
        job.note(sentence)


def _texts(inputs: Mapping[str, object]) -> Iterator[str]:
    """Texts of a stage's input records."""
    for given in inputs.values():
        if isinstance(given, Sequence):
            for number in range(min(len(given), VALIDATION_RECORDS)):
                yield from sides(given[number])


def _delete_checkpoints(job: Job) -> None:
    """Delete the checkpoints of a diverged training, which would diverge again when resumed; the file `key` stays."""
    for left in job.work.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left.name != "key":
            left.unlink(missing_ok=True)
