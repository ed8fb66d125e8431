from typing import get_args

from adapt.text.clean import clean, normalised
from adapt.text.sentences import sentences
from adapt.text.stems import Language, stems


def test_clean_keeps_words_and_tidies_the_rest():
    assert clean(" cafe\u0301\u200b \n\n au\tlait\x00 ") == "café au lait"


def test_normalised_texts_are_equal_when_case_and_punctuation_are_all_that_differs():
    assert normalised("The dose, 5 mg!") == normalised("the DOSE 5 mg")
    assert normalised("5 mg") != normalised("50 mg")


def test_sentences_survive_abbreviations_and_keep_their_text():
    text = "Give 5 mg. of it daily, cf. Fig. 2. Stop when the rash clears."
    found = sentences([text, "One more text."])
    assert found == [(0, "Give 5 mg. of it daily, cf. Fig. 2."), (0, "Stop when the rash clears."), (1, "One more text.")]


def test_sentences_outside_the_length_limits_are_left_out():
    assert sentences(["Too short. This one has just enough words."], min_words=3) == [(0, "This one has just enough words.")]


def test_stems_meet_across_inflections_and_drop_stop_words():
    assert stems("What are the infections?") == stems("infection")


def test_every_language_that_nltk_stems_is_known_and_none_leaves_words_alone():
    from nltk.stem.snowball import SnowballStemmer

    assert set(get_args(Language)) == {*SnowballStemmer.languages, "none"} - {"porter"}
    assert stems("Behandlungen der Nieren", "german") == ["behandl", "der", "nier"]  # published: snowballstem.org, German
    assert stems("What are Infections", "none") == ["what", "are", "infections"]


def test_scripts_without_spaces_give_character_pairs():
    assert stems("高血压, 5 mg 药。") == ["高血", "血压", "5", "mg", "药"]
    assert stems("東京タワー") == ["東京", "京タ", "タワ", "ワー"]
    assert stems("น้ำตาล")[:2] == ["น้", "้\u0e4d"]  # vowel signs stay; NFKC takes the letter am apart
