"""Scripts that are written without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese."""

from __future__ import annotations

import re

_LETTERS = (
    r"\u0e00-\u0eff"  # Thai, Lao
    r"\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    r"\u3005-\u3007\u3041-\u30ff\u31f0-\u31ff\uff66-\uff9f"  # kana, and the signs that repeat a character
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
)
UNSPACED = re.compile(f"[{_LETTERS}]")
CHARACTERS_PER_WORD = 2  # the approximate mean in segmented Chinese, Japanese and Thai text


def is_unspaced(text: str) -> bool:
    """Whether the text contains a letter of such a script. Korean is not one: it has spaces."""
    return UNSPACED.search(text) is not None


def count_words(text: str) -> int:
    """The number of words of a text: separated by spaces, and one per two letters in unspaced scripts."""
    letters = len(UNSPACED.findall(text))
    spaced = [part for part in UNSPACED.sub(" ", text).split() if any(c.isalnum() for c in part)]
    return len(spaced) + -(-letters // CHARACTERS_PER_WORD)
