"""Judgements as collections have them: what trec_eval does with them, told with a count; what can't be right, refused by line."""

import gzip
import json

import numpy as np
import pytest

from adapt import checks
from adapt.errors import UserError
from adapt.files import count_rows, read, reading
from adapt.records import Pair

HEADER = "query-id\tcorpus-id\tscore\n"


@pytest.fixture
def folder(tmp_path):
    """Three questions and four passages that are numbered alike; the judgements are written by `judged`."""
    _lines(tmp_path / "queries.jsonl", [{"_id": str(i), "text": f"question {i}"} for i in range(1, 4)])
    rows = [{"_id": str(i), "title": f"Title {i}", "text": f"passage {i}"} for i in range(1, 4)]
    _lines(tmp_path / "corpus.jsonl", [*rows, {"_id": "4", "title": "", "text": "question 3"}])
    (tmp_path / "qrels").mkdir()
    return tmp_path


def _lines(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def judged(folder, text, split="test", name=None):
    """(the check's data, what was noted)."""
    (folder / "qrels" / (name or f"{split}.tsv")).write_text(text)
    with reading() as log:
        return checks.find("retrieval").read(str(folder), split), [n.replace(str(folder), "") for n in log.notes]


class Points:
    """A model that puts every question on its passage."""

    def embed(self, texts, role=""):
        return np.eye(10)[[int(text.split()[-1]) + 5 * (role != "query" and text.startswith("question")) for text in texts]]


def test_ids_of_queries_and_passages_have_nothing_to_do_with_each_other(folder):
    data, notes = judged(folder, HEADER + "1\t1\t1\n2\t2\t1\n3\t3\t1\n")
    with reading() as log:
        assert checks.find("retrieval").measure(data, Points()).metrics["ndcg@10"] == 1.0
    assert not notes and not log.notes


def test_a_query_that_stands_in_the_corpus_does_not_search_itself(folder):
    _lines(folder / "queries.jsonl", [{"_id": "4", "text": "question 3"}])
    data, _ = judged(folder, HEADER + "4\t3\t1\n")
    with reading() as log:

        class Same(Points):
            def embed(self, texts, role=""):
                return np.eye(10)[[int(text.split()[-1]) for text in texts]]

        assert checks.find("retrieval").measure(data, Same()).metrics["mrr@10"] == 1.0
    assert log.notes == ["1 queries are passages of the corpus, too, and are not retrieved for themselves"]


@pytest.mark.parametrize(
    "text",
    [
        "qid\tdocid\trel\n1\t1\t1\n2\t2\t2\n", "Query-ID\tCorpus-ID\tScore\n1\t1\t1\n2\t2\t2\n", "1\t1\t1\n2\t2\t2\n",
        "1 0 1 1\n2 0 2 2\n",
    ],
)  # fmt: skip
def test_judgements_go_by_many_names_or_by_none(folder, text):
    data, notes = judged(folder, text)
    assert data.relevant == {"1": {"1": 1.0}, "2": {"2": 2.0}} and not notes


def test_what_trec_eval_passes_over_is_counted_and_told(folder):
    data, notes = judged(folder, HEADER + "1\t1\t1\n1\tgone\t1\n9\t1\t1\n2\t2\t1\n2\t2\t1\n2\t3\t-1\n3\tgone\t0\n")
    assert data.relevant == {"1": {"1": 1.0, "gone": 1.0}, "2": {"2": 1.0}}
    assert sorted(note.removeprefix("WARNING: ") for note in notes) == [
        "/qrels/test.tsv: 1 judged passages are not in the corpus, and count as never found (the first: line 3)",
        "/qrels/test.tsv: 1 judgements are of queries that are not among the queries, and are passed over (the first: line 4)",
        "/qrels/test.tsv: 1 judgements repeat another (the first: line 6)",
        "/qrels/test.tsv: 1 negative grades count as not relevant (the first: line 7)",
    ]
    metrics = checks.find("retrieval").measure(data, Points()).metrics
    assert metrics["recall@100"] == pytest.approx(0.75) and metrics["mrr@10"] == 1.0  # 1 of 2 found, and 1 of 1


def test_judgements_that_can_not_be_right_are_refused_by_line(folder):
    with pytest.raises(UserError) as caught:
        judged(folder, HEADER + "1\t1\tnan\n1\t2\tinf\n1\t3\tgood\n2\t2\t1\n\t1\t1\n2\t2\t2\n1\t1\n")
    said = [problem.partition("test.tsv ")[2] for problem in caught.value.problems]
    assert [line.partition(": ")[0] for line in said] == [f"line {number}" for number in (2, 3, 4, 6, 7, 8)]
    wanted = ("not a finite", "not a finite", "not a number", "no query id", "on line 5 1; keep one", "2 fields")
    for words, line in zip(wanted, said, strict=True):
        assert words in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("frage\tantwort\tnote\n1\t1\t1\n", "columns are frage, antwort, note; expected query-id, corpus-id and score"),
        (HEADER + "q1\tp1\t1\n", "judges none of the queries"),
        (HEADER + "1\tp1\t1\n", "none of the relevant passages is in the corpus"),
    ],
)
def test_judgements_of_something_else_are_refused(folder, text, words):
    with pytest.raises(UserError, match=words):
        judged(folder, text)


