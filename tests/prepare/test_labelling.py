"""A sheet for a person to fill: which pairs stand in it, that it is safe to open, and that every slip in it is told."""

import csv
import random
from collections import Counter

import numpy as np
import pytest

from adapt import files
from adapt.checks.leakage import ProtectedTexts
from adapt.errors import UserError
from adapt.prepare.labelling import gold_file, select_pairs, sheet_file
from adapt.prepare.sheet import read_sheet, write_sheet
from adapt.records import ScoredPair, Text
from adapt.text.clean import normalised
from tests.conftest import sentence


@pytest.fixture
def texts():
    rng = random.Random(2)
    return [Text(str(i), sentence(rng, 8)) for i in range(200)]


def embed(texts):
    """Unit vectors of word counts: cosine is the share of words in common."""
    words = sorted({word for text in texts for word in normalised(text).split()})
    counts = np.array([[normalised(text).split().count(word) for word in words] for text in texts], dtype=np.float32)
    return counts / np.linalg.norm(counts, axis=1, keepdims=True)


def key(pair):
    return frozenset((normalised(pair.sentence1), normalised(pair.sentence2)))


def sheet_of(tmp_path, pairs, scores, between=","):
    """A sheet written, then filled in and saved again as a spreadsheet would."""
    write_sheet(pairs, tmp_path / "sheet.csv")
    with open(tmp_path / "sheet.csv", encoding="utf-8-sig", newline="") as file:
        header, *rows = csv.reader(file)
    for row, score in zip(rows, scores, strict=False):
        row[3] = score
    return save(tmp_path / "filled.csv", [header, *rows], between)


def save(path, rows, between=","):
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=between).writerows(rows)
    return path


def test_pairs_of_every_likeness_are_chosen_each_once_and_no_text_too_often(texts):
    chosen = select_pairs(texts, embed, pairs=50)
    assert len(chosen) == 50 == len(set(map(key, chosen)))
    assert max(Counter(side for p in chosen for side in (p.sentence1, p.sentence2)).values()) <= 2
    assert Counter(p.origin for p in chosen) == {"cosine": 30, "bm25": 10, "random": 10}
    assert str(select_pairs(texts, embed, pairs=50)) == str(chosen) != str(select_pairs(texts, embed, pairs=50, seed=14))
    spread = [float(a @ b) for p in chosen if p.origin == "cosine" for a, b in [embed([p.sentence1, p.sentence2])]]
    assert np.histogram(spread, bins=[-0.01, 0.15, 0.3, 0.45, 1])[0].min() >= 4  # at random seven of ten share nothing


def test_what_is_labelled_or_held_out_is_not_asked_again(texts):
    first = select_pairs(texts, embed, pairs=60)
    labelled = [ScoredPair(p.sentence2.upper(), p.sentence1, 0.5) for p in first]
    held = ProtectedTexts(dict.fromkeys((t.text for t in texts[:50]), "sts dev"))
    again = select_pairs(texts, embed, pairs=60, labelled=labelled, protected=held)
    assert len(again) == 60 and not set(map(key, again)) & set(map(key, first))
    barred = {normalised(t.text) for t in texts[:50]}
    assert not barred & {normalised(side) for p in again for side in (p.sentence1, p.sentence2)}


def test_long_texts_are_asked_about_by_sentence():
    rng = random.Random(3)
    long = [Text(str(i), " ".join(sentence(rng, 10) for _ in range(8))) for i in range(20)]
    assert all(len(side.split()) == 10 for p in select_pairs(long, embed, pairs=20) for side in (p.sentence1, p.sentence2))


