"""The options of commands that read data: rows skipped and kept, columns named, settings checked."""

import json

import pytest
from click.testing import CliRunner

from adapt.cli import cli
from adapt.errors import UserError


def run(*words):
    return CliRunner().invoke(cli, [str(word) for word in words])


def test_bad_rows_are_skipped_beside_what_a_command_writes(domain, embedder, tmp_path):
    (domain / "some.csv").write_text("Satz\nfever\nrash, pain\ncough\n")
    wanted = ("embed", "--model", embedder, "--texts", domain / "some.csv", "--out", tmp_path / "v.npy", "--column", "text=Satz")
    assert "line 3: has 2 fields, the header 1" in str(run(*wanted).exception)
    done = run(*wanted, "--on-bad-row", "skip")
    assert (
        done.exit_code == 0
        and "2 vectors" in done.output
        and f"1 bad rows skipped and written to {tmp_path / 'v.rejected.jsonl'}" in done.output
    )
    assert json.loads((tmp_path / "v.rejected.jsonl").read_text())["row"] == "rash, pain\n"


def test_options_that_can_not_be_right_are_refused(domain, embedder, tmp_path):
    wanted = ("embed", "--model", embedder, "--texts", domain / "texts.jsonl", "--out", tmp_path / "v.npy")
    for more, words in [
        (("--column", "text"), "--column text: write OURS=THEIRS"), (("--max-line-mb", "nan"), "--max-line-mb: "),
        (("--score-range", "5", "0"), "--score-range: "), (("--column", "txet=Satz"), "'txet' is not a known column"),
    ]:  # fmt: skip
        assert words in str(run(*wanted, *more).exception)


def test_an_output_that_can_not_be_written_is_told_before_a_model_is_opened(domain, embedder, monkeypatch):
    monkeypatch.setattr("adapt.models.lookup.find_model", lambda *_: 1 / 0)
    wanted = ("mine", "--pairs", domain / "pairs.jsonl", "--model", "no-model")
    for name, words in [
        ("t.json", "unknown file format"),
        ("t", "unknown file format"),
        ("t.txt", ".txt holds texts alone; triplets"),
    ]:
        assert words in str(run(*wanted, "--out", domain / name).exception)


def test_init_finds_the_language_and_warns_of_a_model_that_can_not_read(domain, embedder):
    things = "Mietvertrag Kredit Reise Rente Konto Zeugnis Pass Erbe Wagen Garten Schule Arzt".split()
    rows = [f"Wie lange gilt die Frist für {w}?,Die Frist ist nach der Kündigung für {w} nicht lang" for w in things]
    (domain / "de.csv").write_text("Frage,Antwort\n" + "\n".join(rows) + "\n")
    columns = ("--column", "anchor=Frage", "--column", "positive=Antwort")
    done = run("init", domain / "amt", "--pairs", domain / "de.csv", "--model", embedder, *columns)
    assert done.exit_code == 0 and "language: german" in done.output, done.output
    assert "mine: {retrievers: [bm25, dense], negatives: 4, language: german}" in (domain / "amt" / "recipe.yaml").read_text()
    rows = [f"合同{i}的期限是多久,期限一般为{i}周" for i in "一二三四五六七八九十"]
    (domain / "zh.csv").write_text("question,answer\n" + "\n".join(rows) + "\n")
    done = run("init", domain / "zh", "--pairs", domain / "zh.csv", "--model", embedder)
    assert "WARNING: pairs: 100% of the tokens are unknown to the model" in done.output


def test_init_takes_the_splits_of_a_beir_folder(domain, embedder):
    folder = domain / "dev"
    lines = (folder / "qrels" / "dev.tsv").read_text().splitlines()
    (folder / "qrels" / "test.tsv").write_text("\n".join([lines[0], *lines[1:3]]) + "\n")
    (folder / "qrels" / "train.tsv").write_text("\n".join([lines[0], *lines[3:]]) + "\n")
    done = run("init", domain / "shop", "--pairs", folder, "--model", embedder)
    assert done.exit_code == 0, done.output
    assert 'retrieval: {dev: "../dev", test: "../dev", role: target}' in (domain / "shop" / "recipe.yaml").read_text()


WRITERS = {  # commands that write a file or folder at --out, and the name there
    "embed": (("--texts", "texts.jsonl"), "v.npy"),
    "embed as parquet": (("--texts", "texts.jsonl"), "v.parquet"),
    "tsdae": (("--texts", "texts.jsonl", "--max-steps", 1), "model"),
    "pairs": (("--texts", "texts.jsonl", "--min-passage-words", 2), "pairs-made.jsonl"),
    "mine": (("--pairs", "pairs.jsonl"), "triplets.jsonl"),
    "finetune": (("--examples", "pairs.jsonl", "--max-steps", 1), "model"),
    "cross-encoder": (("--pairs", "gold.csv", "--max-steps", 1), "labeller"),
    "hold-out": (("--texts", "texts.jsonl", "--queries", 3), "held"),
    "label": (("--texts", "texts.jsonl", "--pairs", 5), "sheet.csv"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_no_command_replaces_an_existing_result_without_overwrite(domain, embedder, monkeypatch, name):
    monkeypatch.chdir(domain)
    options, out = WRITERS[name]
    word = name.split()[0]
    own = () if word in ("pairs", "hold-out") else ("--model", embedder)
    wanted = (word, *own, *options, "--out", domain / out)
    before = sorted(path.name for path in domain.iterdir())
    (domain / out).write_text("three weeks of work")
    refused = run(*wanted)
    assert isinstance(refused.exception, (UserError, NotADirectoryError)), refused.output
    assert (domain / out).read_text() == "three weeks of work"
    assert sorted(path.name for path in domain.iterdir()) == sorted([*before, out])
    (domain / out).unlink()
    assert run(*wanted).exit_code == 0
    again = run(*wanted)
    assert isinstance(again.exception, UserError) and out in str(again.exception)
    if word in ("hold-out", "label"):
        assert "already exists" in str(again.exception)
        return
    assert "already exists; choose another --out, or replace it with --overwrite" in str(again.exception)
    assert run(*wanted, "--overwrite").exit_code == 0


def test_the_former_name_of_overwrite_still_works_and_says_so(domain, embedder):
    wanted = ("mine", "--model", embedder, "--pairs", domain / "pairs.jsonl", "--out", domain / "t.jsonl")
    assert run(*wanted).exit_code == 0
    done = run(*wanted, "--force")
    assert done.exit_code == 0 and done.output.count("--force is now --overwrite; the old option still works") == 1


def test_instructions_of_a_sheet_do_not_replace_a_users_file(domain, embedder):
    how = domain / "sheet-how-to.txt"
    how.write_text("mine")
    done = run("label", "--model", embedder, "--texts", domain / "texts.jsonl", "--pairs", 5, "--out", domain / "sheet.csv")
    assert isinstance(done.exception, UserError) and how.read_text() == "mine" and not (domain / "sheet.csv").exists()


@pytest.mark.parametrize("query", ["", " ", "\t\n", "\u00a0\u2003"])
def test_an_empty_query_is_refused_before_anything_is_read(domain, query):
    done = run("search", "--model", "no-model", "--corpus", domain / "no-file.jsonl", query)
    assert isinstance(done.exception, UserError) and str(done.exception).startswith("the query is empty")
