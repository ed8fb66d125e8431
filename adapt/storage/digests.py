"""Digests by which damage is noticed: of a file, of all files of a folder, and of a JSON file's own content."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import xxhash

from adapt.storage import atomic

RECEIPT = "receipt.json"
DIGEST_KEY = "digest"  # the key of a sealed JSON object's digest
Files = Mapping[str, Any]  # {path inside the folder: [bytes, digest]}

_known: dict[tuple[str, int, int, int], str] = {}


def file_digest(path: Path) -> str:
    """XXH3-128 of a file, as hex; one that has not changed since (size, time, inode) is read once in a process."""
    stat = path.stat()
    stamp = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if stamp in _known:
        return _known[stamp]
    digest = xxhash.xxh3_128()
    with open(path, "rb") as opened:
        while block := opened.read(1 << 22):
            digest.update(block)
    # A file written in this very second may change again without a change of its time.
    if time.time_ns() - stat.st_mtime_ns > 1_000_000_000:
        _known[stamp] = digest.hexdigest()
    return digest.hexdigest()


def text_digest(text: str) -> str:
    """XXH3-128 of a text, as hex."""
    return xxhash.xxh3_128_hexdigest(text.encode())


def files_digest(files: Iterable[Path], root: Path) -> str:
    """One digest of several files: of their paths inside `root` and their content."""
    digest = xxhash.xxh3_128()
    for file in files:
        digest.update(f"{file.relative_to(root).as_posix()}\n{file_digest(file)}\n".encode())
    return digest.hexdigest()


def manifest(folder: Path) -> dict[str, list[Any]]:
    """{path: [bytes, digest]} of every file in a folder but its receipt and files whose names begin with a dot."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not is_hidden(file, folder))
    return {
        file.relative_to(folder).as_posix(): [file.stat().st_size, file_digest(file)] for file in files if file != folder / RECEIPT
    }


def is_hidden(file: Path, root: Path) -> bool:
    """Whether a file, or a folder above it inside `root`, is somebody's unfinished or private one: a name with a dot in front."""
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def find_damage(folder: Path, files: Files, full: bool = True) -> list[str]:
    """What is wrong with the files of a folder, a phrase each: missing, of another size or (with `full`) of another digest."""
    found = []
    for name, (size, digest) in files.items():
        file = folder / name
        try:
            if not file.is_file():
                found.append(f"{name} is missing")
            elif file.stat().st_size != size:
                found.append(f"{name} has {file.stat().st_size:,} bytes, not {size:,}")
            elif full and file_digest(file) != digest:
                found.append(f"{name} has changed since it was written")
        except OSError as error:
            found.append(f"{name} can't be read ({error.strerror})")
    return found


def find_model_damage(folder: Path) -> list[str]:
    """What is wrong with a model folder that has a receipt, its own or that of the step it belongs to; [] without one."""
    own = read_verified(folder / RECEIPT)
    if own is not None:
        return find_damage(folder, {name: held for name, held in own["files"].items() if not name.endswith(".md")})
    step = read_verified(folder.parent / RECEIPT)
    inside = f"{folder.name}/"
    return find_damage(folder.parent, {n: held for n, held in step["files"].items() if n.startswith(inside)}) if step else []


def add_digest(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with a digest of its own content."""
    held = {name: part for name, part in value.items() if name != DIGEST_KEY}
    return {**held, DIGEST_KEY: _of_value(held)}


def write_verified(path: Path, value: Mapping[str, Any], durable: bool = True) -> None:
    """Write a JSON object that `read_verified` reads back."""
    atomic.write_text(path, json.dumps(add_digest(value), indent=2, ensure_ascii=False) + "\n", durable)


def read_json(path: Path) -> Any:
    """What a JSON file holds; None where it is missing, cut or empty."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_verified(path: Path) -> dict[str, Any] | None:
    """A sealed JSON object without its digest; None where it is missing, cut, empty, changed, or was never sealed."""
    value = read_json(path)
    if not isinstance(value, dict) or DIGEST_KEY not in value:
        return None
    digest = value.pop(DIGEST_KEY)
    return value if digest == _of_value(value) else None


def _of_value(value: Any) -> str:
    """A digest of what JSON makes of a value: tuples are lists there, and all keys text."""
    plain = json.loads(json.dumps(value))
    return text_digest(json.dumps(plain, sort_keys=True))
