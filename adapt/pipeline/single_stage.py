"""Run a single stage, for the command line and `adapt.run_stage` alike; the result appears at its path only when it is whole."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from adapt import files, records
from adapt.errors import UserError
from adapt.files import Source
from adapt.files.paths import require_distinct_output
from adapt.job import Event, Job, Listener
from adapt.models import lookup, model_folder
from adapt.models.coverage import coverage_warnings
from adapt.pipeline import compatibility, stage_runner
from adapt.pipeline.input_report import texts_of
from adapt.records import ConcatSequence, CrossEncoder, Encoder, Record
from adapt.runtime.precision import default_precision
from adapt.stages import Stage
from adapt.storage import atomic, digests
from adapt.storage.disk_errors import attach_path, require_space
from adapt.storage.store import cache_key

Input: TypeAlias = "Encoder | CrossEncoder | Sequence[Record]"
Inputs: TypeAlias = "Mapping[str, Input]"


@dataclass(frozen=True)
class StageOutput:
    """What a stage returned: a model or records, and where they are."""

    made: Encoder | CrossEncoder | Sequence[Record]
    path: Path | None  # of the model's folder or the file; None for records that were not written
    files: Mapping[str, Path]  # further files of the stage by name: suspected.csv
    counts: Mapping[str, JsonValue]
    notes: Sequence[str]
    seconds: float


def run_stage(
    stage: Stage, sources: Mapping[str, Source | Sequence[Source]], out: Path | None, seed: int, listener: Listener
) -> StageOutput:
    """Run a single stage on files, rows in memory, and models by path or name.

    Further files of a stage are written next to `out`: `triplets.jsonl`, `triplets.suspected.csv`. Without `out` a model is
    written to a temporary folder, which is deleted when the process ends, and records are returned only. Raises UserError for
    unreadable inputs, for inputs that do not fit the stage's settings, and for an `out` that must not be replaced.
    """
    started, notes = time.monotonic(), list[str]()

    def listen(event: Event) -> None:
        if event.kind == "note":
            notes.append(event.text)
        listener(event)

    if out is not None:
        paths = [one for given in sources.values() for one in _each(given) if not isinstance(one, files.MemoryRows)]
        require_distinct_output(out, paths)
        if not _makes_model(stage):
            files.output_format(out, stage.output_kind())  # found out now, not after hours of work
    explicit = getattr(stage, "precision", None) if "precision" in stage.model_fields_set else None
    with default_precision(explicit):  # what the stage does beside training is computed in no other precision
        inputs = _open_inputs(stage, sources)
        if out is None:
            job = Job(seed, listener=listen)
            made = _run(stage, inputs, sources, job)
            path, others = (made.path if isinstance(made, (Encoder, CrossEncoder)) else None), _files_of(job.out)
        else:
            _refuse(stage, out)
            path = out.absolute()
            job, made, others = _run_into(path, stage, inputs, sources, seed, listen)
    return StageOutput(made, path, others, job.counts, notes, time.monotonic() - started)


def _run(
    stage: Stage, inputs: Inputs, sources: Mapping[str, Source | Sequence[Source]], job: Job
) -> Encoder | CrossEncoder | Sequence[Record]:
    for text in _uncovered(inputs, sources):
        job.note(text)
    made: Encoder | CrossEncoder | Sequence[Record] = stage_runner.run(stage, inputs, job, stage.name())
    if not isinstance(made, (Encoder, CrossEncoder)):
        job.counts["rows"] = len(made)
    return made


def _run_into(
    out: Path,
    stage: Stage,
    inputs: Inputs,
    sources: Mapping[str, Source | Sequence[Source]],
    seed: int,
    listener: Listener,
) -> tuple[Job, Encoder | CrossEncoder | Sequence[Record], dict[str, Path]]:
    """Run the stage and move its result to `out`, which appears last and whole; an interrupted training can be resumed."""
    making, work = out.with_name(f".{out.name}.making"), out.with_name(f".{out.name}.work")
    with attach_path(out):
        atomic.remove(making)
        making.mkdir(parents=True)
        key = _key(stage, inputs, seed)
        _prepare(work, key)
        _require_room(stage, inputs, out)
        try:
            job = Job(seed, making, work, listener)
            made = _run(stage, inputs, sources, job)
            beside = _files_of(making)
            if isinstance(made, (Encoder, CrossEncoder)):
                result = made.path
                written = {"stage": stage.name(), "key": key, "files": digests.manifest(result)}
                digests.write_verified(result / digests.RECEIPT, written)
            else:
                result = making / "result" / out.name
                result.parent.mkdir()
                files.write(made, result)
            moved = {name: out.with_name(f"{out.name.partition('.')[0]}.{name}") for name in beside}
            for name, file in beside.items():
                atomic.fsync(file)
                os.replace(file, moved[name])
            # The result is moved last: where it exists, the command has done all of its work.
            if result.is_dir():
                atomic.replace_folder(result, out)
                made = type(made)(out) if isinstance(made, (Encoder, CrossEncoder)) else made
            else:
                os.replace(result, out)
            atomic.fsync(out.parent)
            atomic.remove(work)
            return job, made, moved
        finally:
            atomic.remove(making)
            if work.is_dir() and len(list(work.iterdir())) == 1:  # nothing to resume
                atomic.remove(work)


def _open_inputs(stage: Stage, sources: Mapping[str, Source | Sequence[Source]]) -> dict[str, Input]:
    """Every input, read; raises UserError with the problems of all of them, or where they do not fit the stage's settings."""
    inputs: dict[str, Input] = {}
    kinds: dict[str, str] = {}
    problems: list[str] = []
    for want in stage.inputs():
        if want.name not in sources:
            continue
        # A file may be read as several kinds (NLI rows): as one that the settings are for, where there is one.
        fit = tuple(kind for kind in want.kinds if not stage.problems({want.name: kind}))
        try:
            try:
                inputs[want.name], kinds[want.name] = _open(sources[want.name], fit or want.kinds)
            except UserError:  # it holds another kind, on which the problems below are more precise
                inputs[want.name], kinds[want.name] = _open(sources[want.name], want.kinds)
        except UserError as error:
            problems += error.problems
    problems += [problem for problem in stage.problems(kinds) if not problems]
    model = inputs.get("cross_encoder") or inputs.get("model")
    if isinstance(model, (Encoder, CrossEncoder)):
        problems += stage.model_problems(compatibility.architecture(model.path), model_folder.is_sentence_transformer(model.path))
    if problems:
        raise UserError(problems)
    return inputs


