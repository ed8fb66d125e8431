"""Artifacts by key: written aside, committed by one rename, each with a receipt; one run at a time in a folder."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from adapt.errors import UserError
from adapt.runtime.process_group import SINGLE_PROCESS, ProcessGroup
from adapt.storage import atomic, digests
from adapt.storage.digests import RECEIPT
from adapt.storage.disk_errors import attach_path, describe


def cache_key(entry: Mapping[str, Any]) -> str:
    """The key of what goes into a piece of work: a hash of its canonical JSON, 16 hex digits."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never half of it."""
    atomic.write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


class Store:
    """The artifacts of one run folder: `<step>-<key>/`, each with a receipt: what went in, and a digest of every file."""

    def __init__(self, root: Path, process_group: ProcessGroup = SINGLE_PROCESS, full: bool = True):
        """`full`: read every byte of an artifact before it counts as there; else look at presence and sizes only."""
        self.root, self.process_group, self.full = root, process_group, full

    def folder(self, name: str, entry: Mapping[str, Any]) -> Path:
        """Where the artifact of this name and entry stands, or would stand."""
        return self.root / f"{name}-{cache_key(entry)}"

    def receipt(self, name: str, entry: Mapping[str, Any]) -> dict[str, Any] | None:
        """The artifact's receipt; None where the work is still to do, or its files are no longer what the receipt says."""
        folder = self.folder(name, entry)
        found = digests.read_verified(folder / RECEIPT)
        return None if found is None or digests.find_damage(folder, found["files"], self.full) else found

    def damage(self, name: str, entry: Mapping[str, Any]) -> str:
        """What is wrong with an artifact that is there, in words; empty where nothing is, or where there is none."""
        folder = self.folder(name, entry)
        if not folder.exists():
            return ""
        found = digests.read_verified(folder / RECEIPT)
        if found is None:
            return f"{RECEIPT} is missing, cut or changed"
        return "; ".join(digests.find_damage(folder, found["files"], self.full))

    def earlier(self, name: str) -> Mapping[str, Any] | None:
        """What went into the newest artifact of this name, whatever its key."""
        parent = self.root / name
        files = [f for f in parent.parent.glob(f"{parent.name}-*/{RECEIPT}") if len(f.parent.name) == len(parent.name) + 17]
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
            if found := digests.read_verified(file):
                return found["entry"]
        return None

    def make(
        self, name: str, entry: Mapping[str, Any], work: Callable[[Path, Path], Mapping[str, Any]], fresh: bool = False
    ) -> dict[str, Any]:
        """The receipt of an artifact, made by `work(out, scratch)` unless it is there; `work` returns what the receipt adds.

        `scratch` survives a killed run, so that the next one can go on from its checkpoints; `out` does not.
        """
        folder = self.folder(name, entry)
        done = None if fresh else self.receipt(name, entry)
        self.process_group.barrier()  # all have seen the same state before anyone changes it
        out, scratch = folder.with_name(f".{folder.name}.making"), folder.with_name(f".{folder.name}.work")
        if done:
            if self.process_group.is_main_process:  # a process killed just after it had committed leaves these
                atomic.remove(out)
                atomic.remove(scratch)
            return done
        if not self.process_group.is_main_process:
            return self._follow(name, entry, work, fresh)
        with attach_path(folder):
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "a file is where a folder should be; move it away", str(folder))
            atomic.remove(out)
            if fresh or (scratch.exists() and not scratch.is_dir()):
                atomic.remove(scratch)
            out.mkdir(parents=True)
            scratch.mkdir(exist_ok=True)
            try:
                receipt = {"name": name, "key": cache_key(entry), "entry": entry, **work(out, scratch)}
                receipt["files"] = digests.manifest(out)
                digests.write_verified(out / RECEIPT, receipt)
                atomic.replace_folder(out, folder)
            except BaseException:
                atomic.remove(out)
                with contextlib.suppress(OSError):
                    scratch.rmdir()  # unless there is something to go on from
                raise
            atomic.remove(scratch)
        self.process_group.barrier()
        return receipt

    def _follow(
        self, name: str, entry: Mapping[str, Any], work: Callable[[Path, Path], Mapping[str, Any]], fresh: bool
    ) -> dict[str, Any]:
        """Take part in the work of an artifact that the main process commits: what this process writes is thrown away."""
        folder = self.folder(name, entry)
        scratch = folder.with_name(f".{folder.name}.work")
        with tempfile.TemporaryDirectory(prefix="adapt-") as aside:
            out, own = Path(aside) / "out", Path(aside) / "work"
            out.mkdir()
            if scratch.is_dir() and not fresh:
                shutil.copytree(scratch, own)  # the same checkpoint as the main process's
            own.mkdir(exist_ok=True)
            work(out, own)
        self.process_group.barrier()
        receipt = self.receipt(name, entry)
        assert receipt is not None
        return receipt

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder; raises UserError where one is at work."""
        from filelock import FileLock, Timeout

        if not self.process_group.is_main_process:
            yield
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.root}: another run is at work in this folder; wait for it, or give another --out") from None
        except OSError as error:
            raise UserError(f"{describe(error)}, or give another --out") from None
        try:
            yield
        finally:
            lock.release()
