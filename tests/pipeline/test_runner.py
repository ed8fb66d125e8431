import hashlib
import json
import shutil

import pytest

from adapt.errors import UserError, WorkFailed
from adapt.pipeline import plan
from adapt.pipeline.runner import run
from adapt.recipe import loading
from adapt.report import write_report
from adapt.results import LeakCounts, RunResult
from adapt.storage.store import Store


def weights(folder):
    return hashlib.sha256((folder / "model" / "model.safetensors").read_bytes()).hexdigest()


def states(file, out, *overrides, **options):
    lines = plan.make(loading.load(str(file), overrides), Store(out), **options).artifacts
    return {line.name: "cached" if line.cached else line.reason for line in lines}


def test_a_run_from_end_to_end(recipe_file, tmp_path):
    """One run looked at from all sides: it is made once, since every stage trains in it."""
    out = tmp_path / "run"
    events = []
    results = run(loading.load(str(recipe_file)), out, listener=events.append)

    # The folder holds what is promised.
    for name in ("model", "results.json", "recipe.lock.yaml"):
        assert (out / name).exists()
    assert RunResult.load(out) == results == RunResult.load(out / "results.json")
    assert [(row.after, row.gated) for row in results.dev] == [
        (None, False), ("tsdae", False), ("tsdae", True), ("cross-encoder", False), ("augment", False), ("augment", True),
        ("finetune", False), ("finetune", True),
    ]  # fmt: skip
    assert {row.metric for row in results.test} >= {"retrieval.ndcg@10", "sts.spearman"}
    assert results.target is not None and results.target.metric == "retrieval.ndcg@10"
    assert list(results.to_pandas().metric) == [row.metric for row in results.test]
    assert results.model_folder == out / "model" and "retrieval.ndcg@10" in repr(results)
    assert {e.kind for e in events} >= {"plan", "step", "progress", "note", "check", "verdict", "done"}

    # The model is an ordinary one.
    from sentence_transformers import CrossEncoder, SentenceTransformer

    vector = SentenceTransformer(str(out / "model"), device="cpu").encode("The heart.")
    assert vector.shape == (32,) and abs(float((vector**2).sum()) - 1) < 1e-5
    labeller = next(out.glob("cross-encoder-*")) / "model"
    assert 0 <= float(CrossEncoder(str(labeller), device="cpu").predict([("The heart.", "The kidney.")])[0]) <= 1

    # The report is one escaped file.
    html = write_report(out).read_text()
    assert "http://" not in html and "https://" not in html and "<script" not in html and "retrieval.ndcg@10" in html

    # A second run finds everything done, and a changed word reruns exactly what depends on it.
    assert set(states(recipe_file, out).values()) == {"cached"}
    changed = states(recipe_file, out, "stages.finetune.learning_rate=1e-4")
    assert {name for name, state in changed.items() if state != "cached"} == {"finetune", "gate-finetune"}
    assert changed["finetune"] == "learning_rate 5e-05 → 0.0001"
    changed = states(recipe_file, out, "stages.silver.pairs=10")
    assert {n for n, s in changed.items() if s != "cached"} == {
        "silver",
        "augment",
        "gate-augment",
        "mine",
        "finetune",
        "gate-finetune",
    }
    changed = states(recipe_file, out, fresh=["mine"])
    assert {n for n, s in changed.items() if s != "cached"} == {"mine", "finetune", "gate-finetune"}
    assert set(states(recipe_file, out, until="silver")) == {
        "data-texts", "data-gold", "data-pairs", "tsdae", "gate-tsdae", "cross-encoder", "silver",
    }  # fmt: skip
    with pytest.raises(UserError, match="no such step"):
        states(recipe_file, out, until="sliver")

    # Only the step that was asked for is done again, and the same recipe in another folder gives the same bits.
    before = weights(out)
    again = run(loading.load(str(recipe_file)), out, fresh=["finetune"])
    assert [step.id for step in again.steps if not step.cached] == ["finetune"]
    assert [gate.step for gate in again.gates if not gate.cached] == ["finetune"]
    run(loading.load(str(recipe_file)), tmp_path / "other")
    assert weights(out) == before == weights(tmp_path / "other")


def test_a_gate_that_stops_ends_the_run(recipe_file, tmp_path):
    with pytest.raises(WorkFailed, match="forgetting"):
        run(loading.load(str(recipe_file), ["gate.action=stop", "gate.guard={sts.spearman: 2.0}"]), tmp_path / "run", until="tsdae")


