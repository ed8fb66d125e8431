from adapt.text.keyphrases import Keyphrases, without

FILLER = ["a frothy drink", "the sputum was clear", "the left lung", *["the dose of the day is low"] * 40]


def test_the_phrase_that_only_this_text_has_is_its_keyphrase():
    texts = ["The patient brought up frothy sputum, then slept.", *FILLER, "A patient slept."]
    assert Keyphrases(texts).best(0) == "frothy sputum"


def test_a_keyphrase_runs_over_no_punctuation_and_no_common_word():
    texts = ["Frothy, sputum of the lung.", *FILLER]
    assert Keyphrases(texts).best(0) == ""


def test_every_occurrence_of_a_phrase_is_taken_out_and_no_part_of_a_word():
    assert without("left leg", "Left leg: the left  leg, not left legs.") == ": the , not left legs."
