"""Queries made from raw texts: their passages lack what was cut out, and nothing asked for remains to be trained on."""

import json
import random

import pytest

from adapt import checks, files
from adapt.errors import UserError
from adapt.prepare.synthetic import FORMS, hold_out, hold_out_file
from adapt.records import Text
from adapt.text.clean import normalised
from adapt.text.near_duplicates import near_duplicates

VOCABULARY = [
    f"{a}{b}{c}"
    for a in "bdfgklmnprstvwz"
    for b in ("a", "el", "i", "or", "un", "e", "ar", "os", "im", "u")
    for c in ("ida", "oma", "itis", "ine", "ex", "al")
]


def sentence(rng, length=12):
    return " ".join(rng.choices(VOCABULARY, k=length)).capitalize() + "."


def corpus(rng, size, titles=True):
    """Texts of four sentences, with a title of their own in two of three; in groups of three where they have a title."""
    made = []
    for i in range(size):
        title = sentence(rng, 5).rstrip(".") if titles and i % 3 else ""
        body = " ".join(sentence(rng) for _ in range(4))
        made.append(Text(str(i), f"{title} {body}".strip(), f"case {i // 6}" if title else "", title=title))
    return made


@pytest.fixture
def texts():
    return corpus(random.Random(4), 300)


def parts(folder):
    queries = {row["_id"]: row for _, row in files.rows(folder / "queries.jsonl")}
    passages = {row["_id"]: row for _, row in files.rows(folder / "corpus.jsonl")}
    asked = {
        split: {row["query-id"]: row["corpus-id"] for _, row in files.rows(folder / "qrels" / f"{split}.tsv")}
        for split in ("dev", "test")
    }
    return queries, passages, asked


def test_every_form_makes_queries_that_are_cut_out_of_their_passages(texts, tmp_path):
    found = hold_out(texts, tmp_path / "held", queries=40)
    queries, passages, asked = parts(tmp_path / "held")
    assert {form for own in found.counts.values() for form in own} == set(FORMS)
    assert [sum(own.values()) for own in found.counts.values()] == [40, 40] and not set(asked["dev"]) & set(asked["test"])
    for judged in asked.values():
        for query, passage in judged.items():
            assert normalised(queries[query]["text"]) not in normalised(passages[passage]["text"])
    for split, judged in asked.items():
        read = checks.find("retrieval").read(tmp_path / "held", split)
        assert len(read.queries) == 40 and {q.id: dict.fromkeys(read.relevant[q.id], 1.0) for q in read.queries} == {
            q: {p: 1.0} for q, p in judged.items()
        }


def test_nothing_asked_for_nor_a_near_copy_nor_its_group_remains(texts, tmp_path):
    copies = [Text(f"copy {i}", text.text + " indeed") for i, text in enumerate(texts[:100])]
    found = hold_out([*texts, *copies], tmp_path / "held", queries=20)
    _, passages, asked = parts(tmp_path / "held")
    left = [text.text for text in found.remaining]
    wanted = [passages[p]["text"] for judged in asked.values() for p in judged.values()]
    assert not list(near_duplicates(wanted, left, 0.8)) and not list(near_duplicates(left, wanted, 0.8))
    words = {" ".join(normalised(text).split()[-8:-1]) for text in left}
    assert not words & {" ".join(normalised(text).split()[-8:-1]) for text in wanted}  # a cut passage ends as its text does
    groups = {passages[p].get("group") for judged in asked.values() for p in judged.values()} - {None}
    assert groups and not groups & {text.group for text in found.remaining}
    by_split = [{passages[p].get("group") for p in judged.values()} - {None} for judged in asked.values()]
    assert not by_split[0] & by_split[1]
    assert len(found.remaining) + found.removed == 400


def test_the_folder_calls_itself_synthetic_and_a_seed_makes_the_same_one_again(texts, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        hold_out(texts, tmp_path / name, queries=10, seed=seed)
    same = {f.relative_to(tmp_path / "a"): f.read_bytes() for f in (tmp_path / "a").rglob("*") if f.is_file()}
    assert same == {f.relative_to(tmp_path / "b"): f.read_bytes() for f in (tmp_path / "b").rglob("*") if f.is_file()}
    assert (tmp_path / "a" / "queries.jsonl").read_bytes() != (tmp_path / "c" / "queries.jsonl").read_bytes()
    card = json.loads((tmp_path / "a" / "card.json").read_text())
    assert card["synthetic"] is True and card["seed"] == 1 and card["form"] == list(FORMS)
    assert sum(card["counts"]["dev"].values()) == 10


def test_one_form_may_be_asked_for(texts, tmp_path):
    found = hold_out(texts, tmp_path / "held", queries=10, forms=["keyphrase-passage"])
    queries, _, _ = parts(tmp_path / "held")
    assert found.counts == {"dev": {"keyphrase-passage": 10}, "test": {"keyphrase-passage": 10}}
    assert all(2 <= len(row["text"].split()) <= 4 for row in queries.values())


def test_a_file_is_set_aside_with_what_remains_beside_it(texts, tmp_path):
    files.write(texts, tmp_path / "t.jsonl")
    said = hold_out_file(str(tmp_path / "t.jsonl"), tmp_path / "held", queries=10)
    assert "synthetic" in said[0] and "with 10 rows" in said[0] and "synthetic-retrieval" in said[2]
    assert len(files.read(tmp_path / "held" / "texts.jsonl", "texts")) == 300 - int(said[0].split(" relevant texts")[0].split()[-1])
    with pytest.raises(UserError, match="already exists"):
        hold_out_file(str(tmp_path / "t.jsonl"), tmp_path / "held")


def test_texts_that_are_too_short_are_refused(tmp_path):
    with pytest.raises(UserError, match="too few or too short"):
        hold_out([Text(str(i), f"word {i}") for i in range(50)], tmp_path / "held")
