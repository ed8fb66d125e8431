import pytest
import torch
import torch.nn.functional as F

from adapt.losses import linear_cross_entropy as room
from adapt.losses.linear_cross_entropy import linear_cross_entropy


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", [1, 7, 1_000])
def test_loss_and_gradients_equal_the_two_steps_apart(monkeypatch, rows, biased):
    monkeypatch.setattr(room, "ROWS", rows)
    torch.manual_seed(0)
    given = [torch.randn(40, 16), torch.randn(90, 16), torch.randn(90)][: 3 if biased else 2]
    mine, theirs = ([part.clone().requires_grad_() for part in given] for _ in range(2))
    targets = torch.randint(0, 90, (40,))
    states, weight, bias = (*mine, None)[:3]
    loss, wanted = linear_cross_entropy(states, weight, bias, targets), F.cross_entropy(F.linear(*theirs), targets)
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    (3 * loss).backward()
    (3 * wanted).backward()
    for left, right in zip(mine, theirs, strict=True):
        torch.testing.assert_close(left.grad, right.grad, atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        assert linear_cross_entropy(states, weight, bias, targets).item() == pytest.approx(wanted.item(), abs=1e-5)


def test_large_logits_do_not_overflow():
    states, weight = torch.full((2, 4), 100.0, requires_grad=True), torch.eye(4) * 100
    loss = linear_cross_entropy(states, weight, None, torch.tensor([0, 3]))
    assert loss.item() == pytest.approx(torch.tensor(4.0).log().item())
    loss.backward()
    assert states.grad.isfinite().all()


def test_in_bf16_products_are_rounded_and_the_loss_is_not():
    torch.manual_seed(0)
    states, weight, targets = torch.randn(30, 16, requires_grad=True), torch.randn(50, 16), torch.randint(0, 50, (30,))
    exact = linear_cross_entropy(states, weight, None, targets)
    rounded = linear_cross_entropy(states, weight, None, targets, torch.bfloat16)
    assert rounded.dtype == torch.float32 and 0 < abs(rounded.item() - exact.item()) < 0.02
