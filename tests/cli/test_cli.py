import csv
import itertools
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from adapt import stages
from tests.tiny import WORDS

HEAVY = ("torch", "transformers", "sentence_transformers", "scipy", "sklearn", "nltk", "datasets")


@pytest.mark.parametrize("args", [["--help"], ["recipes"], ["run", "smoke", "--dry-run"], ["tsdae", "--help"], ["init", "--help"]])
def test_light_commands_import_nothing_heavy(args):
    code = f"""
import sys
sys.argv = ['adapt', *{args!r}]
from adapt.cli import main
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip().endswith("HEAVY []"), done.stdout + done.stderr


def test_every_stage_is_a_command_with_every_setting_an_option(command):
    assert len(stages.names()) >= 8
    for word in stages.names():
        shown = command(word, "--help").out
        stage = stages.find(word)
        assert stage.example.split("--out")[0].strip()[:60] in " ".join(shown.split())
        for name in [*(option.name for option in stage.options()), *(want.name for want in stage.inputs()), "seed", "out"]:
            assert f"--{name.replace('_', '-')}" in shown


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["run", "medical-recip"], "Did you mean 'medical-recipe'"),
        (["rnu"], "Did you mean 'run'"),
        (["tsdae", "--model", "no-such-model", "--texts", "t.txt", "--out", "o"], "was not found. Searched: local folder"),
        (["check", "--model", "x"], "nothing to evaluate on"),
        (["report", "nowhere"], "holds no results.json"),
        (["init", "x"], "init needs data"),
        (["finetune", "--model", "m", "--examples", "e.csv", "--out", "o", "--epochs", "0"], "--epochs"),
        (["run", "smoke", "--nproc", "0"], "--nproc"),
    ],
)
def test_wrong_input_is_one_clear_message_and_exit_code_2(args, words, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    said = command(*args, exits=2).err
    assert words in said and "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_a_program(tmp_path):
    done = subprocess.run([sys.executable, "-m", "adapt", "rnu"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "Did you mean 'run'" in done.stderr and "Traceback" not in done.stderr


@pytest.fixture
def typed(domain, monkeypatch, command):
    """Carries out a command in the domain's folder, and gives what it printed."""
    monkeypatch.chdir(domain)
    return command


def test_the_stages_by_hand_then_check_compare_embed_and_search(domain, embedder, typed):
    """The whole chain typed by a person, file by file."""
    typed("tsdae", "--model", embedder, "--texts", "texts.jsonl", "--out", "speaks", "--max-steps", 1)
    typed("cross-encoder", "--model", "speaks", "--pairs", "gold.csv", "--out", "labeller", "--max-steps", 1)
    silver = ["--out", "silver.csv", "--gold", "gold.csv", "--sampling", "bm25", "--pairs", 10]
    typed("silver", "--texts", "texts.jsonl", "--cross-encoder", "labeller", *silver)
    dense = typed("silver", "--texts", "texts.jsonl", "--cross-encoder", "labeller", "--out", "s2.csv", exits=2)
    assert "sampling 'dense' needs an encoder" in dense.err and not (domain / "s2.csv").exists()
    typed("mine", "--pairs", "pairs.jsonl", "--corpus", "texts.jsonl", "--model", "speaks", "--out", "t.jsonl")
    all_kept = ["--out", "all.jsonl", "--max-share", "null", "--finders", "dense", "--negatives", 2]
    typed("mine", "--pairs", "pairs.jsonl", "--model", "speaks", *all_kept)
    assert all(
        row.keys() >= {"negative_1", "negative_2"} for row in map(json.loads, (domain / "all.jsonl").read_text().splitlines())
    )
    for examples, loss, out in (("silver.csv", "cosent", "one"), ("t.jsonl", "mnrl", "two")):
        typed("finetune", "--model", "speaks", "--examples", examples, "--loss", loss, "--out", out, "--max-steps", 1)
    assert "two: already exists" in typed("finetune", "--model", "speaks", "--examples", "t.jsonl", "--out", "two", exits=2).err
    wrong = typed("finetune", "--model", "speaks", "--examples", "silver.csv", "--out", "three", exits=2)
    assert "takes pairs or triplets, but examples are scored" in wrong.err
    left = {f.name for f in domain.iterdir()}
    assert "three" not in left and not any(name.startswith(".") for name in left)

    shown = json.loads(typed("check", "--model", "two", "--retrieval", "test", "--sts", "sts-test.csv", "--json").out)
    assert 0 <= shown["retrieval"]["ndcg@10"] <= 1 and -1 <= shown["sts"]["spearman"] <= 1
    alike = json.loads(typed("compare", "--model", "two", "--model", "two", "--sts", "sts-test.csv", "--json").out)
    assert alike[0]["delta"] == 0 and alike[0]["outcome"] == "same"
    judged = json.loads(typed("check", "--model", "labeller", "--sts", "sts-test.csv", "--json").out)
    assert -1 <= judged["sts"]["spearman"] <= 1
    assert "has no vectors" in typed("check", "--model", "labeller", "--retrieval", "test", exits=2).err

    typed("embed", "--model", "two", "--texts", "texts.jsonl", "--out", "v.npy")
    vectors = np.load(domain / "v.npy")
    assert vectors.shape == (30, 32) and np.allclose((vectors**2).sum(1), 1, atol=1e-5)
    first = json.loads((domain / "texts.jsonl").read_text().splitlines()[4])["text"]
    lines = typed("search", "--model", "two", "--corpus", "texts.jsonl", "--top", 3, first).out.splitlines()
    assert len(lines) == 3 and first[:40] in lines[0] and lines[0].startswith("1.000")


