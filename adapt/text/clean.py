"""Tidy a text without changing what it says, and reduce it to what makes two texts the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")
_JOINERS = re.compile(r"[\u200c\u200d\u00ad]")  # zero-width (non-)joiners of Indic and Persian words, soft hyphens
# A minus before a number that nothing stands before, or after a word that ends with it (Na-); hyphens in words are none.
_MINUS = r"(?<!\w)-(?=\d)|(?<=\w)-(?=[\s?.,;:!)]|$)"
_SIGN = rf"[+<>=~$%]|(?<=\w)#|{_MINUS}"
_WORD = re.compile(r"\w+")
_PLAIN = re.compile(rf"\w+|{_SIGN}")
# Symbols that distinguish no texts: trade marks, bullets, separators, free-standing accents.
_DECORATION = set("©®|`^¨¯´¸\ufffd\ufffc") | {chr(code) for code in range(0x2500, 0x2600)}


def clean(text: str) -> str:
    """NFC-normalised, without control characters, each run of white space one space."""
    return " ".join(_CONTROL.sub("", unicodedata.normalize("NFC", text)).split())


def is_visible(letter: str) -> bool:
    """Whether a character shows: no space, no control or format character, nothing that is not assigned."""
    return unicodedata.category(letter) not in ("Zs", "Zl", "Zp", "Cc", "Cf", "Cn", "Cs")


def words(text: str) -> list[str]:
    """The words of a text, case folded, with the vowel signs and tone marks that stand in them; no punctuation, no signs."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(folded) if folded.isascii() else _everything()[0].findall(_JOINERS.sub("", folded))


def tokens(text: str) -> list[str]:
    """The words of a text, and the signs that can make it another one: C++ and C#, Na+ and Na-, < and >, 5 and -5, emoji."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():
        return _PLAIN.findall(folded)
    return _everything()[1].findall(_JOINERS.sub("", folded).replace("\u2212", "-"))


def normalised(text: str) -> str:
    """What is left when case, punctuation and spacing do not count: equal strings mean the same text.

    A text of punctuation alone is itself.
    """
    return " ".join(tokens(text)) or " ".join(text.split())


def word_class() -> str:
    """The characters of words beyond `\\w`, as the inside of a regular expression's class: marks that combine with a letter."""
    return _classes()[0]


@lru_cache
def _everything() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What finds words, and what finds words and signs, in any script."""
    marks, symbols = _classes()
    word = rf"\w+(?:[{marks}]+\w*)*|(?![\s!-~])[{marks}]+\w*"  # looks for marks at the ends of runs only: they are rare
    return re.compile(word), re.compile(rf"{word}|{_SIGN}|(?![\s!-~])[{symbols}]")


@lru_cache
def _classes() -> tuple[str, str]:
    """(marks, symbols) as ranges of a character class; `re` has no \\p{M} and \\p{S}."""
    found: dict[str, list[list[int]]] = {"M": [], "S": []}
    for code in (*range(0xA1, 0x20000), *range(0xE0100, 0xE01F0)):
        kind = unicodedata.category(chr(code))[0]
        if kind in found and chr(code) not in _DECORATION:
            spans = found[kind]
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    marks, symbols = ("".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans) for spans in found.values())
    return marks, symbols
