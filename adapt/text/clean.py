"""Clean a text without changing its content, and normalise it for comparison with other texts."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\ufeff]")
_JOINERS = re.compile(r"[\u200c\u200d\u00ad]")  # zero-width (non-)joiners of Indic and Persian words, soft hyphens
# A minus sign precedes a number at the start of a word, or ends a word (Na-); a hyphen inside a word is not a sign.
_MINUS = r"(?<!\w)-(?=\d)|(?<=\w)-(?=[\s?.,;:!)]|$)"
_SIGN = rf"[+<>=~$%]|(?<=\w)#|{_MINUS}"
_WORD = re.compile(r"\w+")
_PLAIN = re.compile(rf"\w+|{_SIGN}")
# Symbols that are ignored in comparisons: trade marks, bullets, separators, free-standing accents.
_DECORATION = set("©®|`^¨¯´¸\ufffd\ufffc") | {chr(code) for code in range(0x2500, 0x2600)}


def clean(text: str) -> str:
    """NFC-normalised, without control characters, each run of white space one space."""
    return " ".join(_CONTROL.sub("", unicodedata.normalize("NFC", text)).split())


def is_visible(letter: str) -> bool:
    """Whether a character is visible: not a space, a control or format character or an unassigned code point."""
    return unicodedata.category(letter) not in ("Zs", "Zl", "Zp", "Cc", "Cf", "Cn", "Cs")


def words(text: str) -> list[str]:
    """The words of a text, case folded, with their vowel signs and tone marks; no punctuation, no signs."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _WORD.findall(folded) if folded.isascii() else _patterns()[0].findall(_JOINERS.sub("", folded))


def tokens(text: str) -> list[str]:
    """The words of a text, and the signs that change its meaning: C++ and C#, Na+ and Na-, < and >, 5 and -5, emoji."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if folded.isascii():
        return _PLAIN.findall(folded)
    return _patterns()[1].findall(_JOINERS.sub("", folded).replace("\u2212", "-"))


def normalised(text: str) -> str:
    """The text without differences of case, punctuation and spacing: equal results mean the same text.

    A text of punctuation alone keeps its punctuation.
    """
    return " ".join(tokens(text)) or " ".join(text.split())


def word_class() -> str:
    """The characters of words beyond `\\w`, as the content of a regular expression's character class: combining marks."""
    return _classes()[0]


@lru_cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """(pattern of words, pattern of words and signs) for any script."""
    marks, symbols = _classes()
    word = rf"\w+(?:[{marks}]+\w*)*|(?![\s!-~])[{marks}]+\w*"  # marks are matched only at the ends of runs, since they are rare
    return re.compile(word), re.compile(rf"{word}|{_SIGN}|(?![\s!-~])[{symbols}]")


@lru_cache
def _classes() -> tuple[str, str]:
    """(marks, symbols) as ranges of a character class; `re` has no \\p{M} and \\p{S}."""
    ranges: dict[str, list[list[int]]] = {"M": [], "S": []}
    for code in (*range(0xA1, 0x20000), *range(0xE0100, 0xE01F0)):
        kind = unicodedata.category(chr(code))[0]
        if kind in ranges and chr(code) not in _DECORATION:
            spans = ranges[kind]
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    marks, symbols = ("".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans) for spans in ranges.values())
    return marks, symbols
