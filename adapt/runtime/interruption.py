"""SIGINT and SIGTERM: stop at the next safe point, within three seconds; a second signal leaves at once.

Everything that `adapt` writes survives a kill at any moment (see scripts/attack), so stopping is only a matter of losing little:
training writes a checkpoint first, encoding keeps the vectors that it has.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from adapt.escaping import escape_terminal

SOON, LATEST = 2.5, 2.9  # seconds after the signal: when the work is broken off wherever it is, and when the process ends
LATEST_SAVING = 60.0  # seconds, while a checkpoint is written
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The user asked to stop; not an Exception, so that nothing takes it for a failure of its own."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.code = 128 + number  # as a shell gives it: 130 for SIGINT, 143 for SIGTERM


_asked: list[int] = []
_timers: list[threading.Timer] = []


def asked() -> bool:
    """Whether the user has asked to stop."""
    return bool(_asked)


def stop_if_asked() -> None:
    """Raise Interrupted where the user has asked to stop; called where nothing is lost by it."""
    if _asked:
        raise Interrupted(_asked[0])


def saving() -> None:
    """Grant the time that writing a checkpoint takes."""
    if _asked:
        _deadline(LATEST_SAVING)


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """Handle the signals of a command's main thread; the handlers of before are put back afterwards.

    A process that ends because of a signal calls `leave` within: a second signal would meet the system's own handling after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _first) for number in SIGNALS}
    try:
        yield
    finally:
        _deadline(None)
        _asked.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def message(interrupted: Interrupted) -> str:
    """What is printed at the end: the command that goes on."""
    command = shlex.join([os.path.basename(sys.argv[0]).removesuffix("__main__.py") or "adapt", *sys.argv[1:]])
    return escape_terminal(f"interrupted ({interrupted}): what is finished is kept. Go on with: {command}")


def leave(interrupted: Interrupted) -> None:
    """Print how to go on and end the process with its exit code, temporary files removed.

    Without the interpreter's own end, in which signals are handled by the system again: a second one would change the exit code.
    """
    _deadline(None)  # the alarm would raise Interrupted once more
    print(message(interrupted), file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(interrupted.code)


def _first(number: int, frame: FrameType | None) -> None:
    if _asked:  # the second signal
        os._exit(128 + number)
    _asked.append(number)
    print("\nstopping at the next safe point; once more to leave at once", file=sys.stderr, flush=True)
    _deadline(LATEST)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _soon)
        signal.setitimer(signal.ITIMER_REAL, SOON)


def _soon(number: int, frame: FrameType | None) -> None:
    stop_if_asked()


def _deadline(seconds: float | None) -> None:
    """End the process after so many seconds, whatever it does then; None: no more."""
    if hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    while _timers:
        _timers.pop().cancel()
    if seconds is not None:
        timer = threading.Timer(seconds, _leave)
        timer.daemon = True
        _timers.append(timer)
        timer.start()


def _leave() -> Any:
    interrupted = Interrupted(_asked[0])
    print(message(interrupted), file=sys.stderr, flush=True)
    os._exit(interrupted.code)
