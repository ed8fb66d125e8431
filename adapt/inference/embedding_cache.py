"""A cache of embeddings, keyed by the model's weights and the text that it encoded (prompt included), so that none is stale."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from adapt.errors import UserError
from adapt.job import Job
from adapt.models.lookup import prompt_for_role, weights_digest
from adapt.storage import arrays
from adapt.storage.atomic import remove
from adapt.storage.digests import file_digest, read_json
from adapt.storage.disk_errors import attach_path, describe

Embeddings = npt.NDArray[np.float32]  # [texts, dimensions]

HASH_DTYPE = np.dtype("V16")  # XXH3-128 of a text
SUFFIX = ".segment.npy"
UNNORMALIZED = "-as-long"  # folder suffix of embeddings that are not of unit length
STALE_SECONDS = 86_400  # age from which an unfinished segment of a killed process is deleted
ST_CONFIG = "config_sentence_transformers.json"
problems: list[str] = []  # damaged segments and failed writes since the last `report_problems`


def prepend_prompt(folder: Path, texts: Sequence[str], role: str) -> list[str]:
    """The texts with the model's prompt for a `query`, a `document`, or ("") any other text."""
    config = read_json(folder / ST_CONFIG) or {}
    prompt = prompt_for_role(config.get("prompts"), config.get("default_prompt_name"), role)
    return [prompt + text for text in texts]


def cached_embeddings(
    folder: Path, texts: Sequence[str], cache: Path | None, role: str = "", normalize: bool = True
) -> Embeddings | None:
    """Embeddings [texts, d] of a model where all of them are in `cache`, else None; loads no model.

    `normalize`: unit vectors, else of the length that the model gives them. Raises UserError where one is not finite.
    """
    store, inputs = EmbeddingCache(folder, cache, "" if normalize else UNNORMALIZED), prepend_prompt(folder, texts, role)
    return None if store.missing(inputs) else require_finite(folder, store.get(inputs))


def require_finite(folder: Path, embeddings: Embeddings) -> Embeddings:
    """The embeddings [texts, d] themselves; raises UserError where they hold NaN or infinity."""
    finite = np.isfinite(embeddings).all(axis=1)
    if not finite.all():
        raise UserError(f"{folder}: gives no finite vectors: {int((~finite).sum()):,} of {len(embeddings):,} hold NaN or infinity")
    return embeddings


