from adapt.records import Pair, Text
from adapt.retrieval.exclusions import Exclusions

LONG = "Metronidazole is an antibiotic for the gut. It must not be taken together with alcohol, since vomiting may follow."
SENTENCE = "It must not be taken together with alcohol, since vomiting may follow."
OTHER = "Paracetamol lowers fever and eases pain, and an adult takes one gram every six hours at the most."


def excluded(pairs, corpus):
    import numpy as np

    pool = list(dict.fromkeys([*(t.text for t in corpus), *(p.positive for p in pairs)]))
    exclusions = Exclusions(pairs, corpus, pool)
    return [{pool[i] for i in np.flatnonzero(exclusions.exclusion_mask(pair, np.arange(len(pool))))} for pair in pairs]


def test_a_passage_that_holds_the_positive_or_stands_in_it_is_no_negative():
    corpus = [Text("1", LONG), Text("2", OTHER)]
    assert excluded([Pair("may I drink", SENTENCE)], corpus) == [{SENTENCE, LONG}]
    assert excluded([Pair("may I drink", LONG)], [Text("1", SENTENCE), Text("2", OTHER)]) == [{SENTENCE, LONG}]


def test_a_short_body_below_a_title_is_the_positive():
    corpus = [Text("1", "Alcohol Never drink it.", title="Alcohol"), Text("2", "Wine Never say never.", title="Wine")]
    assert excluded([Pair("may I drink", "Never drink it.")], corpus) == [{"Never drink it.", "Alcohol Never drink it."}]
