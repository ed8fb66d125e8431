"""Measure models: load a check's data once, ask the model, remember the answer by (check, model, data)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapt import checks, files
from adapt.checks import Measurement
from adapt.checks.health import health
from adapt.checks.statistics import STATISTICS, Delta, compare_all
from adapt.errors import UserError
from adapt.inference import cache_folder, embedding_cache
from adapt.job import Event, Job, Listener, ignore_events
from adapt.models import lookup, model_folder
from adapt.models.coverage import coverage_warnings
from adapt.pipeline.input_report import texts_of_check
from adapt.recipe import CheckSpec
from adapt.records import CrossEncoder, Encoder
from adapt.runtime.precision import resolve
from adapt.storage.digests import read_verified, text_digest, write_verified
from adapt.storage.store import cache_key

if TYPE_CHECKING:
    import numpy as np

VERSION = 5  # raised when the same check would measure something else


@dataclass(frozen=True)
class OnDisk:
    """A bi-encoder as checks see it: `by` its own similarity, cosine or dot, or by cosine where asked."""

    folder: Path
    job: Job
    by: Literal["own", "cosine"] = "own"

    def embed(self, texts: Sequence[str], role: str = ""):
        """Vectors [texts, d] whose dot products are the similarity: unit vectors, of a dot-product model as long as they are."""
        unit = self.by == "cosine" or not by_dot(self.folder)
        found = embedding_cache.cached_embeddings(self.folder, texts, self.job.embedding_cache, role, unit)
        if found is None:
            from adapt.inference.encoding import embed  # takes seconds to import, and has nothing to do where all are cached

            found = embed(self.folder, texts, self.job, role, label="encoding for checks", unit=unit)
        return found

    def device(self) -> str:
        """What it runs on, in words."""
        from adapt.runtime.environment import describe

        return describe()

    def score(self, pairs: Sequence[tuple[str, str]]):
        """Similarities [pairs]."""
        found = self.embed([text for pair in pairs for text in pair])
        return (found[0::2] * found[1::2]).sum(1)


def by_dot(folder: Path) -> bool:
    """Whether a model's own configuration compares vectors by their dot product."""
    return model_folder.similarity(folder) == "dot"


@dataclass(frozen=True)
class Reading:
    """A cross-encoder as checks see it: it scores pairs, and has no vectors."""

    folder: Path
    job: Job

    def embed(self, texts: Sequence[str], role: str = "") -> np.ndarray:
        """Raises UserError: a cross-encoder has no embeddings."""
        raise UserError(f"{self.folder}: is a cross-encoder, which scores pairs and has no embeddings")

    def score(self, pairs: Sequence[tuple[str, str]]):
        """Scores in 0 to 1, [pairs]."""
        from adapt.inference.scoring import predict

        return predict(self.folder, pairs, self.job, label="scoring for checks")


@dataclass
class Measures:
    """Measurements of one place: data read once, results kept as files in `where` (None keeps none)."""

    job: Job
    where: Path | None = None
    data: dict[str, Any] = field(default_factory=dict)
    options: files.ReadOptions | None = None  # those in force where not given
    notes: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, tuple[int, str]] = field(default_factory=dict)  # bad rows left out, and the file in `where` that holds them

    def read(self, kind: str, source: Any, split: str) -> Any:
        """The data of a check; read once."""
        name = _name(kind, source, split)
        if name not in self.data:
            if self.options is None:
                self.data[name] = checks.find(kind).read(source, split)
                return self.data[name]
            with files.reading(self.options) as log:
                self.data[name] = checks.find(kind).read(source, split)
            self.notes[name] = log.notes
            if log.rejections and self.where:
                rejected = self.where / f"rejected-{kind}-{split}-{text_digest(name)[:16]}.jsonl"
                log.write_rejected(rejected)
                self.skipped[name] = log.rejections, f"{self.where.name}/{rejected.name}"
            for text in log.notes:
                self.job.note(text)
        return self.data[name]

    def read_all(self, specs: Mapping[str, CheckSpec]) -> dict[str, Any]:
        """{"check split": its data} of every check; raises UserError with the problems of every file."""
        found: dict[str, Any] = {}
        problems: list[str] = []
        for name, spec in specs.items():
            for split in ("dev", "test"):
                if (source := getattr(spec, split)) is not None:
                    try:
                        found[f"{name} {split}"] = self.read(spec.kind, source, split)
                    except UserError as error:
                        problems += error.problems
        if problems:
            raise UserError(dict.fromkeys(problems))
        return found

    def notes_of(self, kind: str, source: Any, split: str) -> list[str]:
        """What was noted when a check's data were read."""
        return self.notes.get(_name(kind, source, split), [])

    def skipped_of(self, kind: str, source: Any, split: str) -> tuple[int, str]:
        """How many bad rows were left out when a check's data were read, and which file holds them."""
        return self.skipped.get(_name(kind, source, split), (0, ""))

    def of(self, model: Encoder | CrossEncoder, kind: str, source: Any, split: str, digest: str = "") -> Measurement:
        """What a check finds for a model on one split of its data; `digest` names the data for the cache."""
        entry = self._entry(model, digest) | {"kind": kind}
        file = self.where / f"{kind}-{split}-{cache_key(entry)}.json" if self.where and digest else None
        if file and (kept := self._kept(file)):
            return Measurement(**kept)
        asked = OnDisk(model.path, self.job) if isinstance(model, Encoder) else Reading(model.path, self.job)
        found = checks.find(kind).measure(self.read(kind, source, split), asked)
        if file:
            write_verified(file, asdict(found), durable=False)
        return found

    def _kept(self, file: Path) -> dict[str, Any] | None:
        """What an earlier run measured; None where there is nothing, or (said in a note) it is damaged."""
        found = read_verified(file)
        if found is None and file.exists():
            self.job.note(f"{file}: is damaged; measured again")
        return found

    def _entry(self, model: Encoder | CrossEncoder, digest: str) -> dict[str, Any]:
        # Figures of two precisions differ in their fourth digit: they are not compared with each other.
        return {"model": lookup.weights_digest(model.path), "data": digest, "version": VERSION, "precision": resolve()}

    def health(self, model: Encoder, kind: str, source: Any, split: str, digest: str = "") -> dict[str, float]:
        """What the space of a model is like on one split of a check's data; see `adapt.checks.health`."""
        entry = self._entry(model, digest) | {"health": kind}
        file = self.where / f"health-{kind}-{split}-{cache_key(entry)}.json" if self.where and digest else None
        if file and (kept := self._kept(file)):
            return kept
        found = health(kind, self.read(kind, source, split), OnDisk(model.path, self.job, "cosine"))
        if file:
            write_verified(file, found, durable=False)
        return found


