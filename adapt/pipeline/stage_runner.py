"""Run a stage so that nothing unsound is committed: models are opened before, what training made is tried after."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from adapt.checks.leakage import sides
from adapt.errors import WorkFailed
from adapt.job import Job
from adapt.models import model_folder, pooling
from adapt.recipe import Recipe
from adapt.records import CrossEncoder, Encoder
from adapt.runtime import process_group
from adapt.stages import Stage, TrainingStage

LOOKED_AT = 256  # records whose texts a model is tried on


def run(stage: Stage, inputs: Mapping[str, Any], job: Job, name: str) -> Any:
    """What the stage makes of its inputs. Raises UserError for a model that can't be used, before any work, and WorkFailed where
    training diverged or its model says nothing; then no checkpoint stays in `job.work`, so that the next try starts anew."""
    for given in inputs.values():
        if isinstance(given, (Encoder, CrossEncoder)):
            model_folder.require_valid(given.path)
        if isinstance(given, Encoder) and isinstance(stage, TrainingStage) and not model_folder.is_sentence_transformer(given.path):
            for sentence in pooling.default_notes(given.path, given.path.name):
                job.note(sentence)
    try:
        made = stage.run(**inputs, job=job)
        # Of several processes only the main one writes its result.
        if isinstance(made, (Encoder, CrossEncoder)) and process_group.current().is_main_process:
            from adapt.training import validation

            before = inputs.get("model")
            base = before.path if isinstance(before, Encoder) and isinstance(made, Encoder) else None
            validation.made(made, base, list(islice(_texts(inputs), LOOKED_AT)), name, job)
    except WorkFailed:
        _forget(job)
        raise
    return made


def base(folder: Path, recipe: Recipe, job: Job) -> None:
    """Open a recipe's base before anything else is done, and say what was chosen for it. Raises UserError where it is unsound."""
    from adapt.inference import model_cache

    model_cache.encoder(folder)
    remarks = model_folder.similarity_notes(
        folder, recipe.model, "it is measured by it, and steps train by cosine", "it is measured and trained by cosine"
    )
    for sentence in (*remarks, *pooling.default_notes(folder, recipe.model)):
        job.note(sentence)


def _texts(inputs: Mapping[str, Any]) -> Iterator[str]:
    """Texts of the data that a stage was given."""
    for given in inputs.values():
        if not isinstance(given, (Encoder, CrossEncoder)):
            for number in range(min(len(given), LOOKED_AT)):
                yield from sides(given[number])


def _forget(job: Job) -> None:
    """Take away what a diverged training left to go on from: it would diverge from there again. The mark of the work stays."""
    for left in job.work.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left.name != "key":
            left.unlink(missing_ok=True)
