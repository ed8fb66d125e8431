"""SIGINT and SIGTERM: stop at the next safe point, within three seconds; a second signal ends the process at once.

Everything that `adapt` writes survives a kill at any moment (see scripts/attack), so stopping only limits what is lost: training
writes a checkpoint first, encoding stores the embeddings computed so far.
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

from adapt.escaping import escape_terminal

INTERRUPT_AFTER = 2.5  # seconds after the signal: Interrupted is raised wherever the main thread is
EXIT_AFTER = 2.9  # seconds after the signal: the process ends
EXIT_AFTER_CHECKPOINT = 60.0  # seconds, while a checkpoint is written
SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """The user has interrupted the run; not an Exception, so that no `except Exception` catches it."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number  # the shell's convention: 130 for SIGINT, 143 for SIGTERM


_received: list[int] = []  # signal numbers
_timers: list[threading.Timer] = []


def requested() -> bool:
    """Whether a signal to stop has been received."""
    return bool(_received)


def raise_if_interrupted() -> None:
    """Raise Interrupted where a signal to stop has been received; called at points where no work is lost."""
    if _received:
        raise Interrupted(_received[0])


def extend_deadline() -> None:
    """Extend the time until the process ends to EXIT_AFTER_CHECKPOINT seconds."""
    if _received:
        _exit_after(EXIT_AFTER_CHECKPOINT)


@contextlib.contextmanager
def handle_signals() -> Iterator[None]:
    """Handle SIGNALS inside the block, in the main thread only; the previous handlers are restored afterwards.

    A process that ends because of a signal calls `exit_process` inside the block: afterwards a second signal would reach the
    default handler.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _first_signal) for number in SIGNALS}
    try:
        yield
    finally:
        _exit_after(None)
        _received.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def message(interrupted: Interrupted) -> str:
    """The last line that an interrupted command prints: how to resume."""
    command = shlex.join([os.path.basename(sys.argv[0]).removesuffix("__main__.py") or "adapt", *sys.argv[1:]])
    return escape_terminal(f"interrupted ({interrupted}): finished work is kept. Resume with: {command}")


def exit_process(interrupted: Interrupted) -> None:
    """Print how to resume, run the exit handlers (which remove temporary files), and end the process with its exit code.

    `os._exit` skips the interpreter's shutdown, which restores the default handlers: a second signal would change the exit code.
    """
    _exit_after(None)  # the alarm would raise Interrupted again
    print(message(interrupted), file=sys.stderr)
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(interrupted.exit_code)


def _first_signal(number: int, frame: FrameType | None) -> None:
    if _received:  # the second signal
        os._exit(128 + number)
    _received.append(number)
    print("\nstopping at the next safe point; interrupt again to exit at once", file=sys.stderr, flush=True)
    _exit_after(EXIT_AFTER)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _alarm)
        signal.setitimer(signal.ITIMER_REAL, INTERRUPT_AFTER)


def _alarm(number: int, frame: FrameType | None) -> None:
    raise_if_interrupted()


def _exit_after(seconds: float | None) -> None:
    """End the process after so many seconds, whatever it is doing; None cancels that."""
    if hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    while _timers:
        _timers.pop().cancel()
    if seconds is not None:
        timer = threading.Timer(seconds, _exit_now)
        timer.daemon = True
        _timers.append(timer)
        timer.start()


def _exit_now() -> None:
    interrupted = Interrupted(_received[0])
    print(message(interrupted), file=sys.stderr, flush=True)
    os._exit(interrupted.exit_code)
