"""The corpora that ship are what their cards say: sizes, ranges, unique ids, and nothing of dev or test in training."""

import json
import re
from collections import Counter

import pytest

from adapt import checks, files, recipe
from adapt.text.clean import normalised
from adapt.text.near_duplicates import deduplicate, near_duplicates

ROOT = recipe.shipped_root() / "corpora"
MEDICAL, GENERAL = ROOT / "medical", ROOT / "general"


def lines(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def judged(folder, split):
    return checks.find("retrieval").read(str(folder), split)


def test_medical_passages():
    pool = lines(MEDICAL / "dev" / "corpus.jsonl")
    train = lines(MEDICAL / "passages.jsonl")
    assert lines(MEDICAL / "test" / "corpus.jsonl") == pool and len(pool) >= 500 and len(train) >= 500
    assert len({row["_id"] for row in pool}) == len(pool) and {row["id"] for row in train} < {row["_id"] for row in pool}
    assert all(60 <= len(row["text"].split()) <= 150 for row in pool)
    assert len({row["topic"].split("/")[0] for row in pool}) >= 15
    registers = Counter(row["register"] for row in pool)
    assert set(registers) == {"leaflet", "note", "abstract", "guideline", "label"} and min(registers.values()) > 80


def test_medical_queries_are_split_by_topic():
    train = lines(MEDICAL / "pairs.jsonl")
    dev, test = (lines(MEDICAL / split / "queries.jsonl") for split in ("dev", "test"))
    assert len(train) + len(dev) + len(test) >= 1200 and len(dev) >= 150 and len(test) >= 150
    topics = [{row["topic"] for row in rows} for rows in (train, dev, test)]
    assert not topics[0] & topics[1] and not topics[0] & topics[2] and not topics[1] & topics[2]
    for rows in (train, dev, test):
        words = Counter(row["wording"] for row in rows)
        assert set(words) == {"lay", "professional"} and min(words.values()) > 0.4 * len(rows)
    for split in ("dev", "test"):
        data = judged(MEDICAL / split, split)
        assert len(data.queries) == len(lines(MEDICAL / split / "queries.jsonl")) and len(data.corpus) >= 500


@pytest.mark.parametrize(
    ("names", "least"),
    [(["gold.csv", "sts-dev.csv", "sts-test.csv"], 600), (["../general/sts-dev.csv", "../general/sts-test.csv"], 250)],
)
def test_scored_pairs_are_graded(names, least):
    parts = [files.read(MEDICAL / name, "scored") for name in names]
    scores = Counter(min(4, int(5 * p.score)) for part in parts for p in part)
    assert sum(map(len, parts)) >= least and len(scores) == 5 and min(scores.values()) > 0.07 * sum(scores.values())
    sides = [normalised(side) for part in parts for p in part for side in (p.sentence1, p.sentence2)]
    assert len(set(sides)) > 0.99 * len(sides)


def test_medical_pairs_hold_lexical_traps():
    kinds = Counter(row["why"] for name in ("gold", "sts-dev", "sts-test") for _, row in files.rows(MEDICAL / f"{name}.csv"))
    assert {"negation", "laterality", "dose", "direction"} <= set(kinds)
    assert sum(kinds[k] for k in ("negation", "laterality", "dose", "direction", "entity", "time")) > 200


def test_general_retrieval():
    dev, test = (judged(GENERAL / "retrieval", split) for split in ("dev", "test"))
    assert len(dev.corpus) >= 300 and len(dev.queries) >= 120 and len(test.queries) >= 120
    assert not {q.id for q in dev.queries} & {q.id for q in test.queries}
    assert len({t.id for t in dev.corpus}) == len(dev.corpus)


def test_queries_use_other_words_than_their_passages():
    from adapt.text.stems import stems

    for folder, split in ((MEDICAL / "test", "test"), (MEDICAL / "dev", "dev"), (GENERAL / "retrieval", "test")):
        data = judged(folder, split)
        text = {t.id: set(stems(t.text)) for t in data.corpus}
        shared = []
        for query in data.queries:
            own = set(stems(query.text))
            (passage,) = data.relevant[query.id]
            shared.append(len(own & text[passage]) / max(1, len(own)))
        assert sum(shared) / len(shared) < 0.35


def test_nothing_of_dev_or_test_stands_in_training_exactly_or_nearly():
    train = [row["text"] for row in lines(MEDICAL / "passages.jsonl")]
    for pair in files.read(MEDICAL / "pairs.jsonl", "pairs"):
        train += [pair.anchor, pair.positive]
    for pair in files.read(MEDICAL / "gold.csv", "scored"):
        train += [pair.sentence1, pair.sentence2]
    held = []
    for split in ("dev", "test"):
        held += checks.find("retrieval").protected_texts(judged(MEDICAL / split, split))
        held += checks.find("sts").protected_texts(files.read(MEDICAL / f"sts-{split}.csv", "scored"))
        held += checks.find("retrieval").protected_texts(judged(GENERAL / "retrieval", split))
        held += checks.find("sts").protected_texts(files.read(GENERAL / f"sts-{split}.csv", "scored"))
    assert len(held) > 2000
    assert not {normalised(t) for t in train} & {normalised(t) for t in held}
    assert list(near_duplicates(list(dict.fromkeys(train)), held)) == []


def test_dev_and_test_share_no_text():
    sides = [set(), set()]
    for part, split in zip(sides, ("dev", "test"), strict=True):
        part.update(map(normalised, checks.find("retrieval").protected_texts(judged(MEDICAL / split, split))))
        part.update(map(normalised, checks.find("sts").protected_texts(files.read(MEDICAL / f"sts-{split}.csv", "scored"))))
    assert not sides[0] & sides[1]


def test_no_passage_is_a_near_copy_of_another():
    for file in (MEDICAL / "dev" / "corpus.jsonl", GENERAL / "retrieval" / "corpus.jsonl"):
        texts = [row["text"] for row in lines(file)]
        assert len(deduplicate(texts)) == len(texts)


def test_each_corpus_has_a_card_with_licence_and_sizes():
    cards = sorted(ROOT.glob("*/README.md"))
    assert [card.parent.name for card in cards] == ["general", "medical"]
    for card in cards:
        text = card.read_text(encoding="utf-8")
        assert "CC0" in text and "How it was written" in text
        for file, count in re.findall(r"\| `([^`]+)` \|[^|]*\| ([\d,]+) \|", text):
            assert files.count_rows(card.parent / file) == int(count.replace(",", "")), file
    assert "not medical advice" in (MEDICAL / "README.md").read_text(encoding="utf-8").lower()
