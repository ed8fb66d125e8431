"""A single stage: its result appears whole, and a killed run of it is resumed."""

import errno
import shutil

import pytest

from adapt import stages
from adapt.errors import UserError
from adapt.job import ignore_events
from adapt.pipeline.single_stage import run_stage
from adapt.training import loop

from ..operations import before_each


def test_a_killed_stage_goes_on_to_the_same_weights(domain, embedder, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    stage = stages.find("finetune")(batch_size=4)
    sources = {"model": str(embedder), "examples": str(domain / "pairs.jsonl")}
    run_stage(stage, sources, domain / "whole", 1, ignore_events)

    def interrupt(event):
        if event.kind == "progress" and event.data["done"] >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stage, sources, domain / "cut", 1, interrupt)
    assert not (domain / "cut").exists() and (domain / ".cut.work" / "checkpoint.pt").is_file()
    notes = []
    run_stage(stage, sources, domain / "cut", 1, lambda event: notes.append(event.text))
    assert any("resuming at step" in note for note in notes)
    same = [(domain / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert same[0] == same[1] and not list(domain.glob(".cut*"))


def test_the_rest_of_another_stage_is_not_gone_on_with(domain, embedder, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    sources = {"model": str(embedder), "examples": str(domain / "pairs.jsonl")}

    def interrupt(event):
        if event.kind == "progress" and event.data["done"] >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stage(stages.find("finetune")(batch_size=4), sources, domain / "out", 1, interrupt)
    notes = []
    run_stage(stages.find("finetune")(batch_size=4), sources, domain / "out", 2, lambda event: notes.append(event.text))
    assert not any("goes on" in note for note in notes)


def test_several_files_are_one_input(domain, embedder):
    import json

    (domain / "more.jsonl").write_text(
        "".join(json.dumps({"anchor": f"heart {i}", "positive": f"liver {i}"}) + "\n" for i in range(5))
    )
    sources = {"model": str(embedder), "examples": [str(domain / "pairs.jsonl"), str(domain / "more.jsonl")]}
    counts = run_stage(stages.find("finetune")(max_steps=1), sources, domain / "out", 1, ignore_events).counts
    assert counts["examples"] == 35


@pytest.mark.parametrize("out", ["pairs.jsonl", "link.jsonl", "./kept/../pairs.jsonl"])
def test_a_result_never_takes_the_place_of_its_input(domain, out):
    (domain / "link.jsonl").symlink_to(domain / "pairs.jsonl")
    (domain / "kept").mkdir()
    before = (domain / "pairs.jsonl").read_bytes()
    with pytest.raises(UserError, match="is the input; choose another output path"):
        run_stage(stages.find("pairs")(), {"texts": str(domain / "pairs.jsonl")}, domain / out, 1, ignore_events)
    assert (domain / "pairs.jsonl").read_bytes() == before


def test_a_model_never_takes_the_place_of_its_base_or_of_a_folder_around_its_data(domain, embedder):
    folder = domain / "base"
    shutil.copytree(embedder, folder)
    shutil.copy(domain / "pairs.jsonl", folder)
    stage = stages.find("finetune")(max_steps=1)
    for model, out in [(folder, folder), (embedder, folder), (folder, folder / "1_Pooling")]:
        with pytest.raises(UserError, match=r"is the input|a part of the input|holds the input"):
            run_stage(stage, {"model": str(model), "examples": str(folder / "pairs.jsonl")}, out, 1, ignore_events)
    assert (folder / "pairs.jsonl").is_file() and (folder / "1_Pooling" / "config.json").is_file()


def test_a_folder_that_only_looks_like_a_model_is_not_deleted(domain, embedder):
    project = domain / "project"
    project.mkdir()
    (project / "config.json").write_text("{}")  # as many programs have one
    (project / "thesis.txt").write_text("three weeks of work")
    sources = {"model": str(embedder), "examples": str(domain / "pairs.jsonl")}
    with pytest.raises(UserError, match="holds no model, and would be deleted"):
        run_stage(stages.find("finetune")(max_steps=1), sources, project, 1, ignore_events)
    assert (project / "thesis.txt").read_text() == "three weeks of work"


def test_a_result_is_there_only_when_all_that_belongs_beside_it_is(domain, embedder):
    stage = stages.find("mine")(negatives=1)
    sources = {"model": str(embedder), "pairs": str(domain / "pairs.jsonl")}
    run_stage(stage, sources, domain / "whole.jsonl", 1, ignore_events)
    beside = {file.name.removeprefix("whole.") for file in domain.glob("whole.*")} - {"jsonl"}
    assert {"suspected.csv", "hardest.csv"} <= beside
    for name in sorted(beside):

        def full(operation, name=name):
            if operation.startswith("os.rename") and operation.endswith(name):
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(OSError, match="No space left"), before_each(domain, full):
            run_stage(stage, sources, domain / "cut.jsonl", 1, ignore_events)
        assert not (domain / "cut.jsonl").exists()
    run_stage(stage, sources, domain / "cut.jsonl", 1, ignore_events)
    assert {file.name.removeprefix("cut.") for file in domain.glob("cut.*")} == beside | {"jsonl"}
