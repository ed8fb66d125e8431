"""Leaks of every kind, planted among random rows, are found, and no row that is clean."""

import random

import pytest

from adapt import checks
from adapt.checks.kinds.reranking import RerankingQuery
from adapt.checks.kinds.retrieval import RetrievalData
from adapt.checks.leakage import KINDS, ProtectedTexts, filter_leaks, protect, sides
from adapt.errors import UserError
from adapt.job import Event, Job
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet


def protected(data):
    """The data of checks, {"kind split": what `read` returned}, as protected texts."""
    return protect({name: checks.find(name.split()[0]).protected_items(rows) for name, rows in data.items()})


VOCABULARY = [f"word{i}" for i in range(3_000)]


def passage(rng, length=60):
    return " ".join(rng.choices(VOCABULARY, k=length))


def rewritten(rng, text):
    """The same text to a reader: other case, punctuation, spacing."""
    return rng.choice([text.upper(), text.replace(" ", "  ") + ".", text.replace(" ", ", ", 3), f"«{text.title()}»\n"])


def nearly(rng, text):
    """One word changed and two put behind: Jaccard of 5-grams 51/63 or more."""
    tokens = text.split()
    tokens[rng.randrange(5, len(tokens) - 5)] = "other"
    return " ".join([*tokens, "the", "end"])


def held_out(rng, size=500):
    """A retrieval and a similarity check: (what `read` gives, by name; the held-out texts)."""
    queries = [Text(f"q{i}", passage(rng, 12), f"disease {i}") for i in range(size)]
    corpus = [Text(f"p{i}", passage(rng)) for i in range(3 * size)]
    relevant = {f"q{i}": {f"p{i}": 1.0} for i in range(size)}
    pairs = [ScoredPair(passage(rng, 20), passage(rng, 20), 0.5) for _ in range(size)]
    return {"retrieval test": RetrievalData(queries, corpus, relevant), "sts dev": pairs}


def test_planted_leaks_of_each_kind_are_found_among_random_rows_and_nothing_else():
    rng = random.Random(5)
    data = held_out(rng)
    judged, scored = data.values()
    planted = []
    for i in range(500):
        query, answer, pair = judged.queries[i].text, judged.corpus[i].text, scored[i]
        planted += [
            ("exact", Pair(passage(rng, 12), rewritten(rng, answer))),
            ("exact", ScoredPair(passage(rng, 20), rewritten(rng, pair.sentence2), 1.0)),
            ("near_duplicate", Pair(passage(rng, 12), nearly(rng, answer))),
            ("near_duplicate", Text("", nearly(rng, answer))),
            ("pair", Pair(rewritten(rng, query), rewritten(rng, answer))),
            ("pair", ScoredPair(rewritten(rng, pair.sentence2), rewritten(rng, pair.sentence1), 0.5)),
            ("group", Pair(passage(rng, 12), passage(rng), f"disease {i}")),
            ("negatives", Triplet(passage(rng, 12), passage(rng), (rewritten(rng, answer),))),
        ]
    fine = [Pair(passage(rng, 12), passage(rng), f"ailment {i}") for i in range(1_000)]
    fine += [Text("", judged.corpus[i].text) for i in range(500, 1_000)]  # in the corpus, but nobody's answer
    rows = [(kind, row) for kind, row in [*planted, *((None, row) for row in fine)]]
    rng.shuffle(rows)
    held = protected(data)
    found = [(kind, filter_leaks([row], held).counts if i < 40 else None) for i, (kind, row) in enumerate(rows)]
    assert all(dict(f) == ({} if kind is None else {kind: 1}) for kind, f in found[:40])
    cleaned = filter_leaks([row for _, row in rows], held)
    assert cleaned.kept == [row for kind, row in rows if kind is None or (kind == "near_duplicate" and row in cleaned.kept)]
    share = {kind: cleaned.counts[kind] / sum(k == kind for k, _ in planted) for kind in KINDS}
    assert share["near_duplicate"] >= 0.95 and min(share.values()) >= 0.95 and max(share.values()) == 1
    assert all(share[kind] >= 0.99 for kind in ("pair", "exact", "group", "negatives"))


