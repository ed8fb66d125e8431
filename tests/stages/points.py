"""Texts that are points: mining over vectors that a test chooses, for this package and for sentence-transformers alike."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from adapt.job import Job
from adapt.records import Encoder
from adapt.stages import find


class Points:
    """A stand-in for an encoder: each text's unit vector from a table, drawn from the text itself where it has none."""

    def __init__(self, table=None, size=6):
        self.table, self.size = dict(table or {}), size
        self.device, self.model_card_data = (
            "cpu",
            SimpleNamespace(base_model=None),
        )  # as sentence-transformers has it for any folder

    def __call__(self, texts):
        found = []
        for text in texts:
            vector = self.table.get(text)
            if vector is None:
                vector = np.random.default_rng(list(text.encode())).normal(size=self.size)
            found.append(np.asarray(vector, dtype=np.float32) / np.float32(np.linalg.norm(vector)))
        return np.stack(found)

    def encode_query(self, texts, **_):
        return self(texts)

    encode_document = encode_query

    def similarity(self, left, right):
        import torch

        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left, right):
        import torch

        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(1)


def on_arc(*cosines):
    """2-d points with these cosines to (1, 0)."""
    return [(cosine, (1 - cosine**2) ** 0.5) for cosine in cosines]


def mined(monkeypatch, points, pairs, corpus=(), job=None, cross_encoder=None, **settings):
    """The stage's triplets over such points, {(anchor, positive): negatives}; `dense` alone searches unless said."""
    monkeypatch.setattr("adapt.inference.encoding.embed", lambda folder, texts, job, **_: points(texts))
    stage = find("mine")(**{"retrievers": ("dense",), "range_max": 1_000, **settings})
    made = stage.run(pairs, Encoder(Path("points")), job or Job(2), corpus, cross_encoder)
    return {(t.anchor, t.positive): t.negatives for t in made}


def peer(points, pairs, corpus=None, **settings):
    """The same from sentence-transformers' `mine_hard_negatives`, n-tuples."""
    from datasets import Dataset
    from sentence_transformers.util import mine_hard_negatives

    data = Dataset.from_dict({"anchor": [p.anchor for p in pairs], "positive": [p.positive for p in pairs]})
    settings = {"range_max": 1_000, "num_negatives": 3, "output_format": "n-tuple", "verbose": False, **settings}
    made = mine_hard_negatives(data, points, corpus=None if corpus is None else [t.text for t in corpus], **settings)
    return {(row["anchor"], row["positive"]): tuple(v for k, v in row.items() if k.startswith("negative")) for row in made}
