"""Errors of a command: one line for each problem and an exit code; a traceback only for bugs of this package."""

from __future__ import annotations

import sys

from adapt.cli.output import print_line
from adapt.errors import UserError, WorkFailed
from adapt.storage.disk_errors import describe

WRONG_INPUT, FAILED = 2, 1


def exit_code(error: Exception) -> int | None:
    """Print the problems and return the exit code; None for an unexpected exception, which needs its traceback."""
    if isinstance(error, UserError):
        for problem in error.problems:
            print_line(f"error: {problem}", err=True)
        return WRONG_INPUT
    if isinstance(error, WorkFailed):
        print_line(f"failed: {error}", err=True)
        return FAILED
    if isinstance(error, BrokenPipeError):  # the reader of our output has exited
        sys.stderr.close()
        return FAILED
    if isinstance(error, OSError) and error.errno is not None:
        print_line(f"error: {describe(error)}", err=True)
        return WRONG_INPUT
    if isinstance(error, UnicodeError):
        print_line(f"error: a file is not UTF-8 text ({error}); save it as UTF-8", err=True)
        return WRONG_INPUT
    if isinstance(error, MemoryError):
        print_line("error: out of memory; try smaller batches, a shorter max_length, or fewer rows (data: limit)", err=True)
        return WRONG_INPUT
    return None