def test_a_synthetic_check_is_set_aside_and_a_sheet_comes_back_as_gold(domain, embedder, typed):
    said = typed("hold-out", "--texts", "texts.jsonl", "--out", "held", "--queries", 3).out
    assert "synthetic" in said and json.loads((domain / "held" / "card.json").read_text())["synthetic"] is True
    assert "already exists" in typed("hold-out", "--texts", "texts.jsonl", "--out", "held", exits=2).err
    shown = json.loads(typed("check", "--model", embedder, "--retrieval", "held", "--split", "dev", "--json").out)
    assert shown["retrieval"]["rows"] == 3

    typed("label", "--texts", "texts.jsonl", "--model", embedder, "--pairs", 6, "--out", "sheet.csv")
    with open(domain / "sheet.csv", newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert "no row has a score" in typed("label", "--read", "sheet.csv", "--out", "more.csv", exits=2).err
    with open(domain / "sheet.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows({**row, "score": number / 5} for number, row in enumerate(rows))
    typed("label", "--read", "sheet.csv", "--out", "more.csv")
    with open(domain / "more.csv", newline="") as file:
        assert [float(row["score"]) for row in csv.DictReader(file)] == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert "give either --texts" in typed("label", "--out", "x.csv", exits=2).err


def test_compare_says_whether_to_promote_by_its_exit_code(domain, embedder, typed):
    """The second model has no vector for any word of the domain, letters alone are known to it: it finds nothing."""
    from safetensors.torch import load_file, save_file

    broken = domain / "broken"
    shutil.copytree(embedder, broken)
    weights = load_file(broken / "model.safetensors")
    words = next(tensor for name, tensor in weights.items() if "word_embeddings" in name)
    words[5 : 5 + len(WORDS)] = 0
    save_file(weights, broken / "model.safetensors")
    deaf = domain / "deaf"
    shutil.copytree(broken, deaf)
    words[:] = 0
    save_file(weights, deaf / "model.safetensors")
    rows = [(text := json.loads(line)["text"], text, 1) for line in (domain / "texts.jsonl").read_text().splitlines()]
    rows += [(left[0], right[0], 0) for left, right in itertools.pairwise(rows)]
    with open(domain / "same.csv", "w", newline="") as file:
        csv.writer(file).writerows([("sentence1", "sentence2", "score"), *rows])
    assert "promote: " in typed("compare", "--model", embedder, "--model", embedder, "--promote", "--pairs", "same.csv").out
    assert "gives every text the same vector" in typed("check", "--model", "deaf", "--pairs", "same.csv", exits=2).err
    refused = typed("compare", "--model", embedder, "--model", "broken", "--promote", "--pairs", "same.csv", exits=1)
    assert "do not promote: pairs.ap" in refused.out


def test_two_models_are_compared_from_python(domain, embedder):
    import adapt as package

    found = package.compare(str(embedder), str(embedder), "sts", str(domain / "sts-test.csv"))
    assert found["sts.spearman"].delta == 0 and found["sts.spearman"].outcome == "same"


def test_the_public_names_are_what_they_say_and_stay_so():
    import adapt as package
    from adapt.pipeline import runner

    assert package.load_recipe("smoke").name == "smoke"
    assert callable(package.run) and package.run is not runner.run and callable(package.compare)
