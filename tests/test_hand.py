"""A stage by hand: whole results only, and a killed one goes on."""

import pytest

from adapt import stages
from adapt.engine import training
from adapt.hand import run_stage
from adapt.job import silent


def test_a_killed_stage_goes_on_to_the_same_weights(domain, embedder, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    stage = stages.find("finetune")(batch_size=4)
    sources = {"model": str(embedder), "examples": str(domain / "pairs.jsonl")}
    run_stage(stage, sources, domain / "whole", 1, silent)

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
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
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
    counts = run_stage(stages.find("finetune")(max_steps=1), sources, domain / "out", 1, silent)
    assert counts["examples"] == 35
