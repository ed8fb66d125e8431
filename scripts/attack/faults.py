"""Inject disk errors: ENOSPC and EIO before every kind of file operation, writes truncated at a size; then run again.

    python scripts/attack/faults.py               # every kind, every size, every command
    python scripts/attack/faults.py --trials 4    # four of each

A run that fails must exit with 2, name a path, print no traceback and publish nothing that is damaged; the same command on a
sound disk must then end in the weights of an undisturbed run.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from trials import Ground, Hook, arguments, at_kind, command, some, weights

from adapt.storage import digests

SIZES = (600, 3_000, 12_000, 40_000, 80_000, 110_000)  # bytes at which a write is cut short; the weights have 120,000


def fail(number: int) -> Callable[[], None]:
    def action() -> None:
        raise OSError(number, os.strerror(number))

    return action


def cut_at(size: int) -> Callable[[], None]:
    """To be called in the process: no file grows beyond this many bytes, whether Python or a library writes it."""

    def prepare() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return prepare


def others(ground: Ground) -> dict[str, list[str]]:
    """Every command that writes, on the tiny data."""
    home, model = ground.home, str(ground.base)
    return {
        "embed": ["embed", "--model", model, "--texts", f"{home}/texts.jsonl", "--out", "out/vectors.npy"],
        "tsdae": ["tsdae", "--model", model, "--texts", f"{home}/texts.jsonl", "--out", "out/model", "--max-steps", "1"],
        "mine": ["mine", "--model", model, "--pairs", f"{home}/pairs.jsonl", "--out", "out/triplets.jsonl", "--negatives", "1"],
        "hold-out": ["hold-out", "--texts", f"{home}/texts.jsonl", "--out", "out/held", "--queries", "2"],
        "init": ["init", "out", "--texts", f"{home}/texts.jsonl", "--pairs", f"{home}/pairs.jsonl", "--model", model],
        "label": ["label", "--model", model, "--texts", f"{home}/texts.jsonl", "--out", "out/sheet.csv", "--pairs", "5"],
        "check": ["check", "--model", model, "--sts", f"{home}/sts-test.csv"],
    }


def main() -> int:
    ground, rng, count = arguments(__doc__, 0)
    wrong: list[str] = []
    tally = {"trials": 0, "failed": 0, "tracebacks": 0, "published damaged": 0, "not as undisturbed afterwards": 0}

    def run(name: str, like: Path, hook: Hook | None = None, prepare: Callable[[], None] | None = None) -> None:
        place = ground.fresh(like)
        ended = command(ground.run, place, hook, prepare)
        published = place / "run" / "model"
        damaged = published.is_dir() and bool(digests.find_model_damage(published))
        again = command(ground.run, place)
        same = again.code == 0 and weights(place / "run") == ground.wanted
        record(name, ended.code, ended.output, damaged, same, again.output)
        ground.done(place)

    def record(name: str, code: int, output: str, damaged: bool, same: bool, later: str) -> None:
        trace = "Traceback" in output or "Aborted!" in output
        tally["trials"] += 1
        tally["failed"] += code != 0
        tally["tracebacks"] += trace
        tally["published damaged"] += damaged
        tally["not as undisturbed afterwards"] += not same
        if trace or damaged or not same or code not in (0, 2):
            wrong.append(f"{name}: exit {code}: {output[-700:]}\n   afterwards {same}: {later[-300:]}")

    kinds = ground.every_kind()
    for number in (errno.ENOSPC, errno.EIO):
        for kind in some(list(kinds), count, rng):
            run(f"{errno.errorcode[number]} before {kind}", kinds[kind], at_kind(kind, fail(number)))
    print(f"run, ENOSPC or EIO before {len(kinds)} kinds of file operation: {tally}", flush=True)
    for what, like in some(list(ground.without().items()), count, rng):
        for size in some(SIZES, count, rng):
            run(f"run without {what}, writes cut at {size}", like, prepare=cut_at(size))
    print(f"and run, writes cut short: {tally}", flush=True)
    for name, words in others(ground).items():
        os.environ["ADAPT_CACHE"] = "cache"
        for kind in some(ground.kinds(words), count, rng):
            for number in (errno.ENOSPC, errno.EIO):
                place = ground.fresh()
                ended = command(words, place, at_kind(kind, fail(number)))
                again = command(words, place)
                # Where the fault hit optional work the command has succeeded, and must not repeat it.
                done = again.code == 0 or (ended.code == 0 and "already" in again.output)
                record(f"{name}, {errno.errorcode[number]} before {kind}", ended.code, ended.output, False, done, again.output)
                ground.done(place)
    print(f"and other commands: {tally}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
