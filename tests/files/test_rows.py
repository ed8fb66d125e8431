"""Rows that are no rows, and columns that are not ours: named, never guessed; skipped and counted where that is asked for."""

import json
from collections import Counter

import pytest

from adapt.errors import UserError
from adapt.files import ReadOptions, count_rows, read, reading
from adapt.records import Pair, ScoredPair, Triplet


def refused(source, kind, **options) -> list[str]:
    with reading(ReadOptions(**options)), pytest.raises(UserError) as caught:
        read(source, kind)
    return [problem.removeprefix(f"{source} ").removeprefix(f"{source}: ") for problem in caught.value.problems]


def written(tmp_path, text: str, name: str = "a.csv"):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path / name


# ---------------------------------------------------------------------------------------------- CSV and TSV


def test_surplus_and_missing_fields_are_told_by_line_with_what_was_seen(tmp_path):
    file = written(
        tmp_path, "anchor,positive\nwhat is flu, please,A virus\nwhat is gout,Arthritis\nwhat is a cold\n\nmumps,A disease\n"
    )
    assert refused(file, "pairs") == [
        "line 2: has 3 fields, the header 2; put quotes around a text with commas. Fields: what is flu;  please; A virus",
        "line 4: has 1 field, the header 2. Fields: what is a cold",
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('text\nfine\n"open\nnext\nlast\n', "line 3: a quote opens here and is never closed"),
        ('text,topic\n"a ""b"" c",x\n"said" he,y\n', "line 3: a quoted field goes on after its closing quote"),
        ('text\n"two\nlines"\n"open\n"closed"\n', "line 4: a quoted field goes on after its closing quote (closed on line 5)"),
    ],
)
def test_quotes_are_told_where_they_open(tmp_path, text, wanted):
    said = refused(written(tmp_path, text), "texts")
    assert len(said) == 1 and said[0].startswith(wanted)


def test_quoted_line_breaks_commas_and_doubled_quotes_are_text(tmp_path):
    file = written(tmp_path, 'text,topic\r\n"a, b\nc ""d""",x\r\nplain 5" tube,y\r\n')
    assert [t.text for t in read(file, "texts")] == ['a, b\nc "d"', 'plain 5" tube']
    assert count_rows(file) == 2


def test_a_name_that_stands_twice_is_refused(tmp_path):
    assert refused(written(tmp_path, "anchor,positive,positive\na,b,c\n"), "pairs")[0].startswith(
        "line 1: the header names 'positive' more than once"
    )


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('text\nThe 5" tube\n"Quoted start\nNext row\n', ['The 5" tube', '"Quoted start', "Next row"]),
        ('text\ttopic\n"Fine," she said\ta\n"No way\tb\n', ['"Fine," she said', '"No way']),
        ('text\ttopic\n"a ""quoted"" word"\tx\n"two\nlines"\ty\n', ['a "quoted" word', "two\nlines"]),
        ('text\n"first\nlast"\n', ['"first', 'last"']),  # every line is a whole row: nothing was quoted
    ],
)
def test_a_quote_in_a_tsv_is_a_character_unless_the_whole_file_is_quoted(tmp_path, text, wanted):
    assert [t.text for t in read(written(tmp_path, text, "a.tsv"), "texts")] == wanted


def test_other_delimiters_are_seen_in_the_header_and_said(tmp_path):
    with reading() as log:
        assert read(written(tmp_path, "question;answer\nwhy;so, that\n"), "pairs") == [Pair("why", "so, that")]
    assert len(log.notes) == 1 and "separated by semicolons" in log.notes[0]


def test_a_hostile_file_of_open_quotes_takes_linear_time(tmp_path):
    file = written(tmp_path, "text\n" + "a\n" * 3_000 + '"open\n' + "b\n" * 3_000)
    assert refused(file, "texts") == ["line 3002: a quote opens here and is never closed"]


