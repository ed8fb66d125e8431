"""Tidy a text without changing what it says, and reduce it to what makes two texts the same."""

from __future__ import annotations

import re
import unicodedata

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")
_WORD = re.compile(r"\w+")


def clean(text: str) -> str:
    """NFC-normalised, without control characters, each run of white space one space."""
    return " ".join(_CONTROL.sub("", unicodedata.normalize("NFC", text)).split())


def words(text: str) -> list[str]:
    """The words of a text, case folded, without punctuation; signs such as `<` are dropped, digits are kept."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normalised(text: str) -> str:
    """What is left when case, punctuation and spacing do not count: equal strings mean the same text."""
    return " ".join(words(text))
