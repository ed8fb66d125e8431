"""A recipe's variants: sweeps, several seeds, a gate that judges after a later step, ablations."""

import pytest

from adapt.errors import UserError
from adapt.pipeline import plan
from adapt.pipeline.runner import run
from adapt.recipe import loading
from adapt.results import Ablation, RunResult
from adapt.storage.store import Store


def states(file, out, *overrides, **options):
    lines = plan.make(loading.load(str(file), overrides), Store(out), **options).artifacts
    return {line.name: "cached" if line.cached else line.reason for line in lines}


def test_a_sweep_takes_the_best_on_dev_and_leaves_test_to_the_winner(recipe_file, tmp_path):
    file = recipe_file.with_name("sweep.yaml")
    rates = "[1e-5, 3e-3]"
    file.write_text(recipe_file.read_text() + f"sweep: {{finetune: {{learning_rate: {rates}}}, mine: {{range-max: [20, 30]}}}}\n")
    loaded = loading.load(str(file), ["stages.tsdae.max_steps=1"])
    names = [line.name for line in plan.all_artifacts(loaded, Store(tmp_path / "run"))]
    assert names.count("tsdae") == 1 and names.count("mine") == 2 and names.count("finetune") == 4
    measured = []
    results = run(loaded, tmp_path / "run", listener=lambda event: measured.append(event.text))
    rows = results.sweep
    assert [tuple(row.settings.values()) for row in rows] == [(1e-5, 20), (1e-5, 30), (3e-3, 20), (3e-3, 30)]
    assert set(rows[0].settings) == {"finetune.learning_rate", "mine.range_max"}
    (chosen_trial,) = [row for row in rows if row.chosen]
    assert chosen_trial.value == max(row.value for row in rows)
    chosen = chosen_trial.settings
    settings = {step.id: step.settings for step in results.lock.steps}
    assert settings["finetune"]["learning_rate"] == chosen["finetune.learning_rate"]
    assert settings["mine"]["range_max"] == chosen["mine.range_max"]
    tested = {file.name for file in (tmp_path / "run" / "measurements").glob("retrieval-test-*")}
    assert len(tested) == 2  # base and winner, no other variant
    assert results.test


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("{fintune: {epochs: [1, 2]}}", "the recipe has no step 'fintune'. Did you mean 'finetune'"),
        ("{finetune: {epoch: [1, 2]}}", "no setting 'epoch'. Did you mean 'epochs'"),
        ("{finetune: {epochs: 2}}", "expected a list of values to try"),
        ("{finetune: {epochs: [1, 0]}}", "greater than or equal to 1|greater than 0"),
        ("{finetune: {loss: [mnrl, cosent]}}", "loss 'cosent' takes scored"),
        ("[finetune]", "'sweep' must be"),
    ],
)
def test_a_wrong_sweep_is_refused_before_any_work(recipe_file, sweep, message):
    file = recipe_file.with_name("sweep.yaml")
    file.write_text(recipe_file.read_text() + f"sweep: {sweep}\n")
    with pytest.raises(UserError, match=message):
        loading.load(str(file))


def test_seeds_give_the_spread(recipe_file, tmp_path):
    from adapt.pipeline.runner import run_seeds

    loaded = loading.load(str(recipe_file), [f"stages.{step}.max_steps=1" for step in ("tsdae", "augment", "finetune")])
    results = run_seeds(loaded, tmp_path / "run", 2)
    row = next(r for r in results.seeds if r.metric == "retrieval.mrr@10")
    own = next(r.delta for r in results.test if r.metric == "retrieval.mrr@10")
    assert list(row.deltas) == [3, 4] and row.deltas[3] == own
    first, second = row.deltas.values()
    assert row.mean == pytest.approx((first + second) / 2) and row.sd == pytest.approx(abs(first - second) / 2**0.5)
    assert RunResult.load(tmp_path / "run") == results and "Over 2 seeds" in results.verdict.sentence
    assert (tmp_path / "run" / "seeds" / "4" / "model" / "model.safetensors").is_file()
    bits = [(tmp_path / "run" / part / "model.safetensors").read_bytes() for part in ("model", "seeds/4/model")]
    assert bits[0] != bits[1]


def test_a_step_is_judged_after_a_later_one_with_it_and_without_it(recipe_file, tmp_path):
    overrides = ["gate.later={tsdae: augment}", "gate.guard={}"]
    lines = states(recipe_file, tmp_path / "run", *overrides)
    assert "gate-tsdae" not in lines
    results = run(loading.load(str(recipe_file), overrides), tmp_path / "run")
    (row,) = results.deferred
    assert row.step == "tsdae" and row.after == "augment"
    assert (results.step("tsdae") is not None) == row.kept
    # The branch that was not taken is there, too: its measurement stands among the files.
    assert len(list((tmp_path / "run").glob("augment-*"))) == 2
    assert row.kept == (row.trial.gain > 0)


def test_a_recipe_less_a_step_goes_on_with_what_is_there(recipe_file):
    from adapt.recipe import without

    recipe = loading.load(str(recipe_file))
    smaller, gone = without(recipe, "silver")
    assert gone == ["silver"]
    assert next(s for s in smaller.steps if s.id == "augment").inputs["examples"] == ("gold",)
    smaller, gone = without(recipe, "mine")
    assert gone == ["mine"] and smaller.steps[-1].inputs["examples"] == ("pairs",)
    assert without(recipe, "cross-encoder")[1] == ["cross-encoder", "silver"]
    assert without(recipe, "tsdae")[1] == ["tsdae"]


def test_ablation_leaves_each_step_out_from_the_cache(recipe_file, tmp_path):
    from adapt.pipeline.runner import ablate

    recipe = loading.load(str(recipe_file))
    found = ablate(recipe, tmp_path / "run", only=["augment", "finetune"])
    rows = found.rows
    assert [row.without for row in rows] == [("augment",), ("finetune",)] and not found.skipped
    assert {one.metric for one in rows[0].contributions} == {"retrieval.ndcg@10", "sts.spearman"}
    assert Ablation.model_validate_json((tmp_path / "run" / "ablation.json").read_text()) == found
    assert len(list((tmp_path / "run").glob("tsdae-*"))) == 1  # made once
    whole, less = (results.dev[-1].metrics for results in (
        run(recipe, tmp_path / "run", until="finetune"), run(recipe, tmp_path / "run", until="mine"),
    ))  # fmt: skip
    worth = next(one for one in rows[1].contributions if one.metric == "retrieval.ndcg@10")
    assert worth.delta == pytest.approx(whole["retrieval"]["ndcg@10"] - less["retrieval"]["ndcg@10"])
    with pytest.raises(UserError, match="no such step"):
        ablate(recipe, tmp_path / "run", only=["nothing"])
