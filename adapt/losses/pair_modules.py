"""The losses on two texts and a label as modules for sentence-transformers' own trainer; see `adapt.losses.modules`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

from sentence_transformers import SentenceTransformer
from torch import Tensor

from adapt.losses import classification, similarity
from adapt.losses.modules import EmbeddingLoss, Features, Setting

MATCH = 0.5  # a label of this and more means that two texts match


class _PairLoss(EmbeddingLoss):
    """A loss on two texts and a label. Columns: sentence1, sentence2."""

    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        if len(embeddings) != 2:
            raise ValueError(f"{type(self).__name__} takes two columns of text and labels (got {len(embeddings)} columns)")
        return self.of_pairs(embeddings[0], embeddings[1], labels.view(len(embeddings[0])))

    @abstractmethod
    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """The loss of pairs with embeddings [n, d] each and labels [n]."""


class CoSENTLoss(_PairLoss):
    """Cosines in the order of the scores: log(1 + Σ exp(scale · (cos_j - cos_i))) over rows with score_i > score_j.

    Columns: sentence1, sentence2; labels: scores. Su (2022), https://kexue.fm/archives/8847.
    """

    paper = """@online{su2022cosent,
    title={CoSENT: A more efficient sentence vector scheme than Sentence-BERT},
    author={Jianlin Su}, year={2022}, url={https://kexue.fm/archives/8847}
}"""

    def __init__(self, model: SentenceTransformer, scale: float = 20.0):
        super().__init__(model)
        self.scale = scale

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return similarity.cosent(first, second, labels, self.scale)

    def get_config_dict(self) -> dict[str, Setting]:
        return {"scale": self.scale}


class AnglELoss(CoSENTLoss):
    """`CoSENTLoss` on the angle of complex vectors. Li & Li (2023), https://arxiv.org/abs/2309.12871."""

    paper = """@misc{li2023angleoptimized,
    title={AnglE-optimized Text Embeddings}, author={Xianming Li and Jing Li}, year={2023},
    eprint={2309.12871}, archivePrefix={arXiv}
}"""

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return similarity.angle(first, second, labels, self.scale)


_SBERT = """@inproceedings{reimers2019sentence,
    title={Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks},
    author={Nils Reimers and Iryna Gurevych}, booktitle={EMNLP}, year={2019}, url={https://arxiv.org/abs/1908.10084}
}"""


class CosineSimilarityLoss(_PairLoss):
    """Mean squared difference between cosine and label. Columns: sentence1, sentence2; labels: scores."""

    paper = _SBERT

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return similarity.cosine_mse(first, second, labels.to(first.dtype))


class ContrastiveLoss(_PairLoss):
    """½ d² for pairs that match and ½ max(0, margin - d)² for the others, d = 1 - cosine.

    Columns: sentence1, sentence2; labels: 0.5 and more is a match. Hadsell, Chopra & LeCun (2006), doi 10.1109/CVPR.2006.100.
    """

    paper = """@inproceedings{hadsell2006dimensionality,
    title={Dimensionality Reduction by Learning an Invariant Mapping},
    author={Raia Hadsell and Sumit Chopra and Yann LeCun}, booktitle={CVPR}, year={2006}
}"""

    def __init__(self, model: SentenceTransformer, margin: float = 0.5):
        super().__init__(model)
        self.margin = margin

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return similarity.contrastive(first, second, labels >= MATCH, self.margin)

    def get_config_dict(self) -> dict[str, Setting]:
        return {"margin": self.margin}


class OnlineContrastiveLoss(ContrastiveLoss):
    """`ContrastiveLoss` on the hard pairs of the batch; other than in sentence-transformers divided by the batch size."""

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return similarity.online_contrastive(first, second, labels >= MATCH, self.margin)


class SoftmaxLoss(_PairLoss):
    """Classes of (u, v, |u - v|), as Sentence-BERT learns natural language inference. labels: class numbers."""

    paper = _SBERT

    def __init__(self, model: SentenceTransformer, num_labels: int = 3):
        super().__init__(model)
        self.classifier = classification.Classifier(model.get_embedding_dimension() or 0, num_labels).to(model.device)

    def of_pairs(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        return classification.softmax(self.classifier, first, second, labels)
