"""What a run left is damaged: the same command says so and ends in the same model, and so does a later step that is done anew."""

import hashlib
import json
import random
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from adapt.cli import cli
from adapt.errors import UserError
from adapt.inference import embedding_cache
from adapt.models import lookup
from adapt.models.lookup import verify_weights
from adapt.pipeline import plan as planning
from adapt.pipeline import run_folder
from adapt.pipeline.runner import run
from adapt.recipe import loading
from adapt.report import write_report
from adapt.storage.store import Store

from .. import tiny_domain

STAGES = "stages=[{finetune: {id: first, examples: pairs, max_steps: 1}}, {finetune: {id: second, examples: pairs, max_steps: 1}}]"
LATER = f"{STAGES[:-3]}, learning_rate: 1e-4}}}}]"
WAYS = ("flip", "cut", "empty", "delete")


def weights(out):
    return hashlib.sha256((out / "model" / "model.safetensors").read_bytes()).hexdigest()


def hurt(file, way, rng):
    content = bytearray(file.read_bytes())
    if way == "delete":
        file.unlink()
        return
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes({"flip": content, "cut": content[: len(content) // 2], "empty": b""}[way])


@pytest.fixture(scope="module")
def ground(tmp_path_factory, embedder):
    """(recipe, finished run, weights of the run, weights with a later step done anew)"""
    root = tmp_path_factory.mktemp("damage")
    file = tiny_domain.recipe_file(tiny_domain.domain(root), embedder)
    run(loading.load(str(file), [STAGES]), root / "run")
    write_report(root / "run")
    shutil.copytree(root / "run", root / "later")
    run(loading.load(str(file), [LATER]), root / "later")
    return file, root / "run", weights(root / "run"), weights(root / "later")


def run_command(file, out, stages=STAGES):
    said = []
    run(loading.load(str(file), [stages]), out, listener=lambda e: said.append(f"{e.text} {e.data.get('reason', '')}"))
    return "\n".join(said)


@pytest.mark.parametrize("number", range(8))
def test_damage_anywhere_changes_no_result(ground, tmp_path, number):
    """Files at random, one in each way and folder; a step's own files and the model always among them."""
    file, whole, wanted, wanted_later = ground
    rng, out = random.Random(number), tmp_path / "run"
    shutil.copytree(whole, out)
    pattern = ["first-*/*.json", "first-*/model/*", "data-*/*", "gate-*/*", "measurements/*", "vectors/*/*/*", "model/*", "*.*"][
        number
    ]
    found = rng.choice(sorted(f for f in out.glob(pattern) if f.is_file()))
    way = WAYS[number % 4]
    hurt(found, way, rng)
    said = run_command(file, out) + run_command(file, out, LATER)
    assert weights(out) == wanted_later != wanted
    if not (found.parts[-2] == "measurements" or found.suffix == ".npy") or way != "delete":  # a cache may lose what it holds
        assert any(word in said for word in ("damaged", "has changed since", "bytes, not", "is missing")), (found, way)
    run_command(file, out)
    assert weights(out) == wanted


@pytest.mark.parametrize("way", ["flip", "cut", "empty"])
def test_every_damaged_segment_of_embeddings_is_named_by_the_next_run_whoever_asks_for_it(ground, tmp_path, way):
    file, whole, wanted, _ = ground
    rng, out = random.Random(1), tmp_path / "run"
    shutil.copytree(whole, out)
    segments = sorted(out.rglob("*.segment.npy"))
    assert len(segments) >= 3
    for segment in segments:
        hurt(segment, way, rng)
    listed = embedding_cache.damaged_segments(out / "vectors")
    assert listed == segments and all(segment.exists() for segment in segments)  # looking deletes nothing
    said = run_command(file, out)
    assert all(said.count(segment.name) == 1 for segment in segments) and weights(out) == wanted
    assert not embedding_cache.damaged_segments(out / "vectors") and "damaged" not in run_command(file, out)


def test_a_dry_run_that_verifies_names_damaged_embeddings(ground, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(ground[1], out)
    segment = sorted(out.rglob("*.segment.npy"))[0]
    hurt(segment, "flip", random.Random(2))
    dry = ["run", str(ground[0]), "--out", str(out), "--set", STAGES, "--dry-run"]
    for more, expected in (([], False), (["--verify"], True)):
        done = CliRunner().invoke(cli, [*dry, *more])
        plain = "".join(done.output.split())
        assert done.exit_code == 0 and (segment.name in plain and "isdamaged" in plain) is expected, done.output
    assert segment.exists()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "name", ["model/README.md", ".published.json", ".model.key", "report.md", "per_example.json", "results.json"]
)
def test_what_was_published_and_is_damaged_or_deleted_is_named(ground, tmp_path, name, way):
    out = tmp_path / "run"
    shutil.copytree(ground[1], out)
    hurt(out / name, way, random.Random(3))
    said = run_command(ground[0], out)
    told = [line for line in said.split("\n") if name.rpartition("/")[2] in line and "is written again" in line]
    assert len(told) == 1 and weights(out) == ground[2], said
    assert "is written again" not in run_command(ground[0], out) or name == "report.md"  # the command writes the report


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "\0"])
def test_small_files_that_are_cut_or_empty_never_block_a_folder(ground, tmp_path, content):
    file, whole, wanted, _ = ground
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    names = [".model.key", ".published.json", "per_example.json", "results.json", "model/receipt.json", "first-*/receipt.json"]
    for pattern in [*names, "measurements/*.json", "first-*/training.json"]:
        for found in out.glob(pattern):
            found.write_text(content)
    run_command(file, out)
    assert weights(out) == wanted and json.loads((out / "results.json").read_text())["digest"]


def test_a_published_model_that_is_damaged_is_refused_by_hand_and_made_whole_by_its_run(ground, tmp_path):
    file, whole, wanted, _ = ground
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    verify_weights(out / "model")
    (out / "model" / "README.md").write_text("a card of my own")
    verify_weights(out / "model")
    for model in (out / "model", next(out.glob("first-*")) / "model"):
        with open(model / "model.safetensors", "r+b") as opened:
            opened.truncate(1000)
        with pytest.raises(UserError, match=r"model.safetensors has 1,000 bytes"):
            verify_weights(model)
    said = run_command(file, out)
    assert weights(out) == wanted and "model: is damaged" in said and "damaged: model/model.safetensors has 1,000 bytes" in said
    verify_weights(out / "model")


def test_a_report_of_changed_results_is_refused(ground, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(ground[1], out)
    text = (out / "results.json").read_text()
    (out / "results.json").write_text(text.replace('"seed": 3', '"seed": 4', 1))
    with pytest.raises(UserError, match="has changed since"):
        write_report(out)


def test_a_base_in_a_pickle_is_handed_over_with_its_weights(ground, tmp_path, embedder):
    file, base = ground[0], tmp_path / "base"
    shutil.copytree(embedder, base)
    held = load_file(base / "model.safetensors")
    torch.save(held, base / "pytorch_model.bin")
    (base / "model.safetensors").unlink()
    back = ["gate.action=revert", "gate.guard={sts.spearman: 2.0}", f"model={base}", STAGES]
    results = run(loading.load(str(file), back), tmp_path / "run")
    assert not results.changed and not list((tmp_path / "run" / "model").rglob("*.bin"))
    handed = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert handed.keys() >= held.keys() and all(torch.equal(handed[name], held[name]) for name in held)


@pytest.mark.parametrize("out", [".", "", "..", "/", "~"])
def test_a_run_refuses_the_working_directory_and_those_above(ground, tmp_path, monkeypatch, out):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    from pathlib import Path

    with pytest.raises(UserError, match="a folder of its own"):
        run(loading.load(str(ground[0]), [STAGES]), Path(out))


@pytest.mark.parametrize("name", ["model/weights.bin", "report.html", "vectors/mine.npy", "results.json"])
def test_a_run_refuses_a_folder_with_files_that_no_run_has_written(ground, tmp_path, name):
    mine = tmp_path / "out" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("three weeks of work")
    with pytest.raises(UserError, match=name.partition("/")[0]):
        run(loading.load(str(ground[0]), [STAGES]), tmp_path / "out")
    assert mine.read_text() == "three weeks of work" and [p.name for p in (tmp_path / "out").iterdir()] == [name.partition("/")[0]]


def test_the_folder_of_a_run_is_its_own_whatever_is_lost_of_it(ground, tmp_path):
    for number, pattern in enumerate((".model.key", "*/receipt.json", ".lock", "*-*[0-9a-f]", "model")):
        out = tmp_path / str(number)
        shutil.copytree(ground[1], out)
        for found in out.glob(pattern):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
        run_folder.refuse_foreign(out)


def test_a_run_that_cannot_fit_is_refused_before_any_work(ground, tmp_path, monkeypatch):
    from adapt.storage import disk_errors

    free = {"bytes": 10**6}
    monkeypatch.setattr(disk_errors, "free_bytes", lambda path: free["bytes"])
    loaded = loading.load(str(ground[0]), [STAGES])
    with pytest.raises(UserError, match=r"the run needs about 5 MB .* and 1 MB are free"):
        run(loaded, tmp_path / "run")
    assert not [p for p in (tmp_path / "run").iterdir() if p.name != ".lock"]
    model = lookup.find_model(loaded.model, loaded.file.parent)
    lines = planning.all_artifacts(loaded, Store(tmp_path / "run"), None, ())
    kept, besides = run_folder.needed(loaded, model, lines, tmp_path / "run")
    assert besides == 8 * lookup.weight_bytes(model)  # two checkpoints: weights, two moments of AdamW, best weights so far
    for free["bytes"] in (kept + besides - 1, kept + besides):
        tight = "that a checkpoint may need besides are not there" in run_folder.require_room(
            loaded, model, lines, tmp_path / "run"
        )
        assert tight == (free["bytes"] < kept + besides)
    said = run_command(ground[0], tmp_path / "run")
    used = sum(f.stat().st_size for f in (tmp_path / "run").rglob("*") if f.is_file())
    assert "needs about" in said and 10**5 < used < 6 * 10**6
