"""The losses as modules for sentence-transformers' own trainer, under the names that they have there.

`forward(sentence_features, labels)` takes a batch's columns in the order of the data set, as sentence-transformers' losses do:

>>> from sentence_transformers import SentenceTransformerTrainer  # doctest: +SKIP
>>> loss = adapt.losses.MultipleNegativesRankingLoss(model)  # doctest: +SKIP
>>> SentenceTransformerTrainer(model=model, train_dataset=adapt.mine(...).to_dataset(), loss=loss).train()  # doctest: +SKIP
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor

from adapt.losses import matryoshka, ranking, triplets
from adapt.losses.denoising import Denoising

Features: TypeAlias = "Mapping[str, Tensor]"  # of one column: input_ids and attention_mask, both [n, tokens]
Setting: TypeAlias = "str | float | bool | Sequence[float] | None"


class EmbeddingLoss(torch.nn.Module):
    """A loss on the embeddings of a batch's columns."""

    paper = ""  # BibTeX

    def __init__(self, model: SentenceTransformer):
        super().__init__()
        self.model = model

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """The loss of a batch: a column of features for each text of a row; labels [n] or [n, k], where the loss takes any."""
        columns = list(sentence_features)
        embeddings = [self.model(dict(column))["sentence_embedding"] for column in columns]
        return self.compute(embeddings, labels, columns)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor) -> Tensor:
        """The loss from each column's embeddings [n, d]; no text is known, so that no duplicate is masked."""
        return self.compute(embeddings, labels, ())

    @abstractmethod
    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        """The loss from each column's embeddings [n, d]; `columns` are their token ids, where these are known."""

    def get_config_dict(self) -> dict[str, Setting]:
        """The settings, for the model card."""
        return {}

    @property
    def citation(self) -> str:
        """The paper, in BibTeX."""
        return self.paper


class MultipleNegativesRankingLoss(EmbeddingLoss):
    """InfoNCE on cosines: the positive against every other document of the batch and all hard negatives.

    Columns: anchor, positive, and any number of negatives; labels are not used. Other than in sentence-transformers a document is
    never the negative of an anchor for which the batch has the same text as a positive. `symmetric` adds the reverse direction,
    the mean of both. Henderson et al. (2017), https://arxiv.org/abs/1705.00652.
    """

    paper = """@misc{henderson2017efficient,
    title={Efficient Natural Language Response Suggestion for Smart Reply},
    author={Matthew Henderson and others}, year={2017}, eprint={1705.00652}, archivePrefix={arXiv}
}"""

    def __init__(self, model: SentenceTransformer, scale: float = 20.0, symmetric: bool = False):
        super().__init__(model)
        self.scale, self.symmetric = scale, symmetric

    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        anchors, documents = embeddings[0], torch.cat(list(embeddings[1:]))
        target = torch.arange(len(anchors), device=anchors.device)
        allowed = allowed_negatives(columns, len(anchors), len(documents)).to(anchors.device)
        return ranking.multiple_negatives(anchors, documents, target, allowed, self.scale, self.symmetric)

    def get_config_dict(self) -> dict[str, Setting]:
        return {"scale": self.scale, "symmetric": self.symmetric}


