"""Vowel signs, tone marks and signs make another word; case, punctuation and spacing do not."""

import pytest

from adapt.retrieval.containment import contained
from adapt.text.clean import normalised, words
from adapt.text.near_duplicates import near_duplicates
from adapt.text.stems import stems

OTHERS = [("ป้า", "ป่า"), ("दिन", "दीन"), ("শিশু", "শিশি"), ("ప్రధాని", "ప్రధానే"), ("C++", "C#"), ("C", "C#"), ("Na+", "Na-"), ("😀", "😢"),
          ("-5", "5"), ("p < 0.05?", "p > 0.05?"), ("5 %", "5"), ("5 €", "5 $"), ("???", "!!!"), ("−5", "5")]  # fmt: skip
ALIKE = [("X-ray", "x ray"), ("Fever?", "fever"), ("It is - so.", "It is so"), ("5 %", "5%"), ("• one", "one"), ("Brand®", "brand"),
         ("−5", "-5"), ("नमस्ते", "नमस्\u200dते"), ("e\u0301te\u0301", "été"), ("“so”", '"so"')]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), OTHERS)
def test_other_texts_stay_other_texts(left, right):
    assert normalised(left) != normalised(right)
    assert left == "???" or not list(near_duplicates([f"what is {left}"], [f"what is {right}"]))


@pytest.mark.parametrize(("left", "right"), ALIKE)
def test_the_same_text_stays_the_same(left, right):
    assert normalised(left) == normalised(right)


def test_words_keep_their_marks_whole():
    assert words("हिन्दी में मधुमेह") == ["हिन्दी", "में", "मधुमेह"] and stems("हिन्दी में मधुमेह", "none") == ["हिन्दी", "में", "मधुमेह"]
    assert words("Na+ is < 5 % naïve") == ["na", "is", "5", "naïve"]
    assert words("") == [] and normalised("") == ""


def test_a_text_within_another_is_found_word_for_word():
    passage = "Metronidazole is an antibiotic. It must not be taken together with alcohol, ever."
    texts = ["It must NOT be taken together with alcohol", "It must be taken together with alcohol", "an antibiotic"]
    assert contained(texts, ["something else entirely, of some words", passage]) == [(0, 1)]
    assert contained(["租房合同的期限"], ["请问租房合同的期限是多久"]) == [(0, 0)]