# ---------------------------------------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"text": "a", "score": NaN}', "holds NaN"),
        ('{"text": "a", "score": -Infinity}', "holds -Infinity"),
        ('{"text": "a", "score": 1e999}', "holds the number 1e999"),
        ('{"text": "a", "n": ' + "9" * 5_000 + "}", "holds a whole number of 5,000 digits"),
        ('{"text": ' + "[" * 100_000 + "}", "is nested too deeply"),
        ('{"text": "half \\ud83d"}', "holds half a character"),
        ('{"text": "a", "text": "b"}', "has the key 'text' more than once"),
        ('{"text": "a", "meta": {"x": 1, "x": 2}}', "has the key 'x' more than once"),
        ('{"text": "a\\u0000b"}', "column 'text' holds a NUL character"),
        ('{"text": "a", "_id": "b\\u0000"}', "column '_id' holds a NUL character"),
        ('{"text": "\\u200b"}', "column 'text' holds no visible character"),
        ('{"text": null}', "column 'text' is null"),
        ('{"text": ["a"]}', "column 'text' holds list, expected text"),
        ('["a"]', "holds list, expected {column: value}"),
        ("{'text': 'a'}", "is not JSON"),
    ],
)
def test_json_that_is_no_row_is_named_with_its_line(tmp_path, line, words):
    file = written(tmp_path, f'{{"text": "good"}}\n{line}\n', "a.jsonl")
    said = refused(file, "texts")
    assert len(said) == 1 and said[0].startswith("line 2: ") and words in said[0] and len(said[0]) < 300


def test_an_emoji_escaped_as_a_pair_is_text(tmp_path):
    assert read(written(tmp_path, '{"text": "\\ud83d\\ude00"}\n', "a.jsonl"), "texts")[0].text == "😀"


def test_a_json_array_says_how_to_convert_it(tmp_path):
    assert "is a JSON array; write one object a line" in refused(written(tmp_path, '[{"text": "a"}]', "a.jsonl"), "texts")[0]
    assert "write one object a line" in refused(written(tmp_path, '[{"text": "a"}]', "a.json"), "texts")[0]


# ---------------------------------------------------------------------------------------------- columns


def test_columns_that_fit_nothing_are_told_once_with_what_would(tmp_path):
    said = refused(written(tmp_path, "Frage,Antwort\n" + "a,b\n" * 30), "pairs")
    assert len(said) == 1 and "columns are Frage, Antwort; expected columns 'anchor, positive'" in said[0] and "--column" in said[0]
    long = refused(written(tmp_path, f"{'how ' * 50}\t{'so ' * 50}\na\tb\n", "b.tsv"), "pairs")
    assert len(long) == 1 and len(long[0]) < 500 and "where the first line holds data" in long[0]


def test_columns_are_found_in_capitals_or_by_what_the_user_says(tmp_path):
    with reading() as log:
        assert read(written(tmp_path, "Question,ANSWER\na,b\n"), "pairs") == [Pair("a", "b")]
    assert "reads column 'Question' as 'question', 'ANSWER' as 'answer'" in log.notes[0]
    german = written(tmp_path, "Frage,Antwort\na,b\n", "de.csv")
    with reading(ReadOptions(columns={"anchor": "Frage", "positive": "Antwort"})):
        assert read(german, "pairs") == [Pair("a", "b")]
    assert "has no column 'Fragen'" in refused(german, "pairs", columns={"anchor": "Fragen"})[0]
    assert "'ancor' is not a known column. Did you mean 'anchor'?" in refused(german, "pairs", columns={"ancor": "Frage"})[0]


def test_a_label_or_score_beside_a_pair_decides(tmp_path):
    for name in ("label", "score"):
        rows = [{"query": "q", "answer": "right", name: 1}, {"query": "q", "answer": "wrong", name: 0}]
        file = written(tmp_path, "".join(json.dumps(row) + "\n" for row in rows), f"{name}.jsonl")
        left_out: Counter[str] = Counter()
        assert read(file, "pairs", left_out) == [Pair("q", "right")] and left_out == {"scored below 0.8": 1}
    with reading() as log:
        read(file, "pairs")
    assert log.notes == [f"{file}: 1 left out: scored below 0.8"]
    odd = written(tmp_path, '{"query": "q", "answer": "a", "label": "dosing"}\n', "odd.jsonl")
    assert refused(odd, "pairs") == ["line 1: score 'dosing' is not a number"]