def test_a_gate_goes_back_where_a_guard_falls(recipe_file, tmp_path, embedder):
    overrides = ["gate.action=blend", "gate.guard={sts.spearman: 2.0}"]  # a budget that nothing can keep
    results = run(loading.load(str(recipe_file), overrides), tmp_path / "run", until="tsdae")
    (gate,) = results.gates
    assert gate.action == "reverted" and gate.trial.outcome == "forgetting"
    assert [trial.alpha for trial in gate.trials] == [1.0, 0.75, 0.5, 0.25]
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == (embedder / "model.safetensors").read_bytes()


def test_held_out_rows_are_removed_from_training(recipe_file, tmp_path, domain):
    leaked = json.loads((domain / "dev" / "corpus.jsonl").read_text().splitlines()[30])["text"]
    with open(domain / "texts.jsonl", "a") as file:
        file.write(json.dumps({"text": leaked.upper()}) + "\n" + json.dumps({"text": leaked + " And more."}) + "\n")
    results = run(loading.load(str(recipe_file)), tmp_path / "run", until="tsdae")
    texts = next(step for step in results.steps if step.id == "texts")
    assert (texts.counts["read"], texts.rows) == (32, 30)
    assert texts.leaks == LeakCounts(action="removed", counts={"exact": 1, "near_duplicate": 1}) and results.leaks_removed == 2


def test_leaks_stop_the_run_or_are_declared_where_asked(recipe_file, tmp_path, domain):
    leaked = json.loads((domain / "dev" / "corpus.jsonl").read_text().splitlines()[30])["text"]
    with open(domain / "texts.jsonl", "a") as file:
        file.write(json.dumps({"text": leaked}) + "\n")
    with pytest.raises(UserError) as caught:
        run(loading.load(str(recipe_file), ["data.leaks=stop"]), tmp_path / "run", until="tsdae")
    assert "1 of 31 rows" in caught.value.problems[0] and "row 31 → retrieval dev" in caught.value.problems[1]
    results = run(loading.load(str(recipe_file), ["data.leaks=allow"]), tmp_path / "run", until="tsdae")
    texts = next(step for step in results.steps if step.id == "texts")
    assert texts.rows == 31 and texts.leaks == LeakCounts(action="transductive", counts={"exact": 1})
    assert results.leaks_removed == 0 and results.leaks_allowed == 1


def test_a_killed_training_goes_on_to_the_same_weights(recipe_file, tmp_path, monkeypatch):
    from adapt.training import checkpoint, loop

    overrides = ["stages.tsdae.max_steps=6"]
    whole = run(loading.load(str(recipe_file), overrides), tmp_path / "whole", until="tsdae")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    saved = checkpoint.save
    count = []

    def dies_after_three(file, state):
        saved(file, state)
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", dies_after_three)
    with pytest.raises(KeyboardInterrupt):
        run(loading.load(str(recipe_file), overrides), tmp_path / "cut", until="tsdae")
    notes = []
    again = run(loading.load(str(recipe_file), overrides), tmp_path / "cut", until="tsdae", listener=lambda e: notes.append(e.text))
    assert any("resuming at step 3 of 6" in note for note in notes)
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert again.dev[1].metrics == whole.dev[1].metrics


def test_the_problems_of_all_files_are_told_before_any_work(recipe_file, tmp_path, domain):
    (domain / "gold.csv").write_text("sentence1,sentence2,score\na,b,7\n")
    (domain / "pairs.jsonl").write_text('{"anchor": "q"}\n')
    with pytest.raises(UserError) as caught:
        run(loading.load(str(recipe_file)), tmp_path / "run")
    said = "\n".join(caught.value.problems)
    assert len(caught.value.problems) == 2 and "gold.csv line 2" in said and "pairs.jsonl line 1" in said
    left = {p.name.split("-")[0] for p in (tmp_path / "run").iterdir()}
    assert left <= {"data", ".lock"}  # nothing half-made, nothing measured


def test_a_run_that_ends_early_does_not_touch_test_data(recipe_file, tmp_path):
    results = run(loading.load(str(recipe_file)), tmp_path / "run", until="tsdae")
    assert results.test == () and results.verdict.outcome == "unmeasured"
    assert not list((tmp_path / "run" / "measurements").glob("*-test-*"))


def test_text_with_markup_does_not_break_the_report(recipe_file, tmp_path, domain):
    shutil.copy(recipe_file, domain / "odd.yaml")
    text = (domain / "odd.yaml").read_text().replace("name: tiny", 'name: tiny\ndescription: "<b>[/b] & co"')
    (domain / "odd.yaml").write_text(text)
    run(loading.load(str(domain / "odd.yaml"), ["gate=null"]), tmp_path / "run", until="tsdae")
    html = write_report(tmp_path / "run").read_text()
    assert "<b>[/b]" not in html and "&lt;b&gt;[/b] &amp; co" in html


