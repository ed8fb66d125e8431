"""Split texts into sentences with a Punkt model trained on those very texts: no download, any domain.

Kiss & Strunk (2006), Unsupervised Multilingual Sentence Boundary Detection.
"""

from __future__ import annotations

from collections.abc import Sequence

from adapt.text.clean import clean

# What a small corpus can't teach: abbreviations of academic, medical and legal prose.
ABBREVIATIONS = ("fig figs vs mg ml no nos e.g i.e dr mr mrs ms prof et al etc approx ca cf eq ref refs resp sec ch vol pp").split()
TRAINING_CHARACTERS = 5_000_000  # Punkt's counts are stable long before this


def splitter(texts: Sequence[str]):
    """A Punkt sentence tokenizer that has learnt the abbreviations of `texts`."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    trainer = PunktTrainer()
    room = TRAINING_CHARACTERS
    for text in texts:
        trainer.train(text, finalize=False)
        room -= len(text)
        if room < 0:
            break
    trainer.finalize_training()
    parameters = trainer.get_params()
    parameters.abbrev_types.update(ABBREVIATIONS)
    return PunktSentenceTokenizer(parameters)


def sentences(texts: Sequence[str], min_words: int = 1, max_words: int = 10_000) -> list[tuple[int, str]]:
    """(index of the text, sentence) for every sentence of `min_words` to `max_words` words, in order."""
    cleaned = [clean(text) for text in texts]
    punkt = splitter(cleaned)
    return [
        (index, sentence)
        for index, text in enumerate(cleaned)
        for sentence in punkt.tokenize(text)
        if min_words <= len(sentence.split()) <= max_words
    ]