def test_columns_that_are_not_used_are_named(tmp_path):
    with reading() as log:
        read(written(tmp_path, "anchor,positive,negative,url,label\na,b,c,d,1\n"), "triplets")
    assert log.notes == [f"{tmp_path / 'a.csv'}: columns not used: label: a label changes nothing here"]


def test_lists_of_positives_and_negatives_are_read(tmp_path):
    file = written(tmp_path, json.dumps({"query": "q", "pos": ["a", "b"], "neg": ["c", "d"]}) + "\n", "flag.jsonl")
    assert read(file, "triplets") == [Triplet("q", "a", ("c", "d")), Triplet("q", "b", ("c", "d"))]
    with reading() as log:
        assert read(file, "pairs") == [Pair("q", "a"), Pair("q", "b")]
    assert "columns not used: neg" in log.notes[0]


def test_scores_are_in_a_range_that_is_declared_or_refused(tmp_path):
    file = written(tmp_path, "sentence1,sentence2,score\na,b,4\nc,d,0.5\n")
    said = refused(file, "scored")
    assert len(said) == 1 and said[0].startswith("line 2: score 4 is outside 0 to 1") and "score_range: [0, 5]" in said[0]
    with reading(ReadOptions(score_range=(0, 5))):
        assert read(file, "scored") == [ScoredPair("a", "b", 0.8), ScoredPair("c", "d", 0.1)]
    assert refused(file, "scored", score_range=(0, 3)) == ["line 2: score 4 is outside 0 to 3"]


# ---------------------------------------------------------------------------------------------- bad rows


def test_bad_rows_are_skipped_counted_and_kept(tmp_path):
    lines = ['{"text": "good"}', '{"text": null}', "no json", '{"other": 1}', '{"text": "good too"}', '{"text": "caf\xe9"}']
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode("latin-1"))
    assert len(refused(tmp_path / "a.jsonl", "texts")) == 4
    with reading(ReadOptions(on_bad_row="skip")) as log:
        assert [t.text for t in read(tmp_path / "a.jsonl", "texts")] == ["good", "good too"]
    log.write_rejected(tmp_path / "rejected.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [row["where"].rpartition(" ")[2] for row in rows] == ["2", "3", "4", "6"] and log.rejections == 4
    assert rows[1]["row"] == "no json\n" and "\\xe9" in rows[3]["row"] and all(row["why"] for row in rows)
    assert log.notes == [f"{tmp_path / 'a.jsonl'}: 4 bad rows skipped"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.jsonl", "rejected.jsonl"]


def test_a_file_of_bad_rows_alone_is_refused_even_where_they_are_skipped(tmp_path):
    file = written(tmp_path, '{"text": null}\n{"text": ""}\n', "a.jsonl")
    assert "Skipped: 2 bad rows" in refused(file, "texts", on_bad_row="skip")[0]


def test_the_same_problem_of_many_rows_is_said_once(tmp_path):
    file = written(tmp_path, '{"text": "a"}\n' + '{"text": ""}\n' * 50 + '{"text": null}\n', "a.jsonl")
    assert refused(file, "texts") == [
        "line 2 and 49 more rows, up to line 51: column 'text' is empty", "line 52: column 'text' is null",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_line_mb": 0},
        {"max_cell_mb": float("nan")},
        {"score_range": (5, 0)},
        {"score_range": (0, float("inf"))},
        {"on_bad_row": "x"},
    ],
)
def test_options_that_can_not_be_right_are_refused(wrong):
    with pytest.raises(ValueError):
        ReadOptions(**wrong)
