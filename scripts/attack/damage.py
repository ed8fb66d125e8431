"""Damage every file of a finished run: flip a bit, cut it, empty it, delete it; then the same command, then a later step anew.

    python scripts/attack/damage.py               # every file in every way
    python scripts/attack/damage.py --trials 20   # twenty of these

Right is: the weights of an undisturbed run both times, or a refusal, never a traceback; and a word on what was damaged.
"""

from __future__ import annotations

import sys
from pathlib import Path

from trials import arguments, command, some, weights

WAYS = ("flip", "cut", "empty", "delete")
LATER = ["--set", "stages.finetune.learning_rate=2e-5"]
WORDS = ("damaged", "is missing", "has changed since", "bytes, not", "can't be read")


def hurt(file: Path, way: str, place: float) -> None:
    content = bytearray(file.read_bytes())
    if way == "delete":
        file.unlink()
        return
    if way == "flip" and content:
        content[int(place * len(content))] ^= 1 << int(place * 997) % 8
    file.write_bytes({"cut": content[: int(place * len(content))], "empty": b""}.get(way, content))


def main() -> int:
    ground, rng, count = arguments(__doc__, 0)
    later = ground.fresh(ground.whole)
    assert command([*ground.run, *LATER], later).code == 0
    wanted = weights(later / "run")
    files = sorted(str(file.relative_to(ground.whole)) for file in (ground.whole / "run").rglob("*") if file.is_file())
    trials = [f"{way} {file}" for file in files for way in WAYS]
    tally = dict.fromkeys(
        ("trials", "told", "deleted, made again", "told nothing, no trace left", "refused", "tracebacks", "other result"), 0
    )
    wrong: list[str] = []
    for trial in some(trials, count, rng):
        way, _, name = trial.partition(" ")
        place = ground.fresh(ground.whole)
        hurt(place / name, way, rng.random())
        first = command(ground.run, place)
        same = weights(place / "run") == ground.wanted
        second = command([*ground.run, *LATER], place)
        same_later = weights(place / "run") == wanted
        told = any(word in first.said + second.said for word in WORDS)
        refused = 2 in (first.code, second.code)
        trace = first.traceback or second.traceback
        tally["trials"] += 1
        tally["told"] += told
        tally["deleted, made again"] += not told and way == "delete"
        tally["told nothing, no trace left"] += not told and way != "delete"
        tally["refused"] += refused
        tally["tracebacks"] += trace
        tally["other result"] += not (same and same_later) and not refused
        if trace or not (same and same_later) or (not told and way != "delete") or refused:
            wrong.append(
                f"{trial}: {first.code} {second.code} same {same} {same_later} told {told}: {second.said[-300:] if trace else ''}"
            )
        ground.done(place)
    print(f"{len(files)} files: {tally}")
    print("\n".join(wrong))
    return 1 if tally["tracebacks"] or tally["other result"] else 0


if __name__ == "__main__":
    sys.exit(main())
