"""What went wrong, where, and what to try: the errors that reach a user without a traceback."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_PATH_CHARACTERS = 300  # characters of a path that a message shows


class UserError(Exception):
    """The user's input is wrong: one or more problems, each a sentence that says where and what to try (exit code 2)."""

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class WorkFailed(Exception):
    """The input was fine but the work was not: a check stopped it, or training diverged (exit code 1)."""


def closest(word: str, options: Iterable[str]) -> str | None:
    """The known word that is most like this one; None where none is near."""
    known = sorted(set(options))
    found = get_close_matches(word, known, n=1, cutoff=0.6) or get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, options: Iterable[str], *, tell_all: bool = True) -> str:
    """A hint to append to a message: the nearest known word; when none is near, all of them (or nothing)."""
    known = sorted(set(options))
    if near := closest(word, known):
        return f" Did you mean '{near}'?"
    return f" Known: {', '.join(known)}." if known and tell_all else ""


def shorten_path(path: object) -> str:
    """A path for a message: a very long one is shortened."""
    text = str(path).replace("\0", "\\0")
    return text if len(text) <= MAX_PATH_CHARACTERS else f"{text[:200]}… ({len(text):,} characters)"


def limit_problems(problems: list[str], most: int = 20) -> list[str]:
    """The first `most` problems and a count of the rest, so that a broken file does not flood the screen."""
    if len(problems) <= most:
        return problems
    return [*problems[:most], f"... and {len(problems) - most} more problems of this kind"]
