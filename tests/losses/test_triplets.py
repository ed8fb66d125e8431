"""The triplet loss against sentence-transformers where it has the distance, the published example, and brute force."""

import math

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer import losses as theirs

from adapt.losses import triplets as ours

from .conftest import Given, features, same_value_and_gradients

THEIRS = {
    "squared": lambda x, y: (x - y).square().sum(1),  # sentence-transformers has none, but takes a callable
    "euclidean": theirs.TripletDistanceMetric.EUCLIDEAN,
    "cosine": theirs.TripletDistanceMetric.COSINE,
    "manhattan": theirs.TripletDistanceMetric.MANHATTAN,
}


def one_each(anchors, positives, negatives, kind, margin):
    rows = torch.arange(len(anchors))
    table = ours.distances(anchors, torch.cat([positives, negatives]), kind)
    return ours.triplet(table, rows, rows, rows + len(rows), margin)


@pytest.mark.parametrize("kind", THEIRS)
def test_triplet_equals_sentence_transformers_on_unit_vectors(vectors, kind):
    unit = [torch.nn.functional.normalize(v, dim=1) for v in vectors]
    other = theirs.TripletLoss(Given(), distance_metric=THEIRS[kind], triplet_margin=0.3)(features(unit), None)
    same_value_and_gradients(one_each(*vectors, kind, 0.3), other, vectors)


def at_squared_distance(distance):
    """A unit vector at that squared distance from (1, 0)."""
    cosine = 1 - distance / 2
    return torch.tensor([[cosine, math.sqrt(1 - cosine**2)]])


@pytest.mark.parametrize(("negative", "loss"), [(1.5, 0.0), (0.3, 0.4)])
def test_the_published_example_holds(negative, loss):
    """d(a, p) = 0.2, margin 0.5, squared distances."""
    anchor, positive = torch.tensor([[1.0, 0.0]]), at_squared_distance(0.2)
    assert ours.distances(anchor, positive).item() == pytest.approx(0.2, abs=1e-6)
    assert one_each(anchor, positive, at_squared_distance(negative), "squared", 0.5).item() == pytest.approx(loss, abs=1e-6)


def test_the_soft_margin_by_hand():
    table = torch.tensor([[0.2, 1.5], [0.9, 0.4]])
    found = ours.triplet(table, torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([1, 1]), None)
    assert found.item() == pytest.approx((math.log(1 + math.exp(-1.3)) + math.log(1 + math.exp(0.5))) / 2, abs=1e-6)


def test_distances_by_hand():
    left, right = torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    for kind, wanted in {"squared": [0, 2, 4], "euclidean": [0, 2**0.5, 2], "cosine": [0, 1, 2], "manhattan": [0, 2, 2]}.items():
        np.testing.assert_allclose(ours.distances(left, right, kind)[0], wanted, atol=1e-5)


def test_a_text_at_no_distance_has_finite_gradients():
    a = torch.randn(3, 4, requires_grad=True)
    for kind in THEIRS:
        assert torch.autograd.grad(one_each(a, a, -a, kind, 5.0), a)[0].isfinite().all()


@pytest.mark.parametrize("how", ["batch-hard", "semi-hard", "all"])
def test_triplets_of_a_batch_equal_brute_force(how):
    rng = np.random.default_rng(3)
    for trial in range(50):
        a, n = int(rng.integers(2, 9)), int(rng.integers(2, 12))
        table, target, allowed = rng.random((a, n)), rng.integers(0, n, a), rng.random((a, n)) < rng.random()
        wanted = []
        for i in range(a):
            fair = [j for j in range(n) if allowed[i, j] and j != target[i]]
            farther = [j for j in fair if table[i, j] > table[i, target[i]]]
            if how == "all":
                wanted += [(i, j) for j in fair]
            elif fair and how == "batch-hard":
                wanted.append((i, min(fair, key=lambda j: table[i, j])))
            elif fair:
                nearest_farther = min(farther, key=lambda j: table[i, j]) if farther else max(fair, key=lambda j: table[i, j])
                wanted.append((i, nearest_farther))
        rows, negatives = ours.in_batch(torch.tensor(table), torch.tensor(target), torch.tensor(allowed), how)
        assert list(zip(rows.tolist(), negatives.tolist(), strict=True)) == wanted, trial


def test_semi_hard_and_batch_hard_equal_sentence_transformers_with_a_class_for_each_pair():
    """Two texts of one class are a pair: each is the other's positive, all else negative."""
    torch.manual_seed(6)
    x = torch.nn.functional.normalize(torch.randn(8, 5), dim=1)
    partner, labels = torch.arange(8) ^ 1, torch.arange(8) // 2
    table = (x[:, None] - x[None, :]).square().sum(-1)
    own = torch.eye(8, dtype=torch.bool)
    for how, other in {"batch-hard": theirs.BatchHardTripletLoss, "semi-hard": theirs.BatchSemiHardTripletLoss}.items():
        rows, negatives = ours.in_batch(table, partner, ~own, how)
        mine = ours.triplet(table, partner, rows, negatives, 0.7)
        stock = other(Given(), distance_metric=lambda v: (v[:, None] - v[None, :]).square().sum(-1), margin=0.7)
        assert mine.item() == pytest.approx(stock(features([x]), labels).item(), abs=1e-5)


def test_a_batch_without_a_negative_has_no_loss_and_no_gradient():
    table = torch.rand(2, 2, requires_grad=True)
    rows, negatives = ours.in_batch(table, torch.tensor([0, 1]), torch.eye(2, dtype=torch.bool), "batch-hard")
    loss = ours.triplet(table, torch.tensor([0, 1]), rows, negatives, 0.3)
    assert loss.item() == 0 and torch.autograd.grad(loss, table)[0].abs().sum() == 0
