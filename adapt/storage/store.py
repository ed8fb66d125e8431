"""The artifact store of a run folder: each artifact has a key, is committed by one rename, and has a receipt; one run at a time."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt.errors import UserError
from adapt.runtime.process_group import SINGLE_PROCESS, ProcessGroup
from adapt.storage import atomic, digests
from adapt.storage.digests import RECEIPT
from adapt.storage.disk_errors import attach_path, describe

if TYPE_CHECKING:
    from pydantic import JsonValue


def cache_key(entry: Mapping[str, object]) -> str:
    """The key of an artifact: a hash of the canonical JSON of everything that it depends on, 16 hex digits."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def write_json(path: Path, value: object) -> None:
    """Write indented JSON atomically. Raises OSError."""
    atomic.write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


class Store:
    """The artifacts `<step>-<key>/` of one run folder, each with a receipt: its inputs, and a digest of every file."""

    def __init__(self, root: Path, process_group: ProcessGroup = SINGLE_PROCESS, full: bool = True):
        """`full`: verify the digests of an artifact's files, which reads every byte; otherwise only their presence and sizes."""
        self.root, self.process_group, self.full = root, process_group, full

    def folder(self, name: str, entry: Mapping[str, object]) -> Path:
        """The folder of the artifact with this name and entry, which need not exist."""
        return self.root / f"{name}-{cache_key(entry)}"

    def receipt(self, name: str, entry: Mapping[str, object]) -> dict[str, Any] | None:
        """The artifact's receipt; None where there is no artifact or it is damaged."""
        folder = self.folder(name, entry)
        found = digests.read_verified(folder / RECEIPT)
        return None if found is None or digests.find_damage(folder, found["files"], self.full) else found

    def damage(self, name: str, entry: Mapping[str, object]) -> str:
        """What is damaged in an existing artifact, in words; "" where it is intact or does not exist."""
        folder = self.folder(name, entry)
        if not folder.exists():
            return ""
        found = digests.read_verified(folder / RECEIPT)
        if found is None:
            return f"{RECEIPT} is missing, cut or changed"
        return "; ".join(digests.find_damage(folder, found["files"], self.full))

    def latest_entry(self, name: str) -> Mapping[str, JsonValue] | None:
        """The entry of the newest artifact of this name, whatever its key; None where there is none."""
        parent = self.root / name
        files = [f for f in parent.parent.glob(f"{parent.name}-*/{RECEIPT}") if len(f.parent.name) == len(parent.name) + 17]
        for file in sorted(files, key=lambda file: file.stat().st_mtime_ns, reverse=True):
            if found := digests.read_verified(file):
                entry: Mapping[str, JsonValue] = found["entry"]
                return entry
        return None

    def get_or_make(
        self, name: str, entry: Mapping[str, object], work: Callable[[Path, Path], Mapping[str, object]], fresh: bool = False
    ) -> dict[str, Any]:
        """The receipt of an artifact, which `work(out, scratch)` makes where it is missing or `fresh` is set.

        `work` returns what to add to the receipt. `scratch` survives a killed run, so that the next run can resume from its
        checkpoints; `out` does not. All processes of the group take part; the main process commits. Raises OSError.
        """
        folder = self.folder(name, entry)
        done = None if fresh else self.receipt(name, entry)
        self.process_group.barrier()  # every process has read the same state before one changes it
        out, scratch = folder.with_name(f".{folder.name}.making"), folder.with_name(f".{folder.name}.work")
        if done:
            if self.process_group.is_main_process:  # left by a process that was killed right after the commit
                atomic.remove(out)
                atomic.remove(scratch)
            return done
        if not self.process_group.is_main_process:
            return self._take_part(name, entry, work, fresh)
        with attach_path(folder):
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "a file exists where a folder is needed; move it away", str(folder))
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
                    scratch.rmdir()  # fails where it holds checkpoints, which stay
                raise
            atomic.remove(scratch)
        self.process_group.barrier()
        return receipt

    def _take_part(
        self, name: str, entry: Mapping[str, object], work: Callable[[Path, Path], Mapping[str, object]], fresh: bool
    ) -> dict[str, Any]:
        """Take part in work whose result the main process commits; what this process writes is deleted."""
        folder = self.folder(name, entry)
        scratch = folder.with_name(f".{folder.name}.work")
        with tempfile.TemporaryDirectory(prefix="adapt-") as temporary:
            out, own = Path(temporary) / "out", Path(temporary) / "work"
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
        """Hold the folder's lock inside the block. Raises UserError where another run holds it or it can't be created."""
        from filelock import FileLock, Timeout

        if not self.process_group.is_main_process:
            yield
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.root / ".lock")
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.root}: another run is using this folder; wait for it, or choose another --out") from None
        except OSError as error:
            raise UserError(f"{describe(error)}, or choose another --out") from None
        try:
            yield
        finally:
            lock.release()
