"""Vectors that stand: by the weights and the very text that the model was given, so that they are never out of date."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xxhash

from adapt.errors import UserError
from adapt.models import prompt, weights_digest

HASHES = np.dtype("V16")
AS_LONG = "-as-long"  # keeps vectors apart that were not brought to unit length
SETTINGS = "config_sentence_transformers.json"


def with_prompt(folder: Path, texts: Sequence[str], role: str) -> list[str]:
    """The texts as a model is given them: behind its prompt for a `query`, a `document`, or ("") any other text."""
    file = folder / SETTINGS
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    before = prompt(settings.get("prompts"), settings.get("default_prompt_name"), role)
    return [before + text for text in texts]


def kept(folder: Path, texts: Sequence[str], where: Path | None, role: str = "", unit: bool = True) -> np.ndarray | None:
    """Vectors [texts, d] of a model, float32, where all of them stand in `where`: no model is opened for them.

    Unit vectors, or (`unit` False) as long as the model makes them.
    """
    store, given = Vectors(folder, where, "" if unit else AS_LONG), with_prompt(folder, texts, role)
    return None if store.missing(given) else finite(folder, store.take(given))


def finite(folder: Path, found: np.ndarray) -> np.ndarray:
    """The vectors [texts, d] of a model; raises UserError where they hold NaN or infinity."""
    if not np.isfinite(found).all():
        broken = int((~np.isfinite(found)).any(axis=1).sum())
        raise UserError(f"{folder}: gives no finite vectors: {broken:,} of {len(found):,} hold NaN or infinity")
    return found


class Vectors:
    """One model's vectors by text: in memory, and (where a folder is given) in segments on disk that are mapped, not read.

    A segment is `NAME.npy`, vectors [texts, d], and beside it `NAME.texts.npy`, a 128-bit hash of each text, named by these. It is
    written once and counts from the moment its hashes are there: keeping more costs what is new, and writers do not meet.
    """

    def __init__(self, folder: Path, where: Path | None, kind: str = ""):
        """`kind` keeps vectors apart that the same weights made in another way."""
        self.place = where / (weights_digest(folder) + kind) if where else None
        self.parts: list[np.ndarray] = []
        self.rows: dict[bytes, tuple[int, int]] = {}
        self.fresh: list[bytes] = []  # since the last save, in the order of the parts from `saved` on
        for names in sorted(self.place.glob("*.texts.npy")) if self.place else ():
            part = np.load(names.with_name(names.name.replace(".texts", "")), mmap_mode="r")
            self._add(np.load(names).tolist(), part)
        self.saved = len(self.parts)

    def _add(self, names: Sequence[bytes], vectors: np.ndarray) -> None:
        number = len(self.parts)
        self.parts.append(vectors)
        self.rows.update((name, (number, row)) for row, name in enumerate(names))

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts that have no vector yet, each once."""
        return [text for text in dict.fromkeys(texts) if _hash(text) not in self.rows]

    def keep(self, texts: Sequence[str], vectors: np.ndarray) -> None:
        """Take in vectors [texts, d] of texts that were missing."""
        names = [_hash(text) for text in texts]
        self._add(names, vectors)
        self.fresh += names

    def take(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors [texts, d], float32, of texts that are there."""
        places = np.array([self.rows[_hash(text)] for text in texts])
        found = np.empty((len(texts), self.parts[places[0, 0]].shape[1]), dtype=np.float32)
        order = np.argsort(places[:, 0], kind="stable")
        for here in np.split(order, np.flatnonzero(np.diff(places[order, 0])) + 1):  # those of one part
            found[here] = self.parts[places[here[0], 0]][places[here, 1]]
        return found

    def save(self) -> None:
        """Write what is new as one segment."""
        if self.place is None or not self.fresh:
            return
        self.place.mkdir(parents=True, exist_ok=True)
        vectors, names = np.concatenate(self.parts[self.saved :]), np.array(self.fresh, dtype=HASHES)
        name = xxhash.xxh3_128_hexdigest(names.tobytes())
        for file, rows in ((f"{name}.npy", vectors), (f"{name}.texts.npy", names)):  # the hashes last
            aside = self.place / f".{os.getpid()}-{file}"
            with open(aside, "wb") as opened:
                np.save(opened, rows)
            os.replace(aside, self.place / file)
        self.parts[self.saved :] = []
        self._add(self.fresh, np.load(self.place / f"{name}.npy", mmap_mode="r"))
        self.saved, self.fresh = len(self.parts), []


def _hash(text: str) -> bytes:
    return xxhash.xxh3_128_digest(text.encode())