def _each(given: Source | Sequence[Source]) -> Sequence[Source]:
    return [given] if isinstance(given, (str, Path, files.MemoryRows)) else given


def _makes_model(stage: Stage) -> bool:
    return stage.output_kind().endswith("encoder")


def _files_of(folder: Path) -> dict[str, Path]:
    return {file.name: file for file in sorted(folder.iterdir()) if file.is_file()}


def _refuse(stage: Stage, out: Path) -> None:
    """Raise UserError where what is at `out` must not be replaced: the user's own folder, or a file where a folder should be."""
    place, here, makes_folder = out.resolve(), Path.cwd(), stage.output_kind().endswith("encoder")
    if place in (here, *here.parents, Path.home().resolve()):
        raise UserError(f"{out}: is the working directory or one above it; choose another output path")
    if out.is_dir() and not makes_folder:
        raise UserError(f"{out}: is a folder, and {stage.name()} makes a file; give a file's name")
    if makes_folder and out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file, and {stage.name()} makes a folder; choose another output path")
    if out.is_dir() and any(out.iterdir()) and not lookup.is_model(out):
        raise UserError(f"{out}: holds no model, and would be deleted with all that is in it; choose another output path")


def _uncovered(inputs: Inputs, sources: Mapping[str, Source | Sequence[Source]]) -> list[str]:
    """Warnings where the (first) model hardly covers the texts of an input, which is named by its files."""
    folder = next((value.path for value in inputs.values() if isinstance(value, (Encoder, CrossEncoder))), None)
    found = []
    for name, value in inputs.items():
        if folder and not isinstance(value, (Encoder, CrossEncoder)):
            shown = ", ".join(Path(str(one)).name for one in _each(sources[name]))
            found += coverage_warnings(shown, folder, texts_of(value))
    return found


def _require_room(stage: Stage, inputs: Inputs, out: Path) -> None:
    """Raise UserError where a model that is trained would not fit on the disk."""
    folders = [value.path for value in inputs.values() if isinstance(value, (Encoder, CrossEncoder))]
    if folders and stage.output_kind().endswith("encoder"):
        require_space(out, lookup.weight_bytes(folders[0]), "the model")


def _key(stage: Stage, inputs: Inputs, seed: int) -> str:
    """What goes into the work: only the same work may be resumed."""
    import xxhash

    digests = {}
    for name, value in inputs.items():
        if isinstance(value, (Encoder, CrossEncoder)):
            digests[name] = lookup.weights_digest(value.path)
        else:
            digest = xxhash.xxh3_128()
            for record in value:
                digest.update(repr(record).encode())
            digests[name] = digest.hexdigest()
    return cache_key(
        {"stage": stage.name(), "version": stage.version, "settings": stage.model_dump(mode="json"), "seed": seed} | digests
    )


def _prepare(work: Path, key: str) -> None:
    """The folder for checkpoints, emptied unless they are of the same work."""
    mark = work / "key"
    if not (mark.is_file() and mark.read_bytes() == key.encode()):
        atomic.remove(work)
        work.mkdir(parents=True)
        mark.write_text(key)


def _open(source: Source | Sequence[Source], kinds: tuple[str, ...]) -> tuple[Input, str]:
    """An input and its kind."""
    if kinds[0] in ("encoder", "cross-encoder"):
        folder = lookup.find_model(str(_each(source)[0]))
        lookup.verify_weights(folder)
        return (Encoder if kinds[0] == "encoder" else CrossEncoder)(folder), kinds[0]
    found = ConcatSequence([files.read(one, " ".join(kinds)) for one in _each(source)])
    return found, records.record_kind(found)
