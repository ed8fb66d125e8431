"""Stop a run with SIGINT or SIGTERM at random moments; then run the same command again.

python scripts/attack/signals.py              # 50 moments, both signals in turn
python scripts/attack/signals.py --trials 4
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from trials import arguments, command, weights

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def sent(number: signal.Signals, seconds: float) -> Callable[[], None]:
    """To be called in the process: it gets the signal after this many seconds."""

    def act() -> None:
        time.sleep(seconds)
        os.kill(os.getpid(), number)

    def prepare() -> None:
        threading.Thread(target=act, daemon=True).start()

    return prepare


def main() -> int:
    ground, rng, count = arguments(__doc__, 0)
    wrong: list[str] = []
    places, waits = list(ground.without().values()), [0.0]
    stopped = coded = reported = same = 0
    for trial in range(count or 50):
        like, number = rng.choice(places), SIGNALS[trial % 2]
        place = ground.fresh(like)
        whole = command(ground.run, place).seconds
        ground.done(place)
        place, delay = ground.fresh(like), rng.uniform(0, whole)
        ended = command(ground.run, place, prepare=sent(number, delay))
        if ended.code != 0:  # it had not ended by itself
            stopped += 1
            waits.append(ended.seconds - delay)
            coded += ended.code == 128 + number
            reported += "Resume with: adapt run" in ended.output
        again = command(ground.run, place)
        good = again.code == 0 and weights(place / "run") == ground.wanted and not ended.traceback
        same += good
        if not good or ended.code not in (0, 128 + number):
            wrong.append(
                f"{number.name} after {delay:.2f} s: exit {ended.code}, then {again.code}: {(ended.output + again.output)[-600:]}"
            )
        ground.done(place)
    print(
        f"{count or 50} signals: stopped {stopped}, exit code {coded}, command printed {reported}, longest wait {max(waits):.1f} s"
    )
    print(f"the same command then ended in the same weights {same} of {count or 50} times")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
