"""Vectors for the losses, and the comparison with sentence-transformers."""

import pytest
import torch


class Given(torch.nn.Module):
    """Stands in for a model whose sentence vectors are given."""

    def __init__(self, width=8):
        super().__init__()
        self.width = width

    def forward(self, features):
        return {"sentence_embedding": features["vectors"]}

    def get_embedding_dimension(self):
        return self.width

    device = torch.device("cpu")


def features(vectors):
    return [{"vectors": v} for v in vectors]


def same_value_and_gradients(mine, other, parameters):
    assert mine.item() == pytest.approx(other.item(), abs=1e-5)
    for a, b in zip(torch.autograd.grad(mine, parameters), torch.autograd.grad(other, parameters), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.fixture
def vectors():
    torch.manual_seed(4)
    return [torch.randn(6, 8, requires_grad=True) for _ in range(3)]
