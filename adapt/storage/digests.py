"""Digests that reveal damage: of a file, of all files of a folder, and of a JSON file's own content."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import xxhash

from adapt.storage import atomic

RECEIPT = "receipt.json"
DIGEST_KEY = "digest"  # of a JSON object that holds its own digest
Manifest = dict[str, list[Any]]  # {path inside the folder: [bytes, digest]}, as JSON has it

_known: dict[tuple[str, int, int, int], str] = {}


def file_digest(path: Path) -> str:
    """XXH3-128 of a file, in hex; cached in the process by path, size, modification time and inode. Raises OSError."""
    stat = path.stat()
    stamp = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if stamp in _known:
        return _known[stamp]
    digest = xxhash.xxh3_128()
    with open(path, "rb") as opened:
        while block := opened.read(1 << 22):
            digest.update(block)
    # A file written within the last second may change again without a change of its modification time.
    if time.time_ns() - stat.st_mtime_ns > 1_000_000_000:
        _known[stamp] = digest.hexdigest()
    return digest.hexdigest()


def text_digest(text: str) -> str:
    """XXH3-128 of a text, in hex."""
    return xxhash.xxh3_128_hexdigest(text.encode())


def files_digest(files: Iterable[Path], root: Path) -> str:
    """One digest of several files, in hex: of their paths relative to `root` and their content. Raises OSError."""
    digest = xxhash.xxh3_128()
    for file in files:
        digest.update(f"{file.relative_to(root).as_posix()}\n{file_digest(file)}\n".encode())
    return digest.hexdigest()


def size_and_digest(file: Path) -> list[int | str]:
    """[bytes, digest] of a file, an entry of a `Manifest`."""
    return [file.stat().st_size, file_digest(file)]


def manifest(folder: Path) -> Manifest:
    """{path: [bytes, digest]} of every file in a folder, without its receipt and hidden files."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not is_hidden(file, folder))
    return {file.relative_to(folder).as_posix(): size_and_digest(file) for file in files if file != folder / RECEIPT}


def is_hidden(file: Path, root: Path) -> bool:
    """Whether the name of a file, or of a folder between it and `root`, begins with a dot: unfinished and private files."""
    return any(part.startswith(".") for part in file.relative_to(root).parts)


def find_damage(folder: Path, files: Mapping[str, Sequence[Any]], full: bool = True) -> list[str]:
    """What differs from a manifest, a phrase each: files that are missing, of another size or, with `full`, another digest."""
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
    """`find_damage` of a model folder by its own receipt or that of the step it belongs to; [] where there is no receipt."""
    own = read_verified(folder / RECEIPT)
    if own is not None:
        return find_damage(folder, {name: entry for name, entry in own["files"].items() if not name.endswith(".md")})
    step = read_verified(folder.parent / RECEIPT)
    prefix = f"{folder.name}/"
    files = {name: entry for name, entry in step["files"].items() if name.startswith(prefix)} if step else {}
    return find_damage(folder.parent, files)


def add_digest(value: Mapping[str, object]) -> dict[str, object]:
    """A JSON object with a digest of its own content."""
    content = {name: part for name, part in value.items() if name != DIGEST_KEY}
    return {**content, DIGEST_KEY: _value_digest(content)}


def write_verified(path: Path, value: Mapping[str, object], durable: bool = True) -> None:
    """Write a JSON object with its own digest, atomically; see `read_verified`. Raises OSError."""
    atomic.write_text(path, json.dumps(add_digest(value), indent=2, ensure_ascii=False) + "\n", durable)


def read_json(path: Path) -> Any:
    """The value of a JSON file; None where the file is missing or is not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def read_verified(path: Path) -> dict[str, Any] | None:
    """A JSON object written by `write_verified`, without its digest; None where it is missing or the digest differs."""
    value = read_json(path)
    if not isinstance(value, dict) or DIGEST_KEY not in value:
        return None
    digest = value.pop(DIGEST_KEY)
    return value if digest == _value_digest(value) else None


def _value_digest(value: Mapping[str, object]) -> str:
    """A digest of a value after a round trip through JSON, which turns tuples into lists and keys into strings."""
    return text_digest(json.dumps(json.loads(json.dumps(value)), sort_keys=True))
