import pytest
import torch

from adapt.errors import UserError
from adapt.inference.encoding import forward
from adapt.models import lora
from adapt.models.bi_encoder import load_encoder, token_ids

from ..conftest import assert_alike

TEXTS = ["heart falls", "the kidney is slow", "fever rises"]


def disturb(model):
    """As if trained: every adapter's B away from zero."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name.endswith(".b"):
            parameter.data.normal_()


def test_only_adapters_train_and_nothing_has_changed_before_the_first_step(embedder):
    plain, model = load_encoder(embedder), load_encoder(embedder)
    ids = token_ids(model, TEXTS)
    assert lora.attach(model, 4, seed=1) == 8  # query, key, value and output of two layers
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 8 * 2 * 4 * 32
    torch.testing.assert_close(forward(model, ids), forward(plain, ids))


def test_merged_output_equals_unmerged_and_the_rest_is_untouched(embedder):
    model = load_encoder(embedder)
    ids, before = token_ids(model, TEXTS), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    lora.attach(model, 4, seed=1)
    disturb(model)
    unmerged = forward(model, ids)
    lora.merge(model)
    assert_alike(forward(model, ids), unmerged, bf16=5e-2, atol=1e-5, rtol=1e-5)
    after = model.state_dict()
    assert after.keys() == before.keys() and all(p.requires_grad for p in model.parameters())
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    adapted = ("query.weight", "key.weight", "value.weight", "attention.output.dense.weight")
    assert changed == {name for name in after if name.endswith(adapted)}


def test_adapters_compute_what_peft_computes(embedder):
    peft = pytest.importorskip("peft")
    model, stock = load_encoder(embedder), load_encoder(embedder)
    ids = token_ids(model, TEXTS)
    lora.attach(model, 4, seed=1)
    disturb(model)
    targets = ["query", "key", "value", "attention.output.dense"]
    wrapped = peft.get_peft_model(stock[0].auto_model, peft.LoraConfig(r=4, lora_alpha=8, target_modules=targets))
    state = {}
    for name, tensor in model[0].auto_model.named_parameters():
        if name.endswith((".a", ".b")):
            layer = name.split(".parametrizations")[0]
            state[f"base_model.model.{layer}.lora_{name[-1].upper()}.weight"] = tensor
    peft.set_peft_model_state_dict(wrapped, state)
    assert_alike(forward(model, ids), forward(stock, ids), bf16=5e-2, atol=1e-5, rtol=1e-5)


def test_a_model_without_attention_is_refused():
    with pytest.raises(UserError, match="no linear layers in its attention"):
        lora.attach(torch.nn.Sequential(torch.nn.Linear(3, 3)), 2, 1)