def test_no_cell_is_a_formula_and_every_text_comes_back_as_it_was(tmp_path):
    nasty = [
        "=1+1",
        "+49 30 1234",
        "-5 mg",
        "@home",
        "'quoted' start",
        "''=2",
        'a "quote", and comma; semicolon',
        "ünïcödé 高血压",
        "tab\there",
    ]
    pairs = [ScoredPair(text, f"other {i}", float("nan"), "bm25") for i, text in enumerate(nasty)]
    how = write_sheet(pairs, tmp_path / "sheet.csv")
    assert "adapt label --read sheet.csv" in how.read_text() and (tmp_path / "sheet.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with open(tmp_path / "sheet.csv", encoding="utf-8-sig", newline="") as file:
        assert not [cell for row in csv.reader(file) for cell in row if cell[:1] in tuple("=+-@\t\r") and cell]
    for between in ",;\t":
        (tmp_path / "sheet.csv").unlink()
        found, _ = read_sheet(sheet_of(tmp_path, pairs, ["1"] * 9, between))
        assert [p.sentence1 for p in found] == [text.replace("\t", " ") for text in nasty]
    (tmp_path / "sheet.csv").unlink()
    rows = list(csv.reader(sheet_of(tmp_path, pairs, ["1"] * 9).read_text().splitlines()))
    dropped = [[cell.removeprefix("'") for cell in row] for row in rows]  # as some programs save it
    assert [p.sentence1 for p in read_sheet(save(tmp_path / "d.csv", dropped[:5]))[0]] == nasty[:4]


@pytest.mark.parametrize(
    ("scores", "scale", "wanted"),
    [
        (["0", "5", "2,5", "4."], "auto", [0, 1, 0.5, 0.8]),
        (["0", "1", ".5", "0.25"], "auto", [0, 1, 0.5, 0.25]),
        (["yes", "No", "Y", "no "], "auto", [1, 0, 1, 0]),
        (["1", "1", "0", "0"], "0-5", [0.2, 0.2, 0, 0]),
    ],
)
def test_scores_of_every_scale_become_0_to_1(tmp_path, scores, scale, wanted):
    pairs = [ScoredPair(f"text {i}", f"other {i}", float("nan")) for i in range(4)]
    found, unscored = read_sheet(sheet_of(tmp_path, pairs, scores), scale)
    assert [p.score for p in found] == pytest.approx(wanted) and not unscored


def test_every_problem_of_a_sheet_is_told_at_once_with_its_row(tmp_path):
    pairs = [ScoredPair(f"text {i}", f"other {i}", float("nan")) for i in range(6)]
    file = sheet_of(tmp_path, pairs, ["3", "6", "maybe", "-1", "2", "yes"])
    header, *rows = csv.reader(file.read_text().splitlines())
    rows[4][1] = "text changed"
    rows.append(rows[0])
    with pytest.raises(UserError) as told:
        read_sheet(save(file, [header, *rows]))
    places = [p.split("filled.csv ")[1].split(": ") for p in told.value.problems]
    assert [row for row, _ in places] == ["row 3", "row 4", "row 5", "row 6", "row 7", "row 8"]
    assert [what.split()[0] for _, what in places] == ["score", "score", "score", "the", "score", "is"]
    assert "a number from 0 to 5" in told.value.problems[0]


def test_sheets_that_are_none_or_empty_are_refused(tmp_path):
    pairs = [ScoredPair("text", "other", float("nan"))]
    with pytest.raises(UserError, match="no row has a score"):
        read_sheet(sheet_of(tmp_path, pairs, []))
    with pytest.raises(UserError, match="has no column id, score"):
        read_sheet(save(tmp_path / "x.csv", [["sentence1", "sentence2"], ["a", "b"]]))
    (tmp_path / "latin.csv").write_bytes("id,sentence1\nä".encode("latin-1"))
    with pytest.raises(UserError, match=r"row 2: byte 0xE4 .* is not UTF-8"):
        read_sheet(tmp_path / "latin.csv")
    with pytest.raises(UserError, match="already exists"):
        write_sheet(pairs, tmp_path / "sheet.csv")


def test_a_sheet_may_be_read_half_filled_and_again_when_more_is(tmp_path):
    pairs = [ScoredPair(f"text {i}", f"other {i}", float("nan")) for i in range(5)]
    said = gold_file(sheet_of(tmp_path, pairs, ["1", "", "4"]), tmp_path / "gold.csv")
    assert "3 rows (3, 5-6)" in said[1] and [p.score for p in files.read(tmp_path / "gold.csv", "scored")] == [0.2, 0.8]
    (tmp_path / "sheet.csv").unlink()
    assert len(gold_file(sheet_of(tmp_path, pairs, ["2", "3", "4", "5", "0"]), tmp_path / "gold.csv")) == 1
    found = files.read(tmp_path / "gold.csv", "scored")
    assert {p.sentence1: p.score for p in found} == {"text 0": 0.4, "text 2": 0.8, "text 1": 0.6, "text 3": 1.0, "text 4": 0.0}


def test_a_sheet_is_made_with_a_model_and_without_what_a_recipe_holds_out(domain, recipe_file, embedder, tmp_path):
    out = tmp_path / "sheet.csv"
    held = [side for p in files.read(domain / "sts-dev.csv", "scored") for side in (p.sentence1, p.sentence2)]
    fresh = [sentence(random.Random(i), 9) for i in range(60)]
    files.write([Text(str(i), text) for i, text in enumerate([*held, *fresh])], tmp_path / "mine.jsonl")
    said = sheet_file(
        str(tmp_path / "mine.jsonl"), out, model=str(embedder), recipe=str(recipe_file), pairs=20, listener=lambda event: None
    )
    with open(out, encoding="utf-8-sig", newline="") as file:
        asked = [row[name] for row in csv.DictReader(file) for name in ("sentence1", "sentence2")]
    assert "20 pairs to score" in said[0] and len(asked) == 40 and not set(asked) & set(held)
