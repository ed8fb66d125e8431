"""One stage by hand: inputs from files and names, the result in its place only when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt import files, models, records
from adapt.job import Event, Job
from adapt.records import CrossEncoder, Encoder, Joined
from adapt.running import soundness
from adapt.stages import Stage
from adapt.store import key_of


def run_stage(
    stage: Stage, sources: Mapping[str, str | Sequence[str]], out: Path, seed: int, tell: Callable[[Event], None]
) -> dict[str, Any]:
    """Run a stage on files and models by name; returns its counts.

    Files that a stage writes beside its product stand beside `out`: `triplets.jsonl`, `triplets.suspected.csv`. Raises
    UserError for unreadable inputs, or for inputs that do not fit the stage's settings.
    """
    from adapt.errors import UserError

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
    if problems:
        raise UserError(problems)
    out = out.absolute()
    making, work = out.with_name(f".{out.name}.making"), out.with_name(f".{out.name}.work")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _prepare(work, _key(stage, inputs, seed))
    try:
        job = Job(seed, making, work, tell)
        made = soundness.run(stage, inputs, job, stage.word())
        if isinstance(made, (Encoder, CrossEncoder)):
            if out.is_dir():
                shutil.rmtree(out)
            os.replace(made.path, out)
        else:
            files.write(made, out)
            job.counts["rows"] = len(made)
        for file in sorted(making.iterdir()):
            os.replace(file, out.with_name(f"{out.name.partition('.')[0]}.{file.name}"))
        shutil.rmtree(work, ignore_errors=True)
        return job.counts
    finally:
        shutil.rmtree(making, ignore_errors=True)
        if work.is_dir() and len(list(work.iterdir())) == 1:  # nothing to go on from
            shutil.rmtree(work)


def _key(stage: Stage, inputs: Mapping[str, Any], seed: int) -> str:
    """What goes into the work: only a killed run of the very same work may be gone on with."""
    import xxhash

    digests = {}
    for name, value in inputs.items():
        if isinstance(value, (Encoder, CrossEncoder)):
            digests[name] = models.weights_digest(value.path)
        else:
            digest = xxhash.xxh3_128()
            for record in value:
                digest.update(repr(record).encode())
            digests[name] = digest.hexdigest()
    return key_of(
        {"stage": stage.word(), "version": stage.version, "settings": stage.model_dump(mode="json"), "seed": seed} | digests
    )


def _prepare(work: Path, key: str) -> None:
    """The folder for checkpoints, emptied unless they are of the same work."""
    mark = work / "key"
    if not (mark.is_file() and mark.read_text() == key):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(key)


def _open(source: str | Sequence[str], kinds: tuple[str, ...]) -> tuple[Any, str]:
    """An input and its kind."""
    if kinds[0] in ("encoder", "cross-encoder"):
        assert isinstance(source, str)
        folder = models.locate(source)
        models.verify(folder)
        return (Encoder if kinds[0] == "encoder" else CrossEncoder)(folder), kinds[0]
    found = Joined([files.read(one, " ".join(kinds)) for one in ([source] if isinstance(source, str) else source)])
    return found, records.kind_of_records(found)
