"""Pairs from raw text: what is paired, with whom, and what is never made."""

import random
import re

import pytest

from adapt import stages
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Text
from adapt.text.clean import words
from adapt.text.near_duplicates import near_duplicates

from ..conftest import sentence

GUIDE = """# Kidney stones in adults

Stones form when urine holds more salts than it can keep in solution for long.

## How they are found
A low dose scan shows nearly all stones. Ultrasound comes first for the young and for pregnant women.

Treatment at home
Most small stones pass by themselves within four weeks. Drink enough water and take a pain killer when the pain comes back.
"""
STRUCTURED = (
    "Salt and blood pressure in old age BACKGROUND: Salt raises the pressure of many people. METHODS: We gave forty people less "
    "salt for a month. RESULTS: Their pressure fell by five points on average."
)
SMALL = {"min_words": 2, "min_passage_words": 5}


def make(texts, seed=1, **settings):
    job = Job(seed)
    return stages.find("pairs")(**{**SMALL, **settings}).run(texts, job), job.counts


def as_rows(pairs):
    return [(pair.anchor, pair.positive) for pair in pairs]


def test_a_title_column_leads_to_the_body():
    made, _ = make([Text("7", "Gout It hurts the big toe of older men at night.", title="Gout")], min_words=1, forms=["title-body"])
    assert as_rows(made) == [("Gout", "It hurts the big toe of older men at night.")]
    assert (made[0].group, made[0].origin) == ("7", "title-body")


def test_headings_lead_to_their_sections_with_the_title_before_them():
    made, _ = make([Text("1", GUIDE)], forms=["heading-section"], max_per_document=9)
    assert [pair.anchor for pair in made] == [
        "Kidney stones in adults: How they are found", "Kidney stones in adults: Treatment at home",
    ]  # fmt: skip
    assert (
        made[0].positive == "A low dose scan shows nearly all stones. Ultrasound comes first for the young and for pregnant women."
    )
    assert make([Text("1", GUIDE)], forms=["title-body"])[0][0].anchor == "Kidney stones in adults"


def test_labels_of_a_structured_abstract_are_headings_and_its_title_stands_before_them():
    made, _ = make([Text("1", STRUCTURED)], forms=["heading-section"], max_per_document=9)
    assert as_rows(made) == [
        ("Salt and blood pressure in old age: BACKGROUND", "Salt raises the pressure of many people."),
        ("Salt and blood pressure in old age: METHODS", "We gave forty people less salt for a month."),
        ("Salt and blood pressure in old age: RESULTS", "Their pressure fell by five points on average."),
    ]


def test_titles_run_into_the_text_are_found_by_what_the_corpus_does_elsewhere():
    drugs, ills = "aspirin heparin statins insulin codeine".split(), "stroke gout asthma fever migraine".split()
    texts = [
        Text(f"{d}{i}", f"Effect of {d} on {i} in Polish patients: a trial We gave {d} to people with {i}. We saw them for a year. "
             f"They were well. We gave advice. In the end {d} helped against {i} in Polish patients. We thank them.")
        for d in drugs for i in ills
    ]  # fmt: skip
    made, counts = make(texts, forms=["title-body"])
    assert counts["titles"] == len(texts) == len(made)
    for text, pair in zip(texts, made, strict=True):
        assert pair.anchor == text.text.partition(" We gave")[0] and f"{pair.anchor} {pair.positive}" == text.text
    plain = [Text(t.id, t.text.partition("trial ")[2]) for t in texts]
    assert make(plain, forms=["title-body", "sentence-rest"])[1]["titles"] == 0


@pytest.mark.parametrize("keep", [0.0, 0.1, 1.0])
def test_a_sentence_leads_to_the_rest_of_its_passage(texts, keep):
    rng = random.Random(4)
    many = [Text(str(n), " ".join(f"{sentence(rng)[:-1]} number{n}{part}." for part in "xyz")) for n in range(400)]
    made, _ = make(many, forms=["sentence-rest"], keep_sentence=keep)
    whole = {text.id: re.findall(r"[^.]+\.", text.text) for text in many}
    kept = 0
    assert len(made) > 300
    for pair in made:
        rest = [part.strip() for part in whole[pair.group]]
        assert pair.anchor in rest
        kept += pair.anchor in pair.positive
        assert pair.positive in (" ".join(rest), " ".join(s for s in rest if s != pair.anchor))
    assert kept / len(made) == pytest.approx(keep, abs=0.05)


