"""How a command ends that could not do its work: one line for each problem and an exit code, never a traceback for the user."""

from __future__ import annotations

import sys

from adapt.cli.output import say
from adapt.errors import UserError, WorkFailed
from adapt.storage.disk_errors import describe

WRONG_INPUT, FAILED = 2, 1


def exit_code(error: Exception) -> int | None:
    """Say what is wrong and give the exit code; None where the fault is ours, whose traceback is worth reporting."""
    if isinstance(error, UserError):
        for problem in error.problems:
            say(f"error: {problem}", err=True)
        return WRONG_INPUT
    if isinstance(error, WorkFailed):
        say(f"failed: {error}", err=True)
        return FAILED
    if isinstance(error, BrokenPipeError):  # whoever read our output has gone
        sys.stderr.close()
        return FAILED
    if isinstance(error, OSError) and error.errno is not None:
        say(f"error: {describe(error)}", err=True)
        return WRONG_INPUT
    if isinstance(error, UnicodeError):
        say(f"error: a file is not UTF-8 text ({error}); save it as UTF-8", err=True)
        return WRONG_INPUT
    if isinstance(error, MemoryError):
        say("error: the memory does not suffice; try smaller batches, a shorter max_length, or fewer rows (data: limit)", err=True)
        return WRONG_INPUT
    return None
