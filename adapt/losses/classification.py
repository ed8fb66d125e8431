"""Classes of a pair of texts from their two vectors: natural language inference as SBERT learns it."""

from __future__ import annotations

import torch
import torch.nn.functional as F


class Classifier(torch.nn.Module):
    """Logits of (u, v, |u - v|): the head that SBERT trains on NLI and then throws away.

    Reimers & Gurevych (2019), https://arxiv.org/abs/1908.10084.
    """

    def __init__(self, width: int, classes: int = 3):
        super().__init__()
        self.width = width
        self.linear = torch.nn.Linear(3 * width, classes)

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """Logits [n, classes] of vectors [n, d]; shorter ones than `width` meet the first columns of each part's weights."""
        parts = self.linear.weight.unflatten(1, (3, self.width))  # type: ignore[no-untyped-call]
        parts = parts[:, :, : first.shape[1]]
        return F.linear(torch.cat([first, second, (first - second).abs()], dim=1), parts.flatten(1), self.linear.bias)


def softmax(classifier: Classifier, first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the classifier's logits. first, second [n, d]; labels [n], class indices."""
    return F.cross_entropy(classifier(first, second), labels)
