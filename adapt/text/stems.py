"""Words reduced to their stems, for lexical search."""

from __future__ import annotations

from functools import lru_cache

from adapt.text.clean import words

# The shortest list that keeps questions from matching each other by "what is the".
STOP = frozenset(
    "a an the of to in on at by for from with and or not is are was were be been do does did can could should would will "
    "what which who when where why how it its this that these those i my me you your we our they their as if".split()
)


@lru_cache(maxsize=200_000)
def _stem(word: str, language: str) -> str:
    return _stemmer(language).stem(word)


@lru_cache
def _stemmer(language: str):
    from nltk.stem.snowball import SnowballStemmer

    return SnowballStemmer(language)


def stems(text: str, language: str = "english") -> list[str]:
    """Snowball stems of a text's words; in English without stop words. Language: a name that nltk's stemmer knows."""
    stop = STOP if language == "english" else frozenset()
    return [_stem(word, language) for word in words(text) if word not in stop]
