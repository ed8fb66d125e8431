"""Masked words and SimCSE, against transformers and sentence-transformers."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from adapt.losses.masked import Masked
from adapt.losses.simcse import simcse
from adapt.models.bi_encoder import load_encoder

from ..conftest import assert_alike, tolerance

TEXTS = ["The heart helps the kidney.", "Fever falls after the tablet.", "A mild rash and a cough."]


@pytest.fixture
def checkpoint(tmp_path, language_model):
    """A BERT with a masked-language head of its own."""
    torch.manual_seed(2)
    BertForMaskedLM(BertConfig.from_pretrained(language_model)).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((language_model / name).read_bytes())
    return tmp_path


def test_the_loss_and_its_gradients_are_transformers_own(checkpoint):
    encoder = load_encoder(checkpoint)
    module = Masked(encoder, checkpoint, seed=0).eval()
    theirs = BertForMaskedLM.from_pretrained(checkpoint).eval()
    original = encoder.tokenizer(TEXTS)["input_ids"]
    chosen = [np.array([i in (2, 4) for i in range(len(row))]) for row in original]
    masked = [[encoder.tokenizer.mask_token_id if c else i for i, c in zip(row, some, strict=True)]
              for row, some in zip(original, chosen, strict=True)]  # fmt: skip
    mine = module(masked, original, chosen)
    batch = encoder.tokenizer.pad({"input_ids": masked}, return_tensors="pt")
    labels = torch.full_like(batch["input_ids"], -100)
    for row, (ids, some) in enumerate(zip(original, chosen, strict=True)):
        labels[row, : len(ids)] = torch.where(torch.from_numpy(some), torch.tensor(ids), -100)
    other = theirs(**batch, labels=labels).loss
    assert mine.item() == pytest.approx(other.item(), abs=tolerance(1e-5, 1e-2))
    mine.backward()
    other.backward()
    wanted = dict(theirs.bert.named_parameters())
    both = [
        (p.grad, wanted[name].grad) for name, p in encoder[0].auto_model.named_parameters() if name in wanted and p.grad is not None
    ]
    assert len(both) > 20
    assert_alike(*zip(*both, strict=True), bf16=5e-2, atol=1e-5, rtol=1e-4)


def test_simcse_is_the_ranking_loss_of_sentence_transformers_on_two_views():
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    class Given(torch.nn.Module):
        def forward(self, features):
            return {"sentence_embedding": features["vectors"]}

    torch.manual_seed(3)
    first, second = (torch.randn(5, 8, requires_grad=True) for _ in range(2))
    theirs = MultipleNegativesRankingLoss(Given(), scale=20.0)([{"vectors": first}, {"vectors": second}], None)
    mine = simcse(first, second)
    assert mine.item() == pytest.approx(theirs.item(), abs=1e-5)
    for a, b in zip(torch.autograd.grad(mine, [first, second]), torch.autograd.grad(theirs, [first, second]), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