@pytest.mark.parametrize("header", [HEADER, ""])
@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda packed: packed[:-20], "is damaged or cut short"),  # the first lines can be read
        (lambda packed: packed[:12] + b"\xff" * 30 + packed[42:], "is damaged or cut short"),  # not one can
    ],
)
def test_damaged_judgements_are_told_with_and_without_a_header(folder, header, damage, words):
    lines = header + "".join(f"{i}\t{i * 7919 % 9973}\t{i % 3}\n" for i in range(20_000))
    (folder / "qrels" / "test.tsv.gz").write_bytes(damage(gzip.compress(lines.encode())))
    with pytest.raises(UserError, match=rf"test\.tsv\.gz: {words}"):
        checks.find("retrieval").read(str(folder), "test")


def test_a_byte_that_is_no_text_far_down_in_judgements_is_told_by_line(folder):
    lines = "".join(f"1 0 {i} 1\n" for i in range(5_000)).encode()
    (folder / "qrels" / "test.tsv").write_bytes(lines + b"1 0 caf\xe9 1\n1 0 a\0b 1\n")
    with pytest.raises(UserError) as caught:
        checks.find("retrieval").read(str(folder), "test")
    first, second = caught.value.problems
    assert "line 5001: byte 0xE9" in first and "line 5002: holds a NUL" in second


def test_ids_with_spaces_are_read_from_between_tabs(folder):
    _lines(folder / "queries.jsonl", [{"_id": "q 1", "text": "question 1"}])
    data, notes = judged(folder, "q 1\t1\t1\n")
    assert data.relevant == {"q 1": {"1": 1.0}} and not notes


def test_test_judgements_do_not_pass_for_dev(folder):
    judged(folder, HEADER + "1\t1\t1\n")
    with pytest.raises(UserError, match=r"has only test\.tsv and no judgements for dev"):
        checks.find("retrieval").read(str(folder), "dev")


def test_dev_judgements_that_serve_for_test_are_told_loudly(folder):
    (folder / "qrels" / "dev.tsv").write_text(HEADER + "1\t1\t1\n")
    with reading() as log:
        assert checks.find("retrieval").read(str(folder), "test").relevant == {"1": {"1": 1.0}}
    assert len(log.notes) == 1 and log.notes[0].startswith("WARNING: ") and "used for test" in log.notes[0]


def test_counting_the_rows_of_a_folder_says_nothing_of_how_it_is_read(folder):
    judged(folder, HEADER + "1\t1\t1\n")
    with reading() as log:
        assert count_rows(folder) == 4
    assert not log.notes


def test_pairs_of_a_folder_are_those_of_its_training_split(folder):
    judged(folder, HEADER + "1\t1\t1\n")
    with pytest.raises(UserError, match=r"which is not there \(qrels: test\.tsv; dev and test are for checks\)"):
        read(folder, "pairs")
    (folder / "qrels" / "train.tsv").write_text(HEADER + "2\t2\t1\n2\t3\t0\n")
    assert read(folder, "pairs") == [Pair("question 2", "Title 2 passage 2", origin="beir")]
    with reading() as log:
        assert len(read(folder, "texts")) == 4
    assert "its queries and judgements serve as a check" in log.notes[0]
