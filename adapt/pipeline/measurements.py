"""Measurements of models by checks: each check's data are read once, each result is cached by check, model and data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from adapt import checks, files
from adapt.checks import Measurement, Source
from adapt.checks.health import health
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
class BiEncoderModel:
    """A bi-encoder as checks use it: by `similarity`, its own (cosine or dot product), or always by cosine."""

    folder: Path
    job: Job
    similarity: Literal["own", "cosine"] = "own"

    def embed(self, texts: Sequence[str], role: str = "") -> np.ndarray:
        """Embeddings [texts, d] whose dot products are the similarity: unit vectors unless the model compares by dot product."""
        unit = self.similarity == "cosine" or not uses_dot_product(self.folder)
        cached = embedding_cache.cached_embeddings(self.folder, texts, self.job.embedding_cache, role, unit)
        if cached is not None:
            return cached
        from adapt.inference.encoding import embed  # takes seconds to import, which a run with cached embeddings saves

        return embed(self.folder, texts, self.job, role, label="encoding for checks", normalize=unit)

    def device(self) -> str:
        """The device that it runs on, in words."""
        from adapt.runtime.environment import describe

        return describe()

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Similarities [pairs]."""
        embeddings = self.embed([text for pair in pairs for text in pair])
        similarities: np.ndarray = (embeddings[0::2] * embeddings[1::2]).sum(1)
        return similarities


def uses_dot_product(folder: Path) -> bool:
    """Whether a model's own configuration compares embeddings by their dot product."""
    return model_folder.similarity(folder) == "dot"


@dataclass(frozen=True)
class CrossEncoderModel:
    """A cross-encoder as checks use it: it scores pairs, and has no embeddings."""

    folder: Path
    job: Job

    def embed(self, texts: Sequence[str], role: str = "") -> np.ndarray:
        """Raises UserError: a cross-encoder has no embeddings."""
        raise UserError(f"{self.folder}: is a cross-encoder, which scores pairs and has no embeddings")

    def score(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Scores in 0 to 1, [pairs]."""
        from adapt.inference.scoring import predict

        return predict(self.folder, pairs, self.job, label="scoring for checks")


@dataclass
class Measurements:
    """Measurements in one folder: data are read once, results are cached as files in `where` (None disables caching)."""

    job: Job
    where: Path | None = None
    data: dict[str, object] = field(default_factory=dict)
    options: files.ReadOptions | None = None  # those in force where not given
    notes: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, tuple[int, str]] = field(default_factory=dict)  # bad rows, and the file in `where` that holds them

    def read(self, kind: str, source: Source, split: str) -> object:
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

    def read_all(self, specs: Mapping[str, CheckSpec]) -> dict[str, object]:
        """{"check split": its data} of every check; raises UserError with the problems of every file."""
        found: dict[str, object] = {}
        problems: list[str] = []
        for name, spec in specs.items():
            for split, source in spec.sources().items():
                try:
                    found[f"{name} {split}"] = self.read(spec.kind, source, split)
                except UserError as error:
                    problems += error.problems
        if problems:
            raise UserError(dict.fromkeys(problems))
        return found

    def notes_of(self, kind: str, source: Source, split: str) -> list[str]:
        """The notes on reading a check's data."""
        return self.notes.get(_name(kind, source, split), [])

    def skipped_of(self, kind: str, source: Source, split: str) -> tuple[int, str]:
        """(bad rows that were skipped on reading a check's data, the file that holds them)."""
        return self.skipped.get(_name(kind, source, split), (0, ""))

    def measure(self, model: Encoder | CrossEncoder, kind: str, source: Source, split: str, digest: str = "") -> Measurement:
        """A check's measurement of a model on one split of its data; `digest` identifies the data in the cache."""
        file = self._file(f"{kind}-{split}", model, digest, {"kind": kind})
        if file and (cached := self._cached(file)):
            return Measurement(**cached)
        measured = BiEncoderModel(model.path, self.job) if isinstance(model, Encoder) else CrossEncoderModel(model.path, self.job)
        found = checks.find(kind).measure(self.read(kind, source, split), measured)
        if file:
            write_verified(file, asdict(found), durable=False)
        return found

    def health(self, model: Encoder, kind: str, source: Source, split: str, digest: str = "") -> dict[str, float]:
        """Properties of a model's embedding space on one split of a check's data; see `adapt.checks.health`."""
        file = self._file(f"health-{kind}-{split}", model, digest, {"health": kind})
        if file and (cached := self._cached(file)):
            return cached
        found = health(kind, self.read(kind, source, split), BiEncoderModel(model.path, self.job, "cosine"))
        if file:
            write_verified(file, found, durable=False)
        return found

    def _file(self, name: str, model: Encoder | CrossEncoder, digest: str, what: Mapping[str, str]) -> Path | None:
        """Where a result is cached; None where it is not."""
        if self.where is None or not digest:
            return None
        # Figures of two precisions differ in their fourth digit: they are not compared with each other.
        entry = {"model": lookup.weights_digest(model.path), "data": digest, "version": VERSION, "precision": resolve(), **what}
        return self.where / f"{name}-{cache_key(entry)}.json"

    def _cached(self, file: Path) -> dict[str, Any] | None:
        """What an earlier run measured; None where there is nothing, or (with a note) where it is damaged."""
        found = read_verified(file)
        if found is None and file.exists():
            self.job.note(f"{file}: is damaged; measured again")
        return found


def _name(kind: str, source: Source, split: str) -> str:
    return f"{kind} {split} {json.dumps(source, sort_keys=True, default=str)}"


def measure_all(
    name: str, wanted: Mapping[str, tuple[str, Source]], split: str, listener: Listener = ignore_events
) -> dict[str, Measurement]:
    """{check: measurement} of a model, by name or path, on {check: (kind, source)}; see `measure_each`."""
    return measure_each([name], wanted, split, listener)[0]


def measure_each(
    names: Sequence[str], wanted: Mapping[str, tuple[str, Source]], split: str, listener: Listener = ignore_events
) -> list[dict[str, Measurement]]:
    """{check: measurement} of each model, by name or path, on {check: (kind, source)}; data are read once.

    Embeddings are cached between calls (see `cache_folder`), so that models are compared on encoded data in seconds. A
    cross-encoder is measured on pairs only. Raises UserError where a model is not found, before any is measured.
    """
    models: list[Encoder | CrossEncoder] = []
    for folder in map(lookup.find_model, names):
        lookup.verify_weights(folder)
        models.append(CrossEncoder(folder) if lookup.is_cross_encoder(folder) else Encoder(folder))
        if isinstance(models[-1], CrossEncoder) and any(checks.find(kind).needs_embeddings for kind, _ in wanted.values()):
            raise UserError(
                f"{folder}: is a cross-encoder, which scores pairs and has no vectors; measure it with --sts or --pairs"
            )
    for folder in (model.path for model in models):
        for remark in model_folder.similarity_notes(folder, str(folder), "measured by it", "measured by cosine"):
            listener(Event("note", remark))
    measurements = Measurements(Job(listener=listener, embedding_cache=cache_folder.embeddings_folder()))
    before = cache_folder.size()
    for check, (kind, source) in wanted.items():
        texts = texts_of_check(kind, measurements.read(kind, source, split))
        for text in dict.fromkeys(text for model in models for text in coverage_warnings(check, model.path, texts)):
            measurements.job.note(text)
    found = [
        {check: measurements.measure(model, kind, source, split) for check, (kind, source) in wanted.items()} for model in models
    ]
    cache_folder.report_size(measurements.job, before)
    return found
