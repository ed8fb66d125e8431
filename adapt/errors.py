"""Errors that reach the user without a traceback, and helpers for their messages: what is wrong, where, and what to try."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

MAX_PATH_CHARACTERS = 300  # of a path in a message
SIMILARITY_CUTOFF = 0.6  # of difflib: from it on a known word is suggested


class UserError(Exception):
    """The user's input is wrong (exit code 2). `problems`: one or more sentences, each with the place and what to try."""

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


class WorkFailed(Exception):
    """The input is right but the work failed (exit code 1): a check stopped the run, or training diverged."""


def closest(word: str, options: Iterable[str]) -> str | None:
    """The known word that is most similar; None where none is similar."""
    known = sorted(set(options))
    for candidate in (word, word.lower()):
        if found := get_close_matches(candidate, known, n=1, cutoff=SIMILARITY_CUTOFF):
            return found[0]
    return None


def did_you_mean(word: str, options: Iterable[str], *, list_all: bool = True) -> str:
    """A hint to append to a message: the most similar known word; where none is similar, all known words (or "")."""
    known = sorted(set(options))
    if similar := closest(word, known):
        return f" Did you mean '{similar}'?"
    return f" Known: {', '.join(known)}." if known and list_all else ""


def shorten_path(path: object) -> str:
    """A path for a message; one of more than MAX_PATH_CHARACTERS is cut."""
    text = str(path).replace("\0", "\\0")
    return text if len(text) <= MAX_PATH_CHARACTERS else f"{text[:200]}… ({len(text):,} characters)"


def limit_problems(problems: list[str], most: int = 20) -> list[str]:
    """The first `most` problems, and a line with the number of the rest."""
    if len(problems) <= most:
        return problems
    return [*problems[:most], f"... and {len(problems) - most} more problems of this kind"]