class TripletLoss(EmbeddingLoss):
    """The positive nearer to the anchor than a negative by a margin, on unit vectors.

    Columns: anchor, positive, and any number of negatives; with `in_batch` other than none the negatives are chosen among all
    documents of the batch. distance: squared (0 to 4), euclidean, cosine or manhattan. margin: None for the soft margin
    log(1 + exp(d(a, p) - d(a, n))). Schroff et al. (2015), https://arxiv.org/abs/1503.03832.
    """

    paper = """@misc{schroff2015facenet,
    title={FaceNet: A Unified Embedding for Face Recognition and Clustering},
    author={Florian Schroff and Dmitry Kalenichenko and James Philbin}, year={2015}, eprint={1503.03832}, archivePrefix={arXiv}
}"""

    def __init__(
        self,
        model: SentenceTransformer,
        distance: Literal["squared", "euclidean", "cosine", "manhattan"] = "squared",
        margin: float | None = 0.3,
        in_batch: Literal["none", "all", "batch-hard", "semi-hard"] = "none",
    ):
        super().__init__(model)
        self.distance, self.margin, self.in_batch = distance, margin, in_batch

    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        anchors, documents = embeddings[0], torch.cat(list(embeddings[1:]))
        n, here = len(anchors), anchors.device
        table, target = triplets.distances(anchors, documents, self.distance), torch.arange(n, device=here)
        if self.in_batch == "none":
            negatives = torch.arange(n, len(documents), device=here)
            rows = negatives % n
        else:
            rows, negatives = triplets.in_batch(
                table, target, allowed_negatives(columns, n, len(documents)).to(here), self.in_batch
            )
        return triplets.triplet(table, target, rows, negatives, self.margin)

    def get_config_dict(self) -> dict[str, Setting]:
        return {"distance": self.distance, "margin": self.margin, "in_batch": self.in_batch}


class MarginMSELoss(EmbeddingLoss):
    """Squared difference between cos(a, p) - cos(a, n) and a teacher's margin.

    Columns: anchor, positive, and k negatives; labels: margins [n] or [n, k], or the teacher's scores of the positive and the
    negatives [n, k + 1]. Hofstätter et al. (2020), https://arxiv.org/abs/2010.02666, on cosines.
    """

    paper = """@misc{hofstatter2020improving,
    title={Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation},
    author={Sebastian Hofstätter and others}, year={2020}, eprint={2010.02666}, archivePrefix={arXiv}
}"""

    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        anchors, positives, negatives = embeddings[0], embeddings[1], embeddings[2:]
        margins = labels.view(len(anchors), -1)
        if margins.shape[1] == len(negatives) + 1:
            margins = margins[:, :1] - margins[:, 1:]
        if margins.shape[1] != len(negatives):
            raise ValueError(f"labels of shape {tuple(labels.shape)} do not fit {len(negatives)} negatives a row")
        k = len(negatives)
        return ranking.margin_mse(anchors.repeat(k, 1), positives.repeat(k, 1), torch.cat(list(negatives)), margins.T.flatten())


class MatryoshkaLoss(EmbeddingLoss):
    """Another loss at several widths: Σ weight · loss(the first `dim` dimensions, normalised).

    `loss` is one of this module, or one of sentence-transformers' with `compute_loss_from_embeddings`. Kusupati et al. (2022),
    https://arxiv.org/abs/2205.13147.
    """

    paper = """@misc{kusupati2022matryoshka,
    title={Matryoshka Representation Learning}, author={Aditya Kusupati and others}, year={2022},
    eprint={2205.13147}, archivePrefix={arXiv}
}"""

    def __init__(
        self,
        model: SentenceTransformer,
        loss: torch.nn.Module,
        matryoshka_dims: Sequence[int],
        matryoshka_weights: Sequence[float] | None = None,
    ):
        """Raises ValueError for dimensions that the model does not have, and for another number of weights."""
        super().__init__(model)
        width, weights = model.get_embedding_dimension(), matryoshka_weights or [1.0] * len(matryoshka_dims)
        if not matryoshka_dims or min(matryoshka_dims) < 1 or (width and max(matryoshka_dims) > width):
            raise ValueError(f"matryoshka_dims must lie in 1 to {width} (got {list(matryoshka_dims)})")
        if len(weights) != len(matryoshka_dims):
            raise ValueError(f"{len(weights)} matryoshka_weights for {len(matryoshka_dims)} matryoshka_dims")
        self.loss, self.weights = loss, dict(zip(matryoshka_dims, weights, strict=True))

    def compute(self, embeddings: Sequence[Tensor], labels: Tensor, columns: Sequence[Features]) -> Tensor:
        sizes = [len(column) for column in embeddings]

        def at_width(vectors: Tensor) -> Tensor:
            parts = list(torch.split(vectors, sizes))
            if isinstance(self.loss, EmbeddingLoss):
                return self.loss.compute(parts, labels, columns)
            found: Tensor = self.loss.compute_loss_from_embeddings(parts, labels)  # type: ignore[operator]
            return found

        return matryoshka.matryoshka(at_width, torch.cat(list(embeddings)), self.weights)

    def get_config_dict(self) -> dict[str, Setting]:
        return {
            "loss": type(self.loss).__name__,
            "matryoshka_dims": list(self.weights),
            "matryoshka_weights": list(self.weights.values()),
        }


