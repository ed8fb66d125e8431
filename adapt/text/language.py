"""Detect the language of texts by their most frequent words, to choose the stemmer of lexical search.

The most frequent words of a language are a fifth to a third of any text in it; those of related languages are far fewer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from adapt.text.clean import words
from adapt.text.scripts import is_unspaced

FREQUENT_WORDS = {
    "arabic": "في من على إلى أن التي الذي هذا هذه عن مع كان ما لا هو هي أو كما بعد",
    "danish": "og i at det er en til på som for med den af de ikke der et har jeg kan skal hvad vi blev fra efter",
    "dutch": "de het een van en in is dat op te zijn met voor niet aan er om ook als dan maar bij wat hoe naar deze",
    "english": "the of and to in a is that for it with as was on be by are this which or from at what how not have can",
    "finnish": "ja on ei että se oli hän ovat kun mutta joka tai niin voi mikä myös ole sen jos kuin mitä miten",
    "french": "de la le et les des en un une du est que pour dans qui par sur pas au avec ce plus sont quel il ou",
    "german": "der die das und ist in den von zu mit nicht ein eine für auf dem des im sich auch wie bei nach was als oder einer",
    "hungarian": "a az és hogy nem is egy van meg mi ez azt csak mint volt de ha már mit hogyan vagy kell",
    "italian": "di che e la il un una per è in del non le con si da come della sono i al nel dei quali più",
    "norwegian": "og i det er en til på som for med av de ikke at et har jeg kan skal hva vi ble fra etter eller hvordan",
    "portuguese": "de a o que e do da em um para é com não uma os no se na por mais as dos como quais ao são",
    "romanian": "de și în a la cu pe este un o care nu din să pentru ce mai sau sunt fi prin al se cum",
    "russian": "и в не на что с по как это из у к для от так же или при за его то может если",
    "spanish": "de la que el en y a los se del las un por con no una su para es al lo como más cuál son o qué",
    "swedish": "och i att det som en på är av för med till den har de inte om ett vad jag kan från eller när hur var",
}
_WORDS = {language: frozenset(text.split()) for language, text in FREQUENT_WORDS.items()}
MIN_SHARE = 0.1  # minimum fraction of the words that are frequent words of the language
MIN_RATIO = 1.15  # minimum ratio to the fraction of any other language
SAMPLE_SIZE = 500  # approximate number of texts that are sampled


def language_of(texts: Sequence[str]) -> str | None:
    """The name of a Snowball stemmer, `none` for a script without stemming, None if no language is clearly detected."""
    step = max(1, len(texts) // SAMPLE_SIZE)
    sample = texts[::step]
    if 2 * sum(map(is_unspaced, sample)) > len(sample):
        return "none"
    counts: Counter[str] = Counter()
    for text in sample:
        counts.update(words(text))
    total = sum(counts.values())
    shares = {name: sum(counts[word] for word in frequent) / max(1, total) for name, frequent in _WORDS.items()}
    first, second = sorted(shares, key=shares.__getitem__, reverse=True)[:2]
    return first if shares[first] >= MIN_SHARE and shares[first] >= MIN_RATIO * shares[second] else None