def test_the_sentence_that_is_the_title_does_not_ask(texts):
    many = [Text(t.id, f"{t.text.split('.')[0]}. {t.text}", title=t.text.split(".")[0]) for t in texts]
    made, _ = make(many, forms=["sentence-rest"], max_per_document=9)
    assert len(made) > 10 and {pair.anchor.rstrip(".") for pair in made}.isdisjoint({text.title for text in many})


def test_a_document_gives_no_more_than_its_cap_and_the_forms_named_first_come_first():
    for cap, wanted in [(1, ["title-body"]), (2, ["title-body", "heading-section"]), (3, ["title-body", *2 * ["heading-section"]])]:
        made, _ = make([Text("1", GUIDE)], max_per_document=cap)
        assert [pair.origin for pair in made] == wanted
    assert [pair.origin for pair in make([Text("1", GUIDE)], forms=["sentence-rest", "title-body"])[0]] == ["sentence-rest"]


def test_passages_end_with_a_sentence_and_keep_to_their_limits(texts):
    made, _ = make(
        texts, max_passage_words=18, min_passage_words=9, min_words=9, max_words=9, forms=["sentence-rest"], max_per_document=3
    )
    assert made
    for pair in made:
        assert 9 <= len(pair.positive.split()) <= 18 and pair.positive.endswith(".") and len(pair.anchor.split()) == 9


def test_near_duplicates_never_make_two_pairs(texts):
    copies = [Text(f"copy-{t.id}", t.text + " Again.") for t in texts]
    made, counts = make([*texts, *copies], forms=["sentence-rest"], max_per_document=3)
    assert counts["near_duplicate_texts"] == len(copies) and {pair.group for pair in made} <= {t.id for t in texts}
    boiler = "This page is for information only and takes the place of no doctor in any case at all."
    guides = [Text(t.id, f"# {t.text.split('.')[0]}\n\n{t.text}\n\n# Please read\n{boiler}") for t in texts]
    made, counts = make(guides, forms=["heading-section"], max_per_document=3)
    assert [pair.positive for pair in made].count(boiler) == 1 and counts["repeated_pairs"] == len(texts) - 1
    positives = [pair.positive for pair in made]
    assert not [(i, j) for i, j, _ in near_duplicates(positives, positives) if i != j]


def test_an_anchor_is_used_once():
    made, counts = make([Text(str(n), f"Gout {body}", title="Gout") for n, body in enumerate(
        ["hurts the big toe of older men.", "is treated with rest and cold packs."])], min_words=1)  # fmt: skip
    assert len([pair for pair in made if pair.anchor == "Gout"]) == 1 and counts["repeated_pairs"] == 1


def test_so_many_pairs_are_drawn_by_seed(texts):
    settings = {"forms": ["sentence-rest"], "pairs": 7}
    first, again, other = (make(texts, seed, **settings)[0] for seed in (1, 1, 2))
    assert len(first) == 7 == len(other) and first == again != other
    assert set(first) <= set(make(texts, 1, forms=["sentence-rest"])[0])


def test_texts_that_give_no_pair_say_what_was_looked_for():
    with pytest.raises(UserError, match=r"1 texts \(0 with a title\) gave no pair of forms title-body; widen min_words"):
        make([Text("1", "Only one sentence without a heading.")], forms=["title-body"])
    assert stages.find("pairs")(min_words=50).problems({}) != []


def test_every_pair_is_made_of_the_words_of_its_own_text(texts):
    made, _ = make([Text("g", GUIDE), Text("s", STRUCTURED), *texts], max_per_document=5)
    own = {"g": GUIDE, "s": STRUCTURED} | {t.id: t.text for t in texts}
    for pair in made:
        assert set(words(f"{pair.anchor} {pair.positive}")) <= set(words(own[pair.group]))
