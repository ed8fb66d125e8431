"""The options of commands that read data: rows skipped and kept, columns named, settings checked."""

import json

from click.testing import CliRunner

from adapt.cli import cli


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
        and f"1 bad rows skipped; they are in {tmp_path / 'v.rejected.jsonl'}" in done.output
    )
    assert json.loads((tmp_path / "v.rejected.jsonl").read_text())["row"] == "rash, pain\n"


def test_options_that_can_not_be_right_are_refused(domain, embedder, tmp_path):
    wanted = ("embed", "--model", embedder, "--texts", domain / "texts.jsonl", "--out", tmp_path / "v.npy")
    for more, words in [
        (("--column", "text"), "--column text: write OURS=THEIRS"), (("--max-line-mb", "nan"), "--max-line-mb: "),
        (("--score-range", "5", "0"), "--score-range: "), (("--column", "txet=Satz"), "'txet' is no column that is read"),
    ]:  # fmt: skip
        assert words in str(run(*wanted, *more).exception)


def test_an_output_that_can_not_be_written_is_told_before_a_model_is_opened(domain, embedder, monkeypatch):
    monkeypatch.setattr("adapt.models.locate", lambda *_: 1 / 0)
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
    assert "mine: {finders: [bm25, dense], negatives: 4, language: german}" in (domain / "amt" / "recipe.yaml").read_text()
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