def _name(kind: str, source: Any, split: str) -> str:
    return f"{kind} {split} {json.dumps(source, sort_keys=True, default=str)}"


def scores_pairs(kind: str) -> bool:
    """Whether a check can judge a cross-encoder: it asks for pair scores only."""
    return not checks.find(kind).needs_embeddings


def deltas(
    before: Mapping[str, Measurement], after: Mapping[str, Measurement], seed: int = 0, only: Callable[[str], bool] = lambda m: True
) -> dict[str, Delta]:
    """{check.metric: paired difference} for every metric of every check that both have."""
    found: dict[str, Delta] = {}
    for name in after:
        if name in before:
            metrics = after[name].metrics
            wanted = [m for m in metrics if only(f"{name}.{m}") and (m in after[name].items or m in STATISTICS)]
            found |= {f"{name}.{m}": delta for m, delta in compare_all(wanted, before[name], after[name], seed).items()}
    return found


def measure_all(
    name: str, wanted: Mapping[str, tuple[str, Any]], split: str, listener: Listener = ignore_events
) -> dict[str, Measurement]:
    """{check: measurement} of a model, by name or path, on {check: (kind, source)}; see `measure_each`."""
    return measure_each([name], wanted, split, listener)[0]


def measure_each(
    names: Sequence[str], wanted: Mapping[str, tuple[str, Any]], split: str, listener: Listener = ignore_events
) -> list[dict[str, Measurement]]:
    """{check: measurement} of each model, by name or path, on {check: (kind, source)}; data are read once.

    Vectors are kept between calls (see `cache_folder`), so that models are compared on encoded data in seconds. A cross-encoder is
    measured on pairs only. Raises UserError where a model is not found, before any is measured.
    """
    asked: list[Encoder | CrossEncoder] = []
    for folder in map(lookup.find_model, names):
        lookup.verify_weights(folder)
        asked.append(CrossEncoder(folder) if lookup.is_cross_encoder(folder) else Encoder(folder))
        if isinstance(asked[-1], CrossEncoder) and any(not scores_pairs(kind) for kind, _ in wanted.values()):
            raise UserError(
                f"{folder}: is a cross-encoder, which scores pairs and has no vectors; measure it with --sts or --pairs"
            )
    for folder in (model.path for model in asked):
        for remark in model_folder.similarity_notes(folder, str(folder), "measured by it", "measured by cosine"):
            listener(Event("note", remark))
    measures, before = Measures(Job(listener=listener, embedding_cache=cache_folder.embeddings_folder())), cache_folder.size()
    for check, (kind, source) in wanted.items():
        texts = texts_of_check(kind, measures.read(kind, source, split))
        for text in dict.fromkeys(text for model in asked for text in coverage_warnings(check, model.path, texts)):
            measures.job.note(text)
    found = [{check: measures.of(model, kind, source, split) for check, (kind, source) in wanted.items()} for model in asked]
    cache_folder.report_size(measures.job, before)
    return found
