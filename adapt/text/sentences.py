"""Split texts into sentences with a Punkt model trained on the same texts: no download, any domain.

Kiss & Strunk (2006), Unsupervised Multilingual Sentence Boundary Detection. Punkt splits at a full stop and a space; the
text is also split at the full stops of other scripts (。！？ and others) and, in Thai, at spaces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapt.text.clean import clean
from adapt.text.scripts import count_words

if TYPE_CHECKING:
    from nltk.tokenize.punkt import PunktSentenceTokenizer

# Abbreviations of academic, medical and legal prose, which can't be learnt from a small corpus.
ABBREVIATIONS = ("fig figs vs mg ml no nos e.g i.e dr mr mrs ms prof et al etc approx ca cf eq ref refs resp sec ch vol pp").split()
TRAINING_CHARACTERS = 5_000_000  # Punkt's counts are stable with fewer
_CLOSING = "」』”’）】》〉\"')"
_OTHER_ENDS = re.compile(
    rf"(?<=[。！？｡．।॥။។؟۔])(?![。！？｡．{_CLOSING}])\s*"  # East Asian, Devanagari, Burmese, Khmer, Arabic, Urdu
    rf"|(?<=[。！？｡．][{_CLOSING}])(?![。！？｡．{_CLOSING}])\s*"  # a closing bracket belongs to the sentence before it
    r"|(?<=[\u0e00-\u0e7f])\s+(?=[\u0e00-\u0e7f])"  # Thai
)


def splitter(texts: Sequence[str]) -> PunktSentenceTokenizer:
    """A Punkt sentence tokenizer with abbreviations learnt from `texts`."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    trainer = PunktTrainer()
    remaining = TRAINING_CHARACTERS
    for text in texts:
        trainer.train(text, finalize=False)
        remaining -= len(text)
        if remaining < 0:
            break
    trainer.finalize_training()
    parameters = trainer.get_params()
    parameters.abbrev_types.update(ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters)


def sentences(texts: Sequence[str], min_words: int = 1, max_words: int = 10_000) -> list[tuple[int, str]]:
    """(index of the text, sentence) for every sentence of `min_words` to `max_words` words, in order.

    Words are counted by `count_words`: in a script without spaces two characters are a word.
    """
    cleaned = [clean(text) for text in texts]
    punkt = splitter(cleaned)
    return [
        (index, sentence)
        for index, text in enumerate(cleaned)
        for part in punkt.tokenize(text)
        for sentence in _OTHER_ENDS.split(part)
        if sentence and min_words <= count_words(sentence) <= max_words
    ]
