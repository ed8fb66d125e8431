import gzip
import json

import pytest

from adapt.errors import UserError
from adapt.files import count_rows, read, write
from adapt.records import Pair, ScoredPair, Text, Triplet

from .conftest import SAMPLES

RECORDS = [
    ("texts", [Text("a", "first text", "topic"), Text("b", "zweiter Text, größer")]),
    ("pairs", [Pair("question?", "an answer, with comma"), Pair("other", 'an "answer"', "g")]),
    ("scored", [ScoredPair("left", "right", 0.25, "silver:bm25@2"), ScoredPair("NA", "0012", 1.0)]),
    ("triplets", [Triplet("q", "p", ("n1", "n2")), Triplet("q2", "p2", ("n3",))]),
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


def test_entailed_pairs_of_nli_rows_are_pairs(tmp_path):
    rows = [{"premise": "a", "hypothesis": "b", "label": label} for label in ("entailment", "neutral", 0, 2)]
    (tmp_path / "nli.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert len(read(tmp_path / "nli.jsonl", "pairs")) == 2
    assert [p.score for p in read(tmp_path / "nli.jsonl", "scored")] == [1.0, 0.0, 1.0, 0.0]


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