def test_the_smoke_recipe_carries_out_every_stage(embedder, tmp_path):
    assert loading.load("smoke").model == "all-MiniLM-L6-v2"  # thirty times the work of the small one, for the same flow
    results = run(loading.load("smoke", [f"model={embedder}"]), tmp_path / "run")
    assert [step.stage for step in results.steps if step.stage] == [
        "tsdae",
        "cross-encoder",
        "silver",
        "finetune",
        "mine",
        "finetune",
    ]
    assert results.test and results.speed.texts_per_second > 0


def test_shares_of_several_sources_come_from_the_recipe(recipe_file):
    file = recipe_file.with_name("shares.yaml")
    text = recipe_file.read_text().replace(
        "  - finetune: {max_steps: 2", "  - finetune: {examples: {pairs: 0.25, triplets: 0.75}, max_steps: 2"
    )
    file.write_text(text)
    step = loading.load(str(file)).steps[-1]
    assert (
        step.inputs["examples"] == ("pairs", "triplets") and step.stage.shares == (0.25, 0.75) and step.kinds["examples"] == "pairs"
    )


@pytest.mark.slow
def test_two_processes_train_one_model_that_is_the_model_of_one(recipe_file, tmp_path):
    """Gradients are added up over the processes, so only the order of additions differs."""
    import subprocess
    import sys

    import torch
    from safetensors.torch import load_file

    run(loading.load(str(recipe_file), ["stages.tsdae.retain=0"]), tmp_path / "one", until="tsdae")
    command = [sys.executable, "-m", "adapt", "run", str(recipe_file), "--out", str(tmp_path / "two"), "--nproc", "2"]
    quick = ["--until", "tsdae", "--set", "stages.tsdae.retain=0"]
    done = subprocess.run([*command, *quick], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("; base type: ") == 1  # one process speaks
    one, two = (load_file(tmp_path / out / "model" / "model.safetensors") for out in ("one", "two"))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


def test_a_recipe_that_harms_ends_in_worse_and_hands_the_base_over(recipe_file, tmp_path, domain, embedder):
    """Pairs whose answers were shuffled, trained on hard: what comes out is the base, and the verdict says so."""
    rows = [json.loads(line) for line in (domain / "pairs.jsonl").read_text().splitlines()]
    shuffled = [{**row, "positive": other["positive"]} for row, other in zip(rows, rows[7:] + rows[:7], strict=True)]
    (domain / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in shuffled))
    harm = ["stages=[{finetune: {examples: pairs, learning_rate: 1e-2, max_steps: 4}}]", "gate.guard={sts.spearman: 0.5}"]
    results = run(loading.load(str(recipe_file), [*harm, "gate.action=blend"]), tmp_path / "run")
    assert results.verdict.outcome == "worse" and not results.changed
    assert "reverted" in results.verdict.sentence and "sts.spearman fell" in results.verdict.sentence
    base = (embedder / "model.safetensors").read_bytes()
    assert (tmp_path / "run" / "model" / "model.safetensors").read_bytes() == base
    with pytest.raises(WorkFailed, match="forgetting"):
        run(loading.load(str(recipe_file), [*harm, "gate.action=stop"]), tmp_path / "stop")
    stopped = RunResult.load(tmp_path / "stop")
    assert stopped.verdict.outcome == "worse" and stopped.test == ()
    assert (tmp_path / "stop" / "model" / "model.safetensors").read_bytes() == base


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("gate.later={tsdae: tsdae}", "must come before"),
        ("gate.later={silver: finetune}", "must both make an encoder"),
        ("gate.later={nothing: finetune}", "has no step"),
        ("gate.transfer={elsewhere.ndcg: 1}", "names no check"),
        ("gate.grid=[0, 1]", "greater than 0"),
        ("checks.retrieval.role=golden", "is golden"),
        ("data.leaks=ignore", "allow, remove, stop"),
    ],
)
def test_a_wrong_gate_is_refused(recipe_file, override, message):
    with pytest.raises(UserError, match=message):
        loading.load(str(recipe_file), [override])


def test_a_metric_that_a_check_does_not_have_is_told_before_any_step(recipe_file, tmp_path):
    with pytest.raises(UserError, match=r"no metric 'ndcg@5'.*ndcg@10"):
        run(loading.load(str(recipe_file), ["gate.target=retrieval.ndcg@5"]), tmp_path / "run")
    with pytest.raises(UserError, match="no dev row has the topic 'heart'"):
        run(loading.load(str(recipe_file), ['gate.guard={"retrieval.ndcg@10[heart]": -0.1}']), tmp_path / "run")
