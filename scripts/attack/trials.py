"""Trials of the command line in forked processes: a hook on every file operation injects the fault.

A process that has everything imported forks for each trial, so that a whole recipe on a tiny model takes a second or two.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

os.environ.update({"HF_HUB_OFFLINE": "1", "ADAPT_DEVICE": "cpu", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"})
os.environ.update({"ADAPT_CACHE": "", "TOKENIZERS_PARALLELISM": "false"})  # nothing is kept outside of a trial's folder
sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

import adapt.cli
import adapt.inference.encoding
import adapt.inference.scoring
import adapt.pipeline.runner
import adapt.report
from adapt.training import loop
from tests import tiny, tiny_domain

T = TypeVar("T")

torch.set_num_threads(1)  # a forked process can't take over a pool of threads

# Operations that change something on disk, as Python's audit hooks report them, and which argument is the path.
CHANGES = {"os.rename": 0, "os.mkdir": 0, "os.remove": 0, "os.rmdir": 0, "shutil.rmtree": 0, "os.truncate": 0}
Hook = Callable[[str], None]  # is given the kind of each operation, before it happens
_hook: list[Hook] = []
_root: list[str] = []


def _audited(event: str, args: tuple) -> None:
    if not _hook:
        return
    if event in CHANGES:
        path = args[CHANGES[event]]
    elif event == "open" and isinstance(args[0], (str, bytes)) and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        path = args[0]
    else:
        return
    path = os.path.abspath(os.fsdecode(path))
    if path.startswith(_root[0]):
        _hook[0](f"{event} {kind_of(path.removeprefix(_root[0]))}")


sys.addaudithook(_audited)


def kind_of(path: str) -> str:
    """A path without what differs from run to run or from step to step: keys, process ids, steps' names, a model's files."""
    path = re.sub(r"(?<=/)(\.?)(gate-)?[a-z-]+-[0-9a-f]{16}", r"\1\2STEP-KEY", path)
    path = re.sub(r"(making/model|model\.making)/[^.].*", r"\1/FILE", path)
    path = re.sub(r"(retrieval|sts|health)(-[a-z]+)*-[0-9a-f]{16}", "CHECK-KEY", path)
    return re.sub(r"\d{3,}", "N", re.sub(r"[0-9a-f]{16,}", "KEY", path))


@dataclass(frozen=True)
class Ended:
    """How a trial ended: exit code (negative: the signal), what it printed, seconds."""

    code: int
    output: str
    seconds: float

    @property
    def traceback(self) -> bool:
        return "Traceback" in self.output or "Aborted!" in self.output


def command(words: Sequence[str], place: Path, hook: Hook | None = None, prepare: Callable[[], None] | None = None) -> Ended:
    """Run `adapt WORDS` in `place` in a forked process; `hook` and `prepare` act inside it."""
    reads, writes = os.pipe()
    began, child = time.monotonic(), os.fork()
    if child == 0:
        code = 1
        try:
            os.close(reads)
            os.dup2(writes, 1)
            os.dup2(writes, 2)
            os.close(writes)
            sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
            os.chdir(place)
            loop.CHECKPOINT_SECONDS = -1.0  # a checkpoint at every step
            sys.argv = ["adapt", *words]
            if prepare:
                prepare()
            if hook:
                _root[:], _hook[:] = [f"{place}/"], [hook]
            adapt.cli.main()
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            _hook.clear()
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads, "rb") as opened:
        output = opened.read().decode(errors="replace")
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), output, time.monotonic() - began)


def small_data(place: Path, count: int) -> None:
    """Write `count` random texts, scored pairs and pairs to texts.txt, gold.csv and pairs.jsonl."""
    rng = random.Random(1)
    texts = [tiny.sentence(rng) for _ in range(count)]
    (place / "texts.txt").write_text("\n".join(texts) + "\n")
    rows = [f"{tiny.sentence(rng)[:-1]},{tiny.sentence(rng)[:-1]},{i / count}" for i in range(count)]
    (place / "gold.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n")
    (place / "pairs.jsonl").write_text("".join(json.dumps({"anchor": tiny.sentence(rng), "positive": t}) + "\n" for t in texts))


def remove(paths: Iterable[Path]) -> None:
    """Delete the files and folders that a trial has left."""
    for path in paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def weights(run: Path) -> str:
    """A digest of the weights that a run exported; "" where there are none."""
    file = run / "model" / "model.safetensors"
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


class Ground:
    """A folder with a tiny model, data and a recipe, and the run folder of that recipe."""

    def __init__(self, root: Path):
        self.root = root
        language_model = tiny.language_model(root / "language-model")
        self.base = tiny.embedder(language_model, root / "base")
        self.home = root / "home"
        self.home.mkdir()
        self.recipe = tiny_domain.recipe_file(tiny_domain.domain(self.home), self.base)
        self.run = ["run", str(self.recipe), "--out", "run"]
        self.count = 0
        self.whole = self.fresh()
        ended = command(self.run, self.whole)
        assert ended.code == 0, ended.output
        self.wanted = weights(self.whole / "run")

    def fresh(self, like: Path | None = None) -> Path:
        """A new folder for a trial, a copy of another where one is given."""
        self.count += 1
        place = self.root / f"trial-{self.count:04d}"
        if like is None:
            place.mkdir()
        else:
            shutil.copytree(like, place, symlinks=True)
        return place

    def without(self) -> dict[str, Path]:
        """{removed artifact: a copy of the run without it}: a little work of every kind."""
        found = {"everything": self.fresh()}
        for name in ("data-gold", "tsdae", "cross-encoder", "silver", "mine", "finetune", "gate-finetune", "model", "vectors"):
            found[name] = self.fresh(self.whole)
            for place in (found[name] / "run").glob(f"{name}*"):
                shutil.rmtree(place)
            for file in [*(found[name] / "run" / "measurements").glob("*"), found[name] / "run" / "per_example.json"]:
                file.unlink()
        return found

    def every_kind(self) -> dict[str, Path]:
        """{kind of file operation: the folder in which the least work reaches it}."""
        found: dict[str, Path] = {}
        for place in self.without().values():
            found.update(dict.fromkeys(self.kinds(self.run, place), place))
        return found

    def done(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)

    def kinds(self, words: Sequence[str], like: Path | None = None) -> list[str]:
        """Every kind of file operation of a command, in the order of the first of each."""
        place = self.fresh(like)
        notes = place.with_name(f"{place.name}.kinds")
        notes.touch()

        def record(kind: str) -> None:
            descriptor = os.open(str(notes), os.O_WRONLY | os.O_APPEND)
            os.write(descriptor, f"{kind}\n".encode())
            os.close(descriptor)

        ended = command(words, place, record)
        assert ended.code == 0, ended.output
        self.done(place)
        return list(dict.fromkeys(notes.read_text().splitlines()))


def at_kind(wanted: str, action: Callable[[], None], nth: int = 1) -> Hook:
    """A hook that acts before the nth operation of a kind, and at no other."""
    seen = [0]

    def hook(kind: str) -> None:
        if kind == wanted:
            seen[0] += 1
            if seen[0] == nth:
                action()

    return hook


def arguments(doc: str | None, count: int) -> tuple[Ground, random.Random, int]:
    """The arguments of an attack: a ground, a random generator, the number of trials of each kind (0: all)."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trials", type=int, default=count, help="of each kind; 0: all")
    options = parser.parse_args()
    return Ground(Path(tempfile.mkdtemp(prefix="attack-"))), random.Random(options.seed), options.trials


def some(things: Sequence[T], count: int, rng: random.Random) -> list[T]:
    """`count` of these at random, in order; all where `count` is 0 or more than there are."""
    if not count or count >= len(things):
        return list(things)
    return [things[i] for i in sorted(rng.sample(range(len(things)), count))]
