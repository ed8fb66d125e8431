"""The phrase of two to four words that tells a text from the others of its corpus, by BM25's weights of its words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from adapt.text.clean import clean

LENGTHS = (2, 3, 4)
COMMON = 0.1  # a word of more than this share of the texts says little of any, and stands in no keyphrase
K1, B = 1.5, 0.75  # as in `adapt.retrieval.bm25`
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]+")


class Keyphrases:
    """Phrases of a corpus in scripts with spaces between words; a phrase does not run over punctuation or a common word."""

    def __init__(self, texts: Sequence[str]):
        self.phrases = [_phrases(text) for text in texts]
        self.tokens = [[t.casefold() for t in _TOKEN.findall(clean(text))] for text in texts]
        self.holding = Counter(word for tokens in self.tokens for word in set(tokens))
        self.owners = Counter(phrase for found in self.phrases for phrase in found)
        self.mean = sum(map(len, self.tokens)) / max(1, len(texts))

    def best(self, row: int) -> str:
        """The heaviest phrase of words that other texts have, too, but none as a phrase, as the text writes it; "" if none."""
        counts = Counter(self.tokens[row])
        weight = {word: self._weight(count, word, len(self.tokens[row])) for word, count in counts.items()}
        most = COMMON * len(self.tokens)
        own = [
            phrase
            for phrase in self.phrases[row]
            if self.owners[phrase] == 1 and len(set(phrase)) == len(phrase) and all(2 <= self.holding[w] <= most for w in phrase)
        ]
        if not own:
            return ""
        return self.phrases[row][max(own, key=lambda phrase: (sum(weight[w] for w in phrase) / (1 + len(phrase)), phrase))]

    def _weight(self, count: int, word: str, length: int) -> float:
        others = self.holding[word]
        idf = math.log(1 + (len(self.tokens) - others + 0.5) / (others + 0.5))
        return idf * count * (K1 + 1) / (count + K1 * (1 - B + B * length / self.mean))


def without(phrase: str, text: str) -> str:
    """The text with every occurrence of the phrase taken out, in any case."""
    pattern = r"\s+".join(map(re.escape, phrase.split()))
    return clean(re.sub(rf"(?<!\w){pattern}(?!\w)", " ", clean(text), flags=re.IGNORECASE))


def _phrases(text: str) -> dict[tuple[str, ...], str]:
    """{case-folded words: as written} of all runs of two to four words."""
    found: dict[tuple[str, ...], str] = {}
    for is_word, run in groupby(_TOKEN.findall(clean(text)), key=lambda token: token[0].isalnum()):
        words = list(run) if is_word else []
        for length in LENGTHS:
            for start in range(len(words) - length + 1):
                some = words[start : start + length]
                if not any(word.isdigit() for word in some):
                    found.setdefault(tuple(word.casefold() for word in some), " ".join(some))
    return found