class EmbeddingCache:
    """One model's embeddings by text: in memory and, where a folder is given, in memory-mapped segments on disk.

    A segment is one file with a row per text: its 128-bit hash and its embedding. The file's name is the digest of its content,
    so that segments appear atomically, processes never write the same file, and damage is detected on first use: a damaged
    segment is deleted, its texts are missing again, and `problems` gets an entry.
    """

    def __init__(self, folder: Path, cache: Path | None, kind: str = ""):
        """`folder`: the model's; `kind`: a suffix for embeddings that the same weights give in another way (int8, precision)."""
        self.folder = cache / (weights_digest(folder) + kind) if cache else None
        self.parts: list[Embeddings] = []
        self.files: list[Path | None] = []  # of each part; None once it is verified
        self.rows: dict[bytes, tuple[int, int]] = {}  # hash of a text → (part, row)
        self.unsaved: list[bytes] = []  # hashes, in the order of the parts from `saved` on
        for file in sorted(self.folder.glob(f"[!.]*{SUFFIX}")) if self.folder else ():
            self._open(file)
        self.saved = len(self.parts)

    def _open(self, file: Path) -> None:
        try:
            part = np.load(file, mmap_mode="r")
            usable = part.dtype.names == ("text", "vector") and part.dtype == _row_dtype(part.dtype["vector"].shape[0])
        except Exception:  # numpy evaluates a damaged header as Python, which may raise anything
            usable = False
        if not usable:
            _delete_damaged(file)
            return
        self._add(part["text"].tolist(), part["vector"], file)

    def _add(self, hashes: Sequence[bytes], embeddings: Embeddings, file: Path | None = None) -> None:
        number = len(self.parts)
        self.parts.append(embeddings)
        self.files.append(file)
        self.rows.update((name, (number, row)) for row, name in enumerate(hashes))

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts without an embedding; verifies the segments of the others on first use."""
        hashes = {text: _hash(text) for text in texts}
        for number in sorted({self.rows[name][0] for name in hashes.values() if name in self.rows}):
            self._verify(number)
        return [text for text, name in hashes.items() if name not in self.rows]

    def _verify(self, number: int) -> None:
        """Compare a segment with the digest in its name; drop and delete it where they differ."""
        file, self.files[number] = self.files[number], None
        if file is not None and not _is_intact(file):
            self.rows = {name: place for name, place in self.rows.items() if place[0] != number}
            _delete_damaged(file)

    def put(self, texts: Sequence[str], embeddings: Embeddings) -> None:
        """Add embeddings [texts, d] of texts that were missing; `save` writes them to the disk."""
        hashes = [_hash(text) for text in texts]
        self._add(hashes, embeddings)
        self.unsaved += hashes

    def get(self, texts: Sequence[str]) -> Embeddings:
        """Embeddings [texts, d] of texts of which none is `missing`."""
        places = np.array([self.rows[_hash(text)] for text in texts])
        found = np.empty((len(texts), self.parts[places[0, 0]].shape[1]), dtype=np.float32)
        order = np.argsort(places[:, 0], kind="stable")
        for of_part in np.split(order, np.flatnonzero(np.diff(places[order, 0])) + 1):
            found[of_part] = self.parts[places[of_part[0], 0]][places[of_part, 1]]
        return found

    def save(self) -> None:
        """Write new embeddings as one segment; where that fails they stay in memory, and `problems` gets an entry."""
        if self.folder is None or not self.unsaved:
            return
        embeddings = np.concatenate(self.parts[self.saved :])
        table = np.empty(len(embeddings), dtype=_row_dtype(embeddings.shape[1]))
        table["text"], table["vector"] = np.array(self.unsaved, dtype=HASH_DTYPE), embeddings
        temporary = self.folder / f".{os.getpid()}-{threading.get_ident()}.npy"
        try:
            with attach_path(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                _delete_unfinished(self.folder)
                with open(temporary, "wb") as opened:
                    arrays.write(opened, table)
                file = self.folder / f"{file_digest(temporary)}{SUFFIX}"
                os.replace(temporary, file)  # not flushed: a segment cut by a loss of power is detected by its name
        except OSError as error:
            remove(temporary)
            problems.append(f"embeddings can't be cached and will be recomputed where they are needed: {describe(error)}")
            return
        self.parts[self.saved :], self.files[self.saved :] = [], []
        self._add(self.unsaved, np.load(file, mmap_mode="r")["vector"], file)
        self.saved, self.unsaved = len(self.parts), []


def damaged_segments(root: Path) -> list[Path]:
    """The segments below a folder whose content differs from the digest in their names; reads every byte."""
    return [file for file in sorted(root.rglob(f"[!.]*{SUFFIX}")) if not _is_intact(file)]


def delete_damaged(root: Path) -> None:
    """Delete the `damaged_segments` below a folder and add them to `problems`."""
    for file in damaged_segments(root):
        _delete_damaged(file)


def report_problems(job: Job) -> None:
    """Note each entry of `problems` once, and clear the list."""
    for sentence in dict.fromkeys(problems):
        job.note(sentence)
    problems.clear()


def _is_intact(file: Path) -> bool:
    try:
        return file_digest(file) == file.name.removesuffix(SUFFIX)
    except OSError:
        return False


def _delete_unfinished(folder: Path) -> None:
    """Delete unfinished segments of killed processes."""
    for file in folder.glob(".*.npy"):
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > STALE_SECONDS:
                file.unlink()


def _row_dtype(dimensions: int) -> np.dtype[Any]:
    return np.dtype([("text", HASH_DTYPE), ("vector", "<f4", (dimensions,))])


def _delete_damaged(file: Path) -> None:
    problems.append(f"{file}: these cached embeddings are damaged; they are deleted and recomputed")
    remove(file)


def _hash(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode())