class DenoisingAutoEncoderLoss(torch.nn.Module):
    """TSDAE: cross-entropy of a text's words, given the embedding of its corrupted copy.

    Columns: corrupted text, original text; labels are not used. The decoder is built from the model's own checkpoint, or from
    `decoder_name_or_path`; `tie_encoder_decoder` shares its weights with the encoder, as in the paper. Wang, Reimers & Gurevych
    (2021), https://arxiv.org/abs/2104.06979. Raises UserError for an architecture that has no decoder.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        decoder_name_or_path: str | None = None,
        tie_encoder_decoder: bool = True,
        decoder_layers: int | None = None,
        seed: int = 13,
    ):
        super().__init__()
        self.model = model
        folder = decoder_name_or_path or checkpoint_of(model)
        self.decoder_name_or_path, self.tie_encoder_decoder = folder, tie_encoder_decoder
        self.denoising = Denoising(model, Path(folder), tied=tie_encoder_decoder, seed=seed, decoder_layers=decoder_layers)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Mean cross-entropy per token of the originals after their first."""
        corrupted, originals = (token_ids(column) for column in sentence_features)
        found: Tensor = self.denoising(corrupted, originals)
        return found

    def get_config_dict(self) -> dict[str, Setting]:
        """The settings, for the model card."""
        return {"decoder_name_or_path": self.decoder_name_or_path, "tie_encoder_decoder": self.tie_encoder_decoder}

    @property
    def citation(self) -> str:
        """The paper, in BibTeX."""
        return """@inproceedings{wang2021tsdae,
    title={TSDAE: Using Transformer-based Sequential Denoising Auto-Encoder for Unsupervised Sentence Embedding Learning},
    author={Kexin Wang and Nils Reimers and Iryna Gurevych}, booktitle={Findings of EMNLP}, year={2021},
    url={https://arxiv.org/abs/2104.06979}
}"""


def checkpoint_of(model: SentenceTransformer) -> str:
    """The folder or name that a model's transformer was loaded from."""
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return str(getattr(config, "name_or_path", ""))


def token_ids(column: Features) -> list[list[int]]:
    """The token ids of a column's texts, without padding."""
    return [ids[mask.bool()].tolist() for ids, mask in zip(column["input_ids"], column["attention_mask"], strict=True)]


def allowed_negatives(columns: Sequence[Features], anchors: int, documents: int) -> Tensor:
    """[anchors, documents]: False where a document has the text of a positive of the anchor, in any row with that anchor.

    Columns: anchor, positive, negatives. All True where no tokens are known.
    """
    allowed = torch.ones(anchors, documents, dtype=torch.bool)
    if not columns or any("input_ids" not in column or "attention_mask" not in column for column in columns):
        return allowed
    first, *others = ([tuple(ids) for ids in token_ids(column)] for column in columns)
    texts = [text for column in others for text in column]
    positives: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for anchor, positive in zip(first, others[0], strict=True):
        positives.setdefault(anchor, set()).add(positive)
    for row, anchor in enumerate(first):
        for place, text in enumerate(texts):
            if text in positives[anchor]:
                allowed[row, place] = False
    return allowed
