"""Kill a run with SIGKILL: before every kind of file operation, and at random moments; then run the same command again.

python scripts/attack/kills.py              # before every kind, and at 100 random moments
python scripts/attack/kills.py --trials 4   # four of each
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from trials import Hook, arguments, at_kind, command, kill, some, weights

UNFINISHED = (".making", ".work", ".old")


def after(seconds: float) -> Callable[[], None]:
    """To be called in the process: it kills itself after this many seconds."""

    def act() -> None:
        time.sleep(seconds)
        kill()

    def prepare() -> None:
        threading.Thread(target=act, daemon=True).start()

    return prepare


def main() -> int:
    ground, rng, count = arguments(__doc__, 0)
    wrong: list[str] = []

    def trial(name: str, like: Path, hook: Hook | None = None, prepare: Callable[[], None] | None = None) -> tuple[bool, bool]:
        """(whether the run was killed, whether the same command then gave the same weights and left nothing unfinished)"""
        place = ground.fresh(like)
        killed = command(ground.run, place, hook, prepare).code == -signal.SIGKILL
        again = command(ground.run, place)
        left = [entry for entry in os.listdir(place / "run") if entry.endswith(UNFINISHED)]
        same = again.code == 0 and weights(place / "run") == ground.wanted and not left
        if not same:
            wrong.append(f"{name}: exit {again.code}, left {left}: {again.output[-600:]}")
        ground.done(place)
        return killed, same

    kinds = ground.every_kind()
    found = [trial(kind, kinds[kind], at_kind(kind, kill)) for kind in some(list(kinds), count, rng)]
    print(f"SIGKILL before {len(found)} of {len(kinds)} kinds of file operation: killed {sum(k for k, _ in found)}, "
          f"the same command ended in the same weights {sum(s for _, s in found)}")  # fmt: skip
    places = list(ground.without().values())
    found = []
    for number in range(count or 100):
        like = rng.choice(places)
        place = ground.fresh(like)
        seconds = command(ground.run, place).seconds
        ground.done(place)
        found.append(trial(f"moment {number}", like, prepare=after(rng.uniform(0, seconds))))
    print(f"SIGKILL at {len(found)} random moments: killed {sum(k for k, _ in found)}, same weights {sum(s for _, s in found)}")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
