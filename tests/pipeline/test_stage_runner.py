"""A training that diverged is never committed or cached, wherever its numbers stopped being finite; the next try starts anew."""

import json
import shutil

import numpy as np
import pytest
import torch

from adapt import stages
from adapt.errors import WorkFailed
from adapt.job import Job, ignore_events
from adapt.pipeline.single_stage import run_stage
from adapt.records import Encoder
from adapt.training import validation as after
from tests.models import damages

STEPS = 3


def poisoned(monkeypatch, where: str, at: int) -> None:
    """Have the loss, the gradients or the weights of one step of every training be NaN."""
    from adapt.training import loop

    fit = loop.fit

    def spoiled(module, loss, plan, groups, job, **more):
        step = {"now": -1}

        def changed(epoch, rows, done):
            step["now"] = step["now"] + 1 if torch.is_grad_enabled() else step["now"]
            found = loss(epoch, rows, done)
            value, *rest = found if isinstance(found, tuple) else (found,)
            if torch.is_grad_enabled() and step["now"] == at:
                if where == "loss":
                    value = value * float("nan")
                if where == "gradient":
                    value.register_hook(lambda slope: slope * float("nan"))
                if where == "weights":
                    next(p for p in module.parameters() if p.requires_grad).data.view(-1)[:1] = float("nan")
            return (value, *rest) if rest else value

        return fit(module, changed, plan, groups, job, **more)

    monkeypatch.setattr(loop, "fit", spoiled)


@pytest.mark.parametrize("at", [0, 1, STEPS - 1])
@pytest.mark.parametrize("where", ["loss", "gradient", "weights"])
def test_what_diverges_fails_by_name_and_leaves_nothing(where, at, embedder, domain, monkeypatch):
    stage = stages.find("finetune")(max_steps=STEPS, batch_size=8, epochs=3)
    sources = {"model": str(embedder), "examples": [str(domain / "pairs.jsonl")]}
    with monkeypatch.context() as patched:
        poisoned(patched, where, at)
        with pytest.raises(WorkFailed, match=r"finetune mnrl: .* (nan|not finite)|not finite after step 3 of 3"):
            run_stage(stage, sources, domain / "tuned", 13, ignore_events)
    assert not (domain / "tuned").exists() and not list(domain.glob(".tuned*"))
    run_stage(stage, sources, domain / "tuned", 13, ignore_events)
    assert (domain / "tuned" / "model.safetensors").is_file()


def test_a_step_that_diverged_is_done_again_and_nothing_of_it_is_cached(recipe_file, monkeypatch, tmp_path):
    from adapt.pipeline.runner import run
    from adapt.recipe import loading

    text = recipe_file.read_text()
    recipe_file.write_text(text[: text.index("stages:")] + "stages: [{finetune: {max_steps: 2, batch_size: 8}}]\n")
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        poisoned(patched, "gradient", 1)
        for _ in range(2):
            with pytest.raises(WorkFailed, match="not finite after step 2 of 2"):
                run(loading.load(str(recipe_file)), out)
            assert not list(out.glob("finetune-*")) and not (out / "model").exists()
    found = run(loading.load(str(recipe_file)), out)
    assert not found.step("finetune").cached


def test_a_model_that_collapsed_or_lost_its_weights_is_not_committed(embedder, tmp_path):
    texts = [f"the {a} of a {b}" for a in ("heart", "lung", "skin", "bone") for b in ("nurse", "doctor", "child", "adult")]
    after.made(Encoder(embedder), embedder, texts, "step", Job())
    near = tmp_path / "near"
    shutil.copytree(embedder, near)

    def flat(found):  # all words and places nearly as one: finite, different, and of no use
        for name, tensor in found.items():
            if "embeddings." in name and tensor.ndim == 2:
                middle = tensor.mean(0, keepdim=True)
                found[name] = middle + 1e-3 * (tensor - middle)
        return found

    damages.weights(flat)(near)
    with pytest.raises(WorkFailed, match=r"step: the model that training made can't be used: .*(collapsed|same vector)"):
        after.made(Encoder(near), embedder, texts, "step", Job())
    damages.filled(float("inf"), "layer.1.output.dense.weight", share=True)(near)
    with pytest.raises(WorkFailed, match="NaN or infinity"):
        after.made(Encoder(near), None, texts, "step", Job())


def test_the_loss_after_the_last_update_and_held_out_losses_must_be_finite():
    module = torch.nn.Linear(2, 2)
    after.after_last_update(module, "x", 1, 1, lambda: 0.5, [0.1])
    with pytest.raises(WorkFailed, match="x: not finite after step 1 of 2: the loss is nan"):
        after.after_last_update(module, "x", 1, 2, lambda: float("nan"))
    with pytest.raises(WorkFailed, match="a held-out loss is inf"):
        after.after_last_update(module, "x", 1, 2, lambda: 0.5, [0.1, float("inf")])


def test_undefined_figures_are_unmeasured_for_gate_and_promotion(tmp_path):
    from adapt import checks
    from adapt.checks.statistics import compare
    from adapt.pipeline import gate, verdict
    from adapt.pipeline.comparison import compare_models
    from adapt.recipe import GateSpec
    from adapt.records import ScoredPair

    class Scores:
        def __init__(self, values):
            self.values = values

        def score(self, pairs):
            return self.values

    rows = [ScoredPair(f"a {i}", f"b {i}", i / 20) for i in range(20)]
    sts = checks.find("sts")
    good, flat, broken = (
        sts.measure(rows, Scores(values)) for values in (np.arange(20) / 20, 0.7 + 1e-9 * np.arange(20), np.full(20, np.nan))
    )
    assert good.metrics["spearman"] == pytest.approx(1)
    for other in (flat, broken):
        assert all(np.isnan(other.metrics[name]) for name in ("spearman", "pearson"))
        assert compare("spearman", good, other).outcome() == "unmeasured"
        shown = compare_models({"sts": good}, {"sts": other}, {})
        assert not verdict.promotion(shown, {"sts": "spearman"}).promote
        assert "unmeasured: sts.spearman" in verdict.promotion(shown, {"sts": "spearman"}).sentence
        spec = GateSpec(target="sts.spearman", action="revert")
        found = gate.judge(spec, {"sts": good}, {"sts": good}, {"sts": other})
        assert found.outcome == "unmeasured" and not found.passes
        assert gate.choose(spec, lambda share, found=found: found)[0] == 0.0
    constant = sts.measure([ScoredPair(f"a {i}", f"b {i}", 0.5) for i in range(20)], Scores(np.arange(20) / 20))
    assert np.isnan(constant.metrics["spearman"]) and json.dumps(constant.metrics)
