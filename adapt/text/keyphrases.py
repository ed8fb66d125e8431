"""Keyphrases: the phrase of two to four words that is most specific to a text in its corpus, by BM25 term weights."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from adapt.text.clean import clean

LENGTHS = (2, 3, 4)
MAX_DOCUMENT_FREQUENCY = 0.1  # a word that occurs in a larger fraction of the texts is in no keyphrase
K1, B = 1.5, 0.75  # as in `adapt.retrieval.bm25`
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]+")


class Keyphrases:
    """Phrases of a corpus in scripts with spaces between words; a phrase contains no punctuation and no common word."""

    def __init__(self, texts: Sequence[str]):
        self.phrases = [_phrases(text) for text in texts]
        self.tokens = [[t.casefold() for t in _TOKEN.findall(clean(text))] for text in texts]
        self.document_frequency = Counter(word for tokens in self.tokens for word in set(tokens))
        self.phrase_frequency = Counter(phrase for own in self.phrases for phrase in own)
        self.mean_length = sum(map(len, self.tokens)) / max(1, len(texts))

    def best(self, row: int) -> str:
        """The phrase of the highest weight that occurs only here, while its words occur in other texts; "" if there is none."""
        counts = Counter(self.tokens[row])
        weight = {word: self._weight(count, word, len(self.tokens[row])) for word, count in counts.items()}
        maximum = MAX_DOCUMENT_FREQUENCY * len(self.tokens)
        own = [
            phrase
            for phrase in self.phrases[row]
            if self.phrase_frequency[phrase] == 1
            and len(set(phrase)) == len(phrase)
            and all(2 <= self.document_frequency[word] <= maximum for word in phrase)
        ]
        if not own:
            return ""
        return self.phrases[row][max(own, key=lambda phrase: (sum(weight[w] for w in phrase) / (1 + len(phrase)), phrase))]

    def _weight(self, count: int, word: str, length: int) -> float:
        frequency = self.document_frequency[word]
        idf = math.log(1 + (len(self.tokens) - frequency + 0.5) / (frequency + 0.5))
        return idf * count * (K1 + 1) / (count + K1 * (1 - B + B * length / self.mean_length))


def without(phrase: str, text: str) -> str:
    """The text without the phrase, whose case is ignored."""
    pattern = r"\s+".join(map(re.escape, phrase.split()))
    return clean(re.sub(rf"(?<!\w){pattern}(?!\w)", " ", clean(text), flags=re.IGNORECASE))


def _phrases(text: str) -> dict[tuple[str, ...], str]:
    """{case-folded words: the phrase as written} for all runs of two to four words."""
    phrases: dict[tuple[str, ...], str] = {}
    for is_word, run in groupby(_TOKEN.findall(clean(text)), key=lambda token: token[0].isalnum()):
        words = list(run) if is_word else []
        for length in LENGTHS:
            for start in range(len(words) - length + 1):
                window = words[start : start + length]
                if not any(word.isdigit() for word in window):
                    phrases.setdefault(tuple(word.casefold() for word in window), " ".join(window))
    return phrases
