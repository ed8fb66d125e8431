import pytest

from adapt.text.language import FREQUENT_WORDS, language_of


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("german", "Wie lange gilt die Frist? Die Frist beträgt drei Wochen nach der Kündigung und das Schreiben muss ankommen."),
        ("french", "Quelle est la durée du contrat ? Le délai est de trois semaines après la réception de la lettre."),
        ("spanish", "¿Cuál es el plazo del contrato? El plazo es de tres semanas después de la llegada de la carta."),
        ("english", "What is the term of the contract? It is three weeks from the day that the letter was read."),
        ("russian", "Как долго действует договор? Срок составляет три недели и не может быть продлен после этого."),
        ("none", "租房合同的期限是多久？期限一般为三周。"),
        (None, "Metformin 500 mg, Aspirin 100 mg, Ramipril 5 mg"),
    ],
)
def test_a_language_is_known_by_its_commonest_words(language, text):
    assert language_of([text]) == language


def test_every_stemmer_has_its_words():
    from typing import get_args

    from adapt.text.stems import Language

    assert set(FREQUENT_WORDS) == set(get_args(Language)) - {"none"}
