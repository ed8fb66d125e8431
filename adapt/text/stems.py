"""Words reduced to their stems, for lexical search; character bigrams where a script has no spaces."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from adapt.text.clean import word_class, words
from adapt.text.scripts import UNSPACED, is_unspaced

# Those that nltk's Snowball stemmer knows, and `none` for words as they stand.
Language = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian", "portuguese",
    "romanian", "russian", "spanish", "swedish", "none",
]  # fmt: skip

# The shortest list that keeps questions from matching each other by "what is the".
STOP = frozenset(
    "a an the of to in on at by for from with and or not is are was were be been do does did can could should would will "
    "what which who when where why how it its this that these those i my me you your we our they their as if".split()
)

_LETTER = UNSPACED.pattern
_RUN = re.compile(rf"{_LETTER}+|(?:(?!{_LETTER})[\w{word_class()}])+")
REMEMBERED = 500_000  # words whose stems are kept


def stems(text: str, language: str = "english") -> list[str]:
    """Snowball stems of a text's words; in English without stop words. `language`: see `Language`.

    Runs of a script that is written without spaces (Chinese, Japanese, Thai ...) give their character bigrams, overlapping, as
    Lucene's CJK analyzer does.
    """
    table = _table(language)
    if not is_unspaced(text):
        return [stem for word in words(text) if (stem := table[word])]
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).casefold()):
        if UNSPACED.match(run):
            found += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
        elif stem := table[run]:
            found.append(stem)
    return found


class _Table(dict[str, str]):
    """Word → stem, filled as words are met; a stop word's stem is empty."""

    def __init__(self, language: str):
        self.stop = STOP if language == "english" else frozenset()
        self.stem: Callable[[str], str] = str if language == "none" else _stemmer(language)

    def __missing__(self, word: str) -> str:
        if len(self) >= REMEMBERED:
            self.clear()
        self[word] = "" if word in self.stop else self.stem(word)
        return self[word]


@lru_cache
def _table(language: str) -> _Table:
    return _Table(language)


def _stemmer(language: str) -> Callable[[str], str]:
    from nltk.stem.snowball import SnowballStemmer

    stem: Callable[[str], str] = SnowballStemmer(language).stem
    return stem
