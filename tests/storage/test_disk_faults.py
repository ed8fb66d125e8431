"""Every command that writes names the path that can't be written, exits with 2 and leaves things as they were."""

import os
import shutil
import sys

import pytest

from adapt import cli


def outcome(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["adapt", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["embed", "--model", "{model}", "--texts", "texts.jsonl", "--out", "file/vectors.npy"],
        ["hold-out", "--texts", "texts.jsonl", "--out", "file/held"],
        ["hold-out", "--texts", "texts.jsonl", "--out", "file"],
        ["init", "file", "--texts", "texts.jsonl", "--model", "{model}"],
        ["label", "--model", "{model}", "--texts", "texts.jsonl", "--out", "file/sheet.csv", "--pairs", "2"],
        ["tsdae", "--model", "{model}", "--texts", "texts.jsonl", "--out", "file/model"],
        ["tsdae", "--model", "{model}", "--texts", "texts.jsonl", "--out", "file", "--overwrite"],
        ["mine", "--model", "{model}", "--pairs", "pairs.jsonl", "--out", "file/triplets.jsonl"],
        ["mine", "--model", "{model}", "--pairs", "pairs.jsonl", "--out", "folder", "--overwrite"],
        ["tsdae", "--model", "{model}", "--texts", "texts.jsonl", "--out", "folder", "--overwrite"],
        ["tsdae", "--model", "{model}", "--texts", "texts.jsonl", "--out", ".", "--overwrite"],
        ["run", "recipe.yaml", "--out", "file"],
        ["run", "recipe.yaml", "--out", "file", "--dry-run"],
        ["run", "recipe.yaml", "--out", "file/run"],
        ["run", "recipe.yaml", "--out", ".", "--dry-run"],
        ["ablate", "recipe.yaml", "--out", "file"],
    ],
)
def test_a_file_where_a_folder_should_be_or_the_other_way_round(recipe_file, embedder, words, monkeypatch, capsys):
    here = recipe_file.parent
    monkeypatch.chdir(here)
    (here / "file").write_text("mine")
    (here / "folder").mkdir()
    (here / "folder" / "mine").write_text("mine")
    before = sorted(str(path) for path in here.rglob("*"))
    code, said = outcome([word.format(model=embedder) for word in words], monkeypatch, capsys)
    assert code == 2 and said.startswith("error: ") and "Traceback" not in said and len(said.splitlines()) == 1
    assert any(name in said for name in ("file", "folder", "--out .", "working directory"))
    assert (here / "file").read_text() == "mine" and sorted(str(path) for path in here.rglob("*")) == before


def test_a_fault_of_the_disk_anywhere_in_a_command_is_one_sentence(recipe_file, monkeypatch, capsys):
    import errno

    from ..operations import before

    fired = []

    def fail():
        fired.append(1)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    here, failed = recipe_file.parent, 0
    monkeypatch.chdir(here)
    words = ["hold-out", "--texts", "texts.jsonl", "--out", "held", "--queries", "2"]
    for place in range(40):
        fired.clear()
        monkeypatch.setattr(sys, "argv", ["adapt", *words])
        code, said = 0, ""
        with before(here, place, fail):
            try:
                cli.main()
            except SystemExit as ended:
                code = ended.code or 0
        said = capsys.readouterr().err
        if code == 0:  # nothing failed, or something that need not succeed: clearing away what is not there
            assert (here / "held" / "texts.jsonl").is_file()
            shutil.rmtree(here / "held")
            if not fired:
                break
            continue
        failed += 1
        assert code == 2 and len(said.splitlines()) == 1 and str(here) in said and "free there" in said
        assert not (here / "held").exists()
    assert not fired and failed > 8
