import pytest
import torch

from adapt.errors import UserError, WorkFailed
from adapt.job import Job
from adapt.training.loop import EarlyStopping, ParameterGroup, _clip, _schedule, fit, trainable
from adapt.training.settings import OptimizerSettings, TrainingSettings


def line():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 1)


def test_the_learning_rate_rises_then_falls_after_the_frozen_share():
    rates = [_schedule(step, 20, warmup=0.2, frozen=0.5) for step in range(20)]
    assert rates[:10] == [0.0] * 10
    assert rates[10] == pytest.approx(0.5) and rates[11] == pytest.approx(1.0)
    assert rates[11:] == sorted(rates[11:], reverse=True) and rates[-1] > 0


def test_training_equals_plain_adamw_with_the_same_schedule(tmp_path):
    x, y = torch.randn(12, 4), torch.randn(12, 1)
    ours, theirs = line(), line()
    plan = [(0, [i, i + 1]) for i in range(0, 12, 2)]
    fit(
        ours, lambda epoch, rows, done: (ours(x[rows]) - y[rows]).square().mean(), plan, [ParameterGroup(trainable(ours), 0.1)],
        Job(work=tmp_path), label="t", unit="rows", settings=TrainingSettings(optimizer=OptimizerSettings(warmup_ratio=0.5)),
    )  # fmt: skip
    optimizer = torch.optim.AdamW(
        [{"params": [theirs.weight], "weight_decay": 0.01}, {"params": [theirs.bias], "weight_decay": 0.0}], lr=0.1
    )
    for step, (_, rows) in enumerate(plan):
        for group in optimizer.param_groups:
            group["lr"] = 0.1 * [1 / 3, 2 / 3, 1, 1, 2 / 3, 1 / 3][step]
        optimizer.zero_grad()
        (theirs(x[rows]) - y[rows]).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_loss_that_is_no_number_stops_training(tmp_path):
    module = line()
    with pytest.raises(WorkFailed, match="loss is nan at step 1 of 3"):
        fit(
            module, lambda *_: module.weight.sum() * float("nan"), [(0, [0])] * 3, [ParameterGroup(trainable(module), 0.1)],
            Job(work=tmp_path), label="t", unit="rows",
        )  # fmt: skip
    assert torch.isfinite(module.weight).all()


def test_cosine_falls_as_transformers_has_it_and_constant_stays():
    from transformers import get_cosine_schedule_with_warmup

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = get_cosine_schedule_with_warmup(optimizer, num_warmup_steps=4, num_training_steps=20)
    wanted = []
    for _ in range(20):
        wanted.append(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
    # Theirs begins at 0 and wastes a step; ours begins one step further up the same rise.
    ours = [_schedule(step, 20, 0.2, 0.0, "cosine") for step in range(20)]
    assert ours[:4] == pytest.approx([w + 0.25 for w in wanted[:4]]) and ours[4:] == pytest.approx(wanted[4:])
    assert {_schedule(step, 20, 0.2, 0.0, "constant") for step in range(4, 20)} == {1.0}


def test_early_stopping_keeps_the_best_weights(tmp_path):
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(0.0)
    asked = []

    def held_out():
        asked.append(module.weight.item())
        return abs(module.weight.item() - 0.3)  # the minimum lies on the way: training would walk past it

    fitted = fit(
        module, lambda *_: -module.weight.sum(), [(0, [0])] * 100, [ParameterGroup(trainable(module), 0.1)],
        Job(out=tmp_path, work=tmp_path), label="t", unit="rows",
        settings=TrainingSettings(optimizer=OptimizerSettings(warmup_ratio=0, weight_decay=0, lr_scheduler="constant")),
        early_stopping=EarlyStopping(held_out, every=1, patience=3),
    )  # fmt: skip
    assert module.weight.item() == pytest.approx(0.3, abs=1e-4) and fitted.steps == 6 == len(asked)


@pytest.mark.parametrize("watched", [False, True])
def test_a_run_cut_at_any_step_ends_in_the_same_weights(tmp_path, monkeypatch, watched):
    from adapt.training import loop

    x, y = torch.randn(12, 4), torch.randn(12, 1)
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)  # a checkpoint after every step

    def go(work, cut=None):
        module = torch.nn.Sequential(line(), torch.nn.Dropout(0.5))
        steps = 0

        def loss(epoch, rows, done):
            nonlocal steps
            steps += 1
            if steps == cut:
                raise KeyboardInterrupt
            return (module(x[rows]) - y[rows]).square().mean()

        held = EarlyStopping(lambda: (module(x) - y).square().mean().item(), every=2, patience=2) if watched else None
        work.mkdir(exist_ok=True)
        plan = [(0, [i, i + 1]) for i in range(0, 12, 2)] * 3
        fit(
            module,
            loss,
            plan,
            [ParameterGroup(trainable(module), 0.3)],
            Job(5, tmp_path, work),
            label="t",
            unit="rows",
            early_stopping=held,
        )
        return module.state_dict()

    whole = go(tmp_path / "whole")
    for cut in (2, 5):
        with pytest.raises(KeyboardInterrupt):
            go(tmp_path / f"cut{cut}", cut)
        resumed = go(tmp_path / f"cut{cut}")
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_fp16_is_refused_without_a_gpu(tmp_path):
    module = line()
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        fit(
            module, lambda *_: module.weight.sum(), [(0, [0])], [ParameterGroup(trainable(module), 0.1)], Job(work=tmp_path),
            label="t", unit="rows", settings=TrainingSettings(precision="fp16"),
        )  # fmt: skip


@pytest.mark.parametrize("size", [1e-4, 0.5, 0.999999, 1.0, 1.000001, 3.0, float("nan"), float("inf")])
def test_gradients_are_clipped_as_torch_clips_them(size):
    rng = torch.Generator().manual_seed(0)
    whole = torch.randn(40, generator=rng)
    whole *= size / whole.norm()
    found = []
    for clip in (_clip, torch.nn.utils.clip_grad_norm_):
        parameters = [torch.nn.Parameter(torch.zeros(20)) for _ in range(3)]  # the last has no gradient
        for parameter, part in zip(parameters, whole.clone().split(20), strict=False):
            parameter.grad = part.clone()
        clip(parameters, 1.0)
        found.append([p.grad for p in parameters[:2]])
        assert parameters[2].grad is None
    assert all(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) for a, b in zip(*found, strict=True))
