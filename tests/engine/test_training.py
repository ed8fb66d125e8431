import pytest
import torch

from adapt.engine.training import Group, _rate, fit, trainable
from adapt.errors import WorkFailed
from adapt.job import Job


def line():
    torch.manual_seed(0)
    return torch.nn.Linear(4, 1)


def test_the_learning_rate_rises_then_falls_after_the_frozen_share():
    rates = [_rate(step, 20, warmup=0.2, frozen=0.5) for step in range(20)]
    assert rates[:10] == [0.0] * 10
    assert rates[10] == pytest.approx(0.5) and rates[11] == pytest.approx(1.0)
    assert rates[11:] == sorted(rates[11:], reverse=True) and rates[-1] > 0


def test_training_equals_plain_adamw_with_the_same_schedule(tmp_path):
    x, y = torch.randn(12, 4), torch.randn(12, 1)
    ours, theirs = line(), line()
    plan = [(0, [i, i + 1]) for i in range(0, 12, 2)]
    fit(
        ours, lambda epoch, rows, done: (ours(x[rows]) - y[rows]).square().mean(), plan, [Group(trainable(ours), 0.1)],
        Job(work=tmp_path), label="t", unit="rows", warmup=0.5,
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
            module, lambda *_: module.weight.sum() * float("nan"), [(0, [0])] * 3, [Group(trainable(module), 0.1)],
            Job(work=tmp_path), label="t", unit="rows",
        )  # fmt: skip
    assert torch.isfinite(module.weight).all()
