"""One stage by hand: inputs from files and names, the result in its place only when it is whole."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt import files, records
from adapt.errors import UserError
from adapt.files.paths import refuse_inputs
from adapt.job import Job, Listener
from adapt.models import lookup, model_folder
from adapt.models.coverage import coverage_warnings
from adapt.pipeline import compatibility, stage_runner
from adapt.pipeline.input_report import texts_of
from adapt.records import ConcatSequence, CrossEncoder, Encoder
from adapt.stages import Stage
from adapt.storage import atomic, digests
from adapt.storage.faults import naming, require
from adapt.storage.store import key_of


def run_stage(stage: Stage, sources: Mapping[str, str | Sequence[str]], out: Path, seed: int, listener: Listener) -> dict[str, Any]:
    """Run a stage on files and models by name; returns its counts.

    Files that a stage writes beside its product stand beside `out`: `triplets.jsonl`, `triplets.suspected.csv`. Raises
    UserError for unreadable inputs, for inputs that do not fit the stage's settings, and for an `out` that must not be replaced.
    """
    from adapt.errors import UserError

    refuse_inputs(out, [one for given in sources.values() for one in ([given] if isinstance(given, str) else given)])
    if not stage.output_kind().endswith("encoder"):
        files.output_format(out, stage.output_kind())  # found out now, not after hours of work
    inputs, kinds = {}, {}
    for want in stage.inputs():
        if want.name in sources:
            # A file may be read as several kinds (NLI rows): as one that the settings are for, where there is one.
            fit = tuple(kind for kind in want.kinds if not stage.problems({want.name: kind}))
            try:
                inputs[want.name], kinds[want.name] = _open(sources[want.name], fit or want.kinds)
            except UserError:  # it holds another kind, of which the problems below say more
                inputs[want.name], kinds[want.name] = _open(sources[want.name], want.kinds)
    problems = stage.problems(kinds)
    read_by = inputs.get("cross_encoder") or inputs.get("model")
    if isinstance(read_by, (Encoder, CrossEncoder)):
        problems = [
            *problems,
            *stage.model_problems(compatibility.architecture(read_by.path), model_folder.is_sentence_transformer(read_by.path)),
        ]
    if problems:
        raise UserError(problems)
    _refuse(stage, out)
    out = out.absolute()
    making, work = out.with_name(f".{out.name}.making"), out.with_name(f".{out.name}.work")
    with naming(out):
        atomic.remove(making)
        making.mkdir(parents=True)
        key = _key(stage, inputs, seed)
        _prepare(work, key)
        _require_room(stage, inputs, out)
        try:
            job = Job(seed, making, work, listener)
            for text in _uncovered(inputs, sources):
                job.note(text)
            made = stage_runner.run(stage, inputs, job, stage.name())
            beside = [file for file in sorted(making.iterdir()) if file.is_file()]
            if isinstance(made, (Encoder, CrossEncoder)):
                result = made.path
                written = {"stage": stage.name(), "key": key, "files": digests.manifest(result)}
                digests.write_sealed(result / digests.RECEIPT, written)
            else:
                result = making / "result" / out.name
                result.parent.mkdir()
                files.write(made, result)
                job.counts["rows"] = len(made)
            for file in beside:
                atomic.sync(file)
                os.replace(file, out.with_name(f"{out.name.partition('.')[0]}.{file.name}"))
            # The result comes last: where it is, the command has done all of its work.
            if result.is_dir():
                atomic.replace_folder(result, out)
            else:
                os.replace(result, out)
            atomic.sync(out.parent)
            atomic.remove(work)
            return job.counts
        finally:
            atomic.remove(making)
            if work.is_dir() and len(list(work.iterdir())) == 1:  # nothing to go on from
                atomic.remove(work)


def _refuse(stage: Stage, out: Path) -> None:
    """Raise UserError where what is at `out` must not be replaced: the user's own folder, or a file where a folder should be."""
    place, here, makes_folder = out.resolve(), Path.cwd(), stage.output_kind().endswith("encoder")
    if place in (here, *here.parents, Path.home().resolve()):
        raise UserError(f"{out}: is the working directory or one above it; give a place for the result alone")
    if out.is_dir() and not makes_folder:
        raise UserError(f"{out}: is a folder, and {stage.name()} makes a file; give a file's name")
    if makes_folder and out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file, and {stage.name()} makes a folder; give another --out")
    if out.is_dir() and any(out.iterdir()) and not lookup.is_model(out):
        raise UserError(f"{out}: holds no model, and would be deleted with all that is in it; give another --out")


def _uncovered(inputs: Mapping[str, Any], sources: Mapping[str, str | Sequence[str]]) -> list[str]:
    """Warnings where the (first) model hardly covers the texts of an input, which is named by its files."""
    folder = next((value.path for value in inputs.values() if isinstance(value, (Encoder, CrossEncoder))), None)
    found = []
    for name, value in inputs.items():
        if folder and not isinstance(value, (Encoder, CrossEncoder)):
            given = sources[name]
            files_named = ", ".join(Path(one).name for one in ([given] if isinstance(given, str) else given))
            found += coverage_warnings(files_named, folder, texts_of(value))
    return found


def _require_room(stage: Stage, inputs: Mapping[str, Any], out: Path) -> None:
    """Raise UserError where a model that is trained would not fit on the disk."""
    folders = [value.path for value in inputs.values() if isinstance(value, (Encoder, CrossEncoder))]
    if folders and stage.output_kind().endswith("encoder"):
        require(out, lookup.weight_bytes(folders[0]), "the model")


def _key(stage: Stage, inputs: Mapping[str, Any], seed: int) -> str:
    """What goes into the work: only a killed run of the very same work may be gone on with."""
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
    return key_of(
        {"stage": stage.name(), "version": stage.version, "settings": stage.model_dump(mode="json"), "seed": seed} | digests
    )


def _prepare(work: Path, key: str) -> None:
    """The folder for checkpoints, emptied unless they are of the same work."""
    mark = work / "key"
    if not (mark.is_file() and mark.read_bytes() == key.encode()):
        atomic.remove(work)
        work.mkdir(parents=True)
        mark.write_text(key)


def _open(source: str | Sequence[str], kinds: tuple[str, ...]) -> tuple[Any, str]:
    """An input and its kind."""
    if kinds[0] in ("encoder", "cross-encoder"):
        assert isinstance(source, str)
        folder = lookup.find_model(source)
        lookup.verify_weights(folder)
        return (Encoder if kinds[0] == "encoder" else CrossEncoder)(folder), kinds[0]
    found = ConcatSequence([files.read(one, " ".join(kinds)) for one in ([source] if isinstance(source, str) else source)])
    return found, records.record_kind(found)