def test_a_leak_is_told_with_its_row_and_its_check():
    held = protected({"sts dev": [ScoredPair("left leg", "left arm", 0.3)], "triplets test": [Triplet("why", "because", ("no",))]})
    found = filter_leaks([Pair("a", "b"), Pair("Left arm!", "left leg"), Pair("because", "x"), Pair("no", "y")], held)
    assert [(p.row, p.kind, p.check) for p in found.examples] == [(2, "pair", "sts dev"), (3, "exact", "triplets test")]
    assert found.kept == [Pair("a", "b"), Pair("no", "y")]  # a held-out triplet's negative answers nothing
    assert found.counts == {"pair": 1, "exact": 1}
    assert found.summary() == "2 rows overlap with dev or test data (1 pair, 1 exact), removed"


def test_stop_names_the_first_places_and_how_many_there_are():
    held = protected({"retrieval dev": RetrievalData([Text("q", "why is it so")], [Text("p", "because")], {"q": {"p": 1.0}})})
    rows = [Pair(f"fine {i}", "fine too") for i in range(5)] + [Pair(f"fine {i}", "Because.") for i in range(12)]
    with pytest.raises(UserError) as stopped:
        filter_leaks(rows, held, "stop", "pairs.jsonl", numbers=range(101, 118))
    problems = stopped.value.problems
    assert problems[0].startswith("pairs.jsonl: 12 of 17 rows overlap with dev or test data (12 exact)")
    assert (
        problems[1].startswith("  row 106 → retrieval dev: ") and len(problems) == 1 + 10 + 1 + 1 and "and 2 more" in problems[11]
    )
    assert filter_leaks(rows[:5], held, "stop").kept == rows[:5]


def test_allowed_leaks_are_kept_and_declared_and_unlabelled_text_is_called_what_it_is():
    held = ProtectedTexts({"because of that": "sts dev"})
    texts = filter_leaks([Text("", "Because of that"), Text("", "other")], held, "allow")
    assert len(texts.kept) == 2 and texts.counts == {"exact": 1} and texts.unlabelled and "transductive" in texts.summary()
    pairs = filter_leaks([Pair("why", "Because of that")], held, "allow")
    assert len(pairs.kept) == 1 and pairs.counts == {"exact": 1} and "transductive" not in pairs.summary()


def test_a_triplet_loses_its_leaking_negatives_only():
    held = ProtectedTexts({"held out": "retrieval dev"})
    rows = [Triplet("a", "b", ("c", "Held out")), Triplet("a", "b", ("held out",)), Triplet("held out", "b", ("c",))]
    found = filter_leaks(rows, held)
    assert found.kept == [Triplet("a", "b", ("c",))] and found.counts == {"negatives": 2, "exact": 1}


def test_every_kind_of_record_gives_and_finds_leaks():
    kinds = {
        "sts": ScoredPair("x y", "z", 0.1), "pairs": ScoredPair("x y", "z", 0.1), "translation": Parallel("x y", "z"),
        "triplets": Triplet("x y", "z", ()),
    }  # fmt: skip
    for kind, item in kinds.items():
        for row in (ScoredPair("z", "X y", 1.0), Pair("z", "X y"), Parallel("z", "X y"), Labelled("z", "X y", 1)):
            assert filter_leaks([row], protected({kind: [item]})).counts == {"pair": 1}
    held = protected({"reranking": [RerankingQuery("a", ("p1", "p2"), ("p3",))]})
    assert filter_leaks([Pair("q", "p2")], held).counts == {"exact": 1} and filter_leaks([Pair("q", "p3")], held).kept


def test_topics_to_tell_apart_are_no_groups_and_a_titled_passage_is_known_by_its_body():
    assert protected({"clustering": [Text("1", "a b", group="skin", topic="skin")]}).groups == {}
    titled = RetrievalData([Text("q", "why")], [Text("p", "Gout It is an illness", title="Gout")], {"q": {"p": 1.0}})
    assert filter_leaks([Text("", "it is an illness")], protected({"retrieval": titled})).counts == {"exact": 1}


def test_long_work_shows_how_far_it_is():
    heard: list[Event] = []
    filter_leaks([Text("", f"text {i}") for i in range(5_000)], ProtectedTexts({"held out": ""}), job=Job(listener=heard.append))
    assert heard[-1].data["done"] == heard[-1].data["total"] == 5_000


def test_sides_leave_negatives_out():
    assert sides(Triplet("a", "b", ("c",))) == ("a", "b")
