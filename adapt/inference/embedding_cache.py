"""Vectors that stand: by the weights and the very text that the model was given, so that they are never out of date."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from adapt.errors import UserError
from adapt.job import Job
from adapt.models.lookup import prompt_for_role, weights_digest
from adapt.storage import arrays
from adapt.storage.atomic import remove
from adapt.storage.digests import file_digest, read_json
from adapt.storage.disk_errors import attach_path, describe

HASH_DTYPE = np.dtype("V16")
SUFFIX = ".segment.npy"
UNNORMALIZED = "-as-long"  # keeps vectors apart that were not brought to unit length
problems: list[str] = []  # what came up with kept vectors since it was last told
ST_CONFIG = "config_sentence_transformers.json"


def prepend_prompt(folder: Path, texts: Sequence[str], role: str) -> list[str]:
    """The texts as a model is given them: behind its prompt for a `query`, a `document`, or ("") any other text."""
    file = folder / ST_CONFIG
    settings = read_json(file) or {}
    before = prompt_for_role(settings.get("prompts"), settings.get("default_prompt_name"), role)
    return [before + text for text in texts]


def cached_embeddings(
    folder: Path, texts: Sequence[str], where: Path | None, role: str = "", unit: bool = True
) -> np.ndarray | None:
    """Vectors [texts, d] of a model, float32, where all of them stand in `where`: no model is opened for them.

    Unit vectors, or (`unit` False) as long as the model makes them.
    """
    store, given = EmbeddingCache(folder, where, "" if unit else UNNORMALIZED), prepend_prompt(folder, texts, role)
    return None if store.missing(given) else require_finite(folder, store.get(given))


def require_finite(folder: Path, found: np.ndarray) -> np.ndarray:
    """The vectors [texts, d] of a model; raises UserError where they hold NaN or infinity."""
    if not np.isfinite(found).all():
        broken = int((~np.isfinite(found)).any(axis=1).sum())
        raise UserError(f"{folder}: gives no finite vectors: {broken:,} of {len(found):,} hold NaN or infinity")
    return found


class EmbeddingCache:
    """One model's vectors by text: in memory, and (where a folder is given) in segments on disk that are mapped, not read.

    A segment is one file, a row for each text: its 128-bit hash, and its vector. The file's name is the digest of its content,
    so a segment is there whole or not at all, writers do not meet, and one that is damaged is found when its first vector is
    asked for: it is deleted, and its texts are missing again. `problems` says what of this kind came up.
    """

    def __init__(self, folder: Path, where: Path | None, kind: str = ""):
        """`kind` keeps vectors apart that the same weights made in another way."""
        self.place = where / (weights_digest(folder) + kind) if where else None
        self.parts: list[np.ndarray] = []
        self.files: list[Path | None] = []  # of each part; None once it is known to be whole
        self.rows: dict[bytes, tuple[int, int]] = {}
        self.fresh: list[bytes] = []  # since the last save, in the order of the parts from `saved` on
        for file in sorted(self.place.glob(f"[!.]*{SUFFIX}")) if self.place else ():
            self._open(file)
        self.saved = len(self.parts)

    def _open(self, file: Path) -> None:
        try:
            part = np.load(file, mmap_mode="r")
            usable = part.dtype.names == ("text", "vector") and part.dtype == _row(part.dtype["vector"].shape[0])
        except Exception:  # a damaged header is evaluated as Python, and may raise anything
            usable = False
        if not usable:
            _drop(file)
            return
        self._add(part["text"].tolist(), part["vector"], file)

    def _add(self, names: Sequence[bytes], vectors: np.ndarray, file: Path | None = None) -> None:
        number = len(self.parts)
        self.parts.append(vectors)
        self.files.append(file)
        self.rows.update((name, (number, row)) for row, name in enumerate(names))

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that have no vector yet, each once; a segment that holds one of them is read through the first time."""
        hashes = {text: _hash(text) for text in texts}
        for number in sorted({self.rows[name][0] for name in hashes.values() if name in self.rows}):
            self._verify(number)
        return [text for text, name in hashes.items() if name not in self.rows]

    def _verify(self, number: int) -> None:
        """Hold a segment against its name; forget and delete it where they differ."""
        file, self.files[number] = self.files[number], None
        if file is not None and not _whole(file):
            self.rows = {name: place for name, place in self.rows.items() if place[0] != number}
            _drop(file)

    def put(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Take in vectors [texts, d] of texts that were missing."""
        names = [_hash(text) for text in texts]
        self._add(names, vectors)
        self.fresh += names

    def get(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors [texts, d], float32, of texts that are there: of which `missing` names none."""
        places = np.array([self.rows[_hash(text)] for text in texts])
        found = np.empty((len(texts), self.parts[places[0, 0]].shape[1]), dtype=np.float32)
        order = np.argsort(places[:, 0], kind="stable")
        for here in np.split(order, np.flatnonzero(np.diff(places[order, 0])) + 1):  # those of one part
            found[here] = self.parts[places[here[0], 0]][places[here, 1]]
        return found

    def save(self) -> None:
        """Write what is new as one segment; where that fails, the vectors stay in memory, and `problems` says so."""
        if self.place is None or not self.fresh:
            return
        vectors = np.concatenate(self.parts[self.saved :])
        table = np.empty(len(vectors), dtype=_row(vectors.shape[1]))
        table["text"], table["vector"] = np.array(self.fresh, dtype=HASH_DTYPE), vectors
        aside = self.place / f".{os.getpid()}-{threading.get_ident()}.npy"
        try:
            with attach_path(self.place):
                self.place.mkdir(parents=True, exist_ok=True)
                _sweep(self.place)
                with open(aside, "wb") as opened:
                    arrays.write(opened, table)
                file = self.place / f"{file_digest(aside)}{SUFFIX}"
                os.replace(aside, file)  # not flushed to the disk: a segment that a loss of power cuts is found by its name
        except OSError as error:
            remove(aside)
            problems.append(f"embeddings can't be kept, and will be computed again where they are needed: {describe(error)}")
            return
        self.parts[self.saved :], self.files[self.saved :] = [], []
        self._add(self.fresh, np.load(file, mmap_mode="r")["vector"], file)
        self.saved, self.fresh = len(self.parts), []


def damaged_segments(root: Path) -> list[Path]:
    """The segments in a folder and those below it that differ from what was written; every byte is read."""
    return [file for file in sorted(root.rglob(f"[!.]*{SUFFIX}")) if not _whole(file)]


def delete_damaged(root: Path) -> None:
    """Delete the segments that differ from what was written, and have `problems` name them: also those that nobody asks for."""
    for file in damaged_segments(root):
        _drop(file)


def _whole(file: Path) -> bool:
    """Whether a segment is what was written; its name is the digest of that."""
    try:
        return file_digest(file) == file.name.removesuffix(SUFFIX)
    except OSError:
        return False


def _sweep(place: Path) -> None:
    """Delete unfinished segments that a killed process left: those a day old."""
    for file in place.glob(".*.npy"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > 86_400:
                file.unlink()


def report_problems(job: Job) -> None:
    """Say once what came up with kept vectors."""
    for sentence in dict.fromkeys(problems):
        job.note(sentence)
    problems.clear()


def _row(width: int) -> np.dtype:
    """A row of a segment."""
    return np.dtype([("text", HASH_DTYPE), ("vector", "<f4", (width,))])


def _drop(file: Path) -> None:
    problems.append(f"{file}: these kept embeddings are damaged; they are deleted, and computed again")
    remove(file)


def _hash(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode())
