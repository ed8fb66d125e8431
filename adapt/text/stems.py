"""Stem words for lexical search; character bigrams in scripts without spaces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from adapt.text.clean import word_class, words
from adapt.text.scripts import UNSPACED, is_unspaced

# The languages of nltk's Snowball stemmer, and `none` for no stemming.
Language = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian", "portuguese",
    "romanian", "russian", "spanish", "swedish", "none",
]  # fmt: skip

# A short list, so that questions do not match each other by "what is the".
STOP_WORDS = frozenset(
    "a an the of to in on at by for from with and or not is are was were be been do does did can could should would will "
    "what which who when where why how it its this that these those i my me you your we our they their as if".split()
)

_LETTER = UNSPACED.pattern
_RUN = re.compile(rf"{_LETTER}+|(?:(?!{_LETTER})[\w{word_class()}])+")
CACHE_SIZE = 500_000  # words whose stems are cached


def stems(text: str, language: str = "english") -> list[str]:
    """Snowball stems of a text's words; in English without stop words. `language`: see `Language`.

    Runs of a script without spaces (Chinese, Japanese, Thai ...) give overlapping character bigrams, as in Lucene's CJK
    analyzer.
    """
    cache = _stem_cache(language)
    if not is_unspaced(text):
        return [stem for word in words(text) if (stem := cache[word])]
    result: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if UNSPACED.match(run):
            result += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
        elif stem := cache[run]:
            result.append(stem)
    return result


class _StemCache(dict[str, str]):
    """Word → stem, computed on first use; the stem of a stop word is empty."""

    def __init__(self, language: str):
        self.stop_words = STOP_WORDS if language == "english" else frozenset()
        self.stem: Callable[[str], str] = str if language == "none" else _stemmer(language)

    def __missing__(self, word: str) -> str:
        if len(self) >= CACHE_SIZE:
            self.clear()
        self[word] = "" if word in self.stop_words else self.stem(word)
        return self[word]


@lru_cache
def _stem_cache(language: str) -> _StemCache:
    return _StemCache(language)


def _stemmer(language: str) -> Callable[[str], str]:
    from nltk.stem.snowball import SnowballStemmer

    stem: Callable[[str], str] = SnowballStemmer(language).stem
    return stem
