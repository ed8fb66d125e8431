import gzip
import json
from collections import Counter

import pytest

from adapt.errors import UserError
from adapt.files import count_rows, read, write
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet

from ..conftest import SAMPLES

RECORDS = [
    ("texts", [Text("a", "first text", topic="topic"), Text("b", "zweiter Text, größer")]),
    ("texts", [Text("a", "Heart It pumps.", title="Heart"), Text("b", "no title"), Text("c", "Alone", title="Alone")]),
    ("pairs", [Pair("question?", "an answer, with comma"), Pair("other", 'an "answer"', "g")]),
    ("scored", [ScoredPair("left", "right", 0.25, "silver:bm25@2"), ScoredPair("NA", "0012", 1.0)]),
    ("triplets", [Triplet("q", "p", ("n1", "n2")), Triplet("q2", "p2", ("n3",))]),
    ("labelled", [Labelled("premise", "hypothesis", 2), Labelled("a", "b", 0, "nli")]),
    ("parallel", [Parallel("a fever", "une fièvre"), Parallel("a cough", "une toux", "tico19")]),
]


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".csv.gz"])
@pytest.mark.parametrize(("kind", "records"), RECORDS)
def test_what_is_written_is_read_back(tmp_path, kind, records, ending):
    file = write(records, tmp_path / f"data{ending}")
    back = read(file, kind)
    if kind == "triplets":  # columns are those of the widest row
        assert [(t.anchor, t.positive, t.negatives) for t in back] == [(t.anchor, t.positive, t.negatives) for t in records]
    else:
        assert back == records
    assert count_rows(file) == len(records)
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_plain_text_is_a_text_a_line(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffone\n\n two \n", encoding="utf-8")
    assert [t.text for t in read(tmp_path / "a.txt", "texts")] == ["one", "two"]


def test_a_beir_folder_gives_its_corpus_with_titles():
    found = read(SAMPLES / "data" / "beir", "texts")
    assert [t.id for t in found] == ["d1", "d2", "d3"] and found[0].text == "Heart The heart pumps blood."


def test_csv_values_keep_their_text():
    assert read(SAMPLES / "data" / "scored.csv", "scored")[1] == ScoredPair("NA", "0012", 0.5)


def test_every_bad_row_is_named_at_once_with_its_line():
    with pytest.raises(UserError) as caught:
        read(SAMPLES / "data" / "bad-scored.csv", "scored")
    said = caught.value.problems
    assert len(said) == 4
    for line, words in [(3, "'sentence1' is empty"), (4, "outside 0 to 1"), (5, "not a finite number"), (6, "not a number")]:
        assert any(f"line {line}: " in s and words in s for s in said)


def test_bad_json_lines_say_what_is_wrong():
    with pytest.raises(UserError) as caught:
        read(SAMPLES / "data" / "bad-lines.jsonl", "pairs")
    said = "\n".join(caught.value.problems)
    assert "line 2: no column 'positive'. Did you mean 'positve'?" in said
    assert "line 3: is not JSON" in said and "line 4: column 'anchor' holds int" in said


def test_a_text_knows_its_title_from_its_body():
    found = read(SAMPLES / "data" / "beir", "texts")[0]
    assert (found.title, found.body) == ("Heart", "The heart pumps blood.")


def test_entailed_pairs_of_nli_rows_are_pairs():
    left_out: Counter[str] = Counter()
    found = read(SAMPLES / "data" / "nli.csv", "pairs", left_out)
    assert [(p.anchor, p.positive) for p in found] == [
        ("A dog runs.", "An animal moves."), ("A child sleeps.", "A child rests."), ("A dog runs.", "A pet moves."),
        ("A dog runs.", "It is a hound."),
    ]  # fmt: skip
    assert left_out == {"not labelled as entailment": 7}


def test_nli_rows_without_a_label_are_left_out_of_scored_and_labelled_pairs():
    left_out: Counter[str] = Counter()
    scored, labelled = (read(SAMPLES / "data" / "nli.csv", kind, left_out) for kind in ("scored", "labelled"))
    assert [p.score for p in scored] == [1, 1, 0, 0, 1, 0, 0, 1, 0]
    assert [p.label for p in labelled] == [0, 0, 2, 1, 0, 1, 2, 0, 2]
    assert left_out == {"without a label": 2 * 2}
    assert labelled[0] == Labelled("A dog runs.", "An animal moves.", 0)


def test_nli_rows_become_triplets_by_premise_wherever_its_rows_stand():
    left_out: Counter[str] = Counter()
    found = read(SAMPLES / "data" / "nli.csv", "triplets", left_out)
    wrong = ("A dog sits still.", "The dog is asleep.")
    assert found == [Triplet("A dog runs.", "An animal moves.", wrong, "nli"), Triplet("A dog runs.", "A pet moves.", wrong, "nli")]
    assert left_out == {"without a label": 2, "premises without both an entailed and a contradicting hypothesis": 2}


def test_nli_triplets_are_the_same_in_any_order_of_the_rows(tmp_path):
    lines = (SAMPLES / "data" / "nli.csv").read_text().splitlines()
    (tmp_path / "turned.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    as_sets = [
        {(t.anchor, t.positive, frozenset(t.negatives)) for t in read(file, "triplets")}
        for file in (SAMPLES / "data" / "nli.csv", tmp_path / "turned.csv")
    ]
    assert as_sets[0] == as_sets[1]


def test_unknown_labels_are_named_with_their_lines():
    with pytest.raises(UserError) as caught:
        read(SAMPLES / "data" / "bad-nli.csv", "triplets")
    said = caught.value.problems
    assert len(said) == 3
    assert "line 3: label 'entails' is none of" in said[0] and "line 4: column 'hypothesis' is empty" in said[1]
    assert "line 5: label '3'" in said[2]


def test_rated_pairs_become_pairs_from_four_fifths_on():
    left_out: Counter[str] = Counter()
    found = read(SAMPLES / "data" / "rated.csv", "pairs", left_out)
    assert [(p.anchor, p.positive) for p in found] == [("same", "alike"), ("one", "1")]
    assert left_out == {"scored below 0.8": 2}
    assert read(SAMPLES / "data" / "rated.csv", "pairs scored")[1] == ScoredPair("near", "by", 0.79)


def test_small_clusters_give_all_their_pairs():
    left_out: Counter[str] = Counter()
    found = read(SAMPLES / "data" / "clusters.csv", "pairs", left_out)
    assert [(p.anchor, p.positive, p.group) for p in found] == [
        ("reset password", "forgot my password", "pw"), ("reset password", "can't log in", "pw"),
        ("forgot my password", "can't log in", "pw"), ("no sound", "speaker is silent", "audio"),
    ]  # fmt: skip
    assert left_out == {"clusters of one text": 1}


def test_a_large_cluster_gives_a_chain():
    found = read(SAMPLES / "data" / "clusters.jsonl", "pairs")
    assert [(p.anchor, p.positive) for p in found] == [("a1", "a2"), *((f"b{i}", f"b{i + 1}") for i in range(1, 6))]
    assert {p.group for p in found} == {"a", "2"}


def test_clicks_are_added_up_and_a_single_one_is_no_pair():
    left_out: Counter[str] = Counter()
    found = read(SAMPLES / "data" / "clicks.csv", "pairs", left_out)
    assert [(p.anchor, p.positive) for p in found] == [
        ("fever", "Fever in children"), ("fever", "Fever in adults"), ("fever", "Thermometers"),
    ]  # fmt: skip
    assert left_out == {"clicked fewer than two times": 2}


def test_parallel_sentences_are_any_two_columns_of_text(tmp_path):
    found = read(SAMPLES / "data" / "parallel.csv", "parallel")
    assert found == [Parallel("a fever", "une fièvre"), Parallel("a cough", "une toux")]
    hub = tmp_path / "hub.jsonl"
    hub.write_text(json.dumps({"id": "1", "translation": {"en": "a fever", "fr": "une fièvre"}}) + "\n")
    assert read(hub, "parallel") == found[:1]
    (tmp_path / "three.tsv").write_text("en\tfr\tes\na\tb\tc\n")
    with pytest.raises(UserError, match="columns are en, fr, es; expected two columns of text"):
        read(tmp_path / "three.tsv", "parallel")


@pytest.mark.parametrize("columns", [("query", "passage"), ("question", "answer"), ("anchor", "document"), ("query", "positive")])
def test_pairs_may_go_by_other_names(tmp_path, columns):
    (tmp_path / "a.jsonl").write_text(json.dumps(dict(zip(columns, ("q", "p"), strict=True))) + "\n")
    assert read(tmp_path / "a.jsonl", "pairs") == [Pair("q", "p")]
    (tmp_path / "b.jsonl").write_text(json.dumps({columns[0]: "q", f"{columns[1]}e": "p"}) + "\n")
    with pytest.raises(UserError, match=f"Did you mean '{columns[1]}e'"):
        read(tmp_path / "b.jsonl", "pairs")


def test_a_column_without_a_name_does_no_harm(tmp_path):
    (tmp_path / "indexed.csv").write_text(",anchor,positive\n0,q,p\n")
    assert read(tmp_path / "indexed.csv", "pairs") == [Pair("q", "p")]


def test_a_file_without_a_usable_row_says_what_was_left_out(tmp_path):
    (tmp_path / "nli.csv").write_text("premise,hypothesis,label\na,b,neutral\n")
    with pytest.raises(UserError, match=r"holds no pairs; expected columns .* Left out: 1 not labelled as entailment"):
        read(tmp_path / "nli.csv", "pairs")


@pytest.mark.parametrize(("name", "words"), [("data.docx", "unknown file format"), ("gone.jsonl", "no such file")])
def test_unreadable_sources_are_user_errors(tmp_path, name, words):
    if name.endswith("docx"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=words):
        read(tmp_path / name, "texts")


def test_a_broken_gzip_is_a_user_error(tmp_path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n')[:-6])
    with pytest.raises(UserError, match=r"a\.jsonl\.gz"):
        read(tmp_path / "a.jsonl.gz", "texts")
