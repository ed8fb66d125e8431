"""Damage every file of a finished run: flip a bit, truncate it, empty it, delete it; then run the command again, then a later step.

    python scripts/attack/damage.py               # every file in every way
    python scripts/attack/damage.py --trials 20   # twenty of these

Right is: the weights of an undisturbed run both times, never a traceback; and the very next command names the file that was
damaged. Where there is nothing to report the reason is counted: what was deleted is a cache, or no byte was changed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from trials import arguments, command, some, weights

WAYS = ("flip", "cut", "empty", "delete")
LATER = ["--set", "stages.finetune.learning_rate=2e-5"]
WORDS = ("damaged", "is missing", "has changed since", "bytes, not", "can't be read", "missing, cut or changed")
# Files that may be deleted silently: their content is computed again, and no result depends on them.
CACHES = {
    r"run/vectors/.*\.segment\.npy": "cached embeddings, deleted: they are computed again where they are needed",
    r"run/measurements/[^/]*\.json": "cached measurements, deleted: they are made again",
    r"run/\.lock": "a lock, which holds nothing",
}


def hurt(file: Path, way: str, place: float) -> bool:
    """Damage a file; whether that changed anything."""
    before = file.read_bytes()
    content = bytearray(before)
    if way == "delete":
        file.unlink()
        return True
    if way == "flip" and content:
        content[int(place * len(content))] ^= 1 << int(place * 997) % 8
    left = {"cut": int(place * len(content)), "empty": 0}.get(way, len(content))
    file.write_bytes(content[:left])
    return file.read_bytes() != before


def nothing_to_tell(name: str, way: str, changed: bool) -> str:
    """Why this damage need not be reported; "" where the file must be named."""
    if not changed:
        return "no byte was changed (an empty file)"
    reasons = (reason for pattern, reason in CACHES.items() if re.fullmatch(pattern, name))
    return next(reasons, "") if way == "delete" or name == "run/.lock" else ""


def named(name: str, output: str) -> bool:
    """Whether a command reported this file as damaged; its lines may be wrapped anywhere."""
    plain = "".join(output.split())
    return any("".join(word.split()) in plain for word in WORDS) and Path(name).name in plain


def main() -> int:
    ground, rng, count = arguments(__doc__, 0)
    later = ground.fresh(ground.whole)
    assert command([*ground.run, *LATER], later).code == 0
    wanted = weights(later / "run")
    files = sorted(str(file.relative_to(ground.whole)) for file in (ground.whole / "run").rglob("*") if file.is_file())
    quiet = command(ground.run, ground.fresh(ground.whole)).output
    assert not [name for name in files if named(name, quiet)], quiet  # else every trial would pass
    trials = [f"{way} {file}" for file in files for way in WAYS]
    tally = dict.fromkeys(("trials", "to report", "reported", "refused", "tracebacks", "other result"), 0)
    silent: dict[str, int] = {}
    wrong: list[str] = []
    for trial in some(trials, count, rng):
        way, _, name = trial.partition(" ")
        place = ground.fresh(ground.whole)
        reason = nothing_to_tell(name, way, hurt(place / name, way, rng.random()))
        first = command(ground.run, place)
        same = weights(place / "run") == ground.wanted
        second = command([*ground.run, *LATER], place)
        same_later = weights(place / "run") == wanted
        reported = named(name, first.output)
        refused, trace = 2 in (first.code, second.code), first.traceback or second.traceback
        tally["trials"] += 1
        tally["to report"] += not reason
        tally["reported"] += reported and not reason
        silent |= {reason: silent.get(reason, 0) + 1} if reason else {}
        tally["refused"] += refused
        tally["tracebacks"] += trace
        tally["other result"] += not (same and same_later) and not refused
        if trace or refused or not (same and same_later) or not (reported or reason):
            output = f"{first.output[-1500:]}{second.output[-300:] if trace else ''}"
            wrong.append(f"{trial}: {first.code} {second.code} same {same} {same_later} reported {reported}: {output}")
            print(wrong[-1], flush=True)  # now: a long attack may be stopped
        ground.done(place)
    print(f"{len(files)} files: {tally}; reported {tally['reported']}/{tally['to report']}")
    for reason, number in silent.items():
        print(f"nothing to report: {number} × {reason}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
