"""Low-rank adapters: what trains, what merging leaves, and the error without peft."""

import sys

import pytest
import torch

from adapt import stages
from adapt.errors import UserError
from adapt.inference.encoding import forward
from adapt.job import Job
from adapt.models import lora
from adapt.models.bi_encoder import load_encoder, save_encoder, token_ids
from adapt.records import Encoder, Pair

from ..conftest import assert_alike

TEXTS = ["heart falls", "the kidney is slow", "fever rises"]


def disturb(model):
    """As if trained: every adapter's B away from zero."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_B" in name:
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


def test_the_same_seed_draws_the_same_adapters_and_leaves_the_global_generator_alone(embedder):
    drawn = []
    for seed in (1, 1, 2):
        model = load_encoder(embedder)
        before = torch.get_rng_state()
        lora.attach(model, 4, seed)
        assert torch.equal(torch.get_rng_state(), before)
        drawn.append(torch.cat([tensor.flatten() for name, tensor in model.named_parameters() if "lora_A" in name]))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])


def test_a_merged_model_is_saved_and_loaded_as_a_plain_one(embedder, tmp_path):
    model = load_encoder(embedder)
    ids = token_ids(model, TEXTS)
    lora.attach(model, 4, seed=1)
    disturb(model)
    lora.merge(model)
    plain = load_encoder(save_encoder(model, tmp_path / "merged"))
    assert not any("lora" in name for name in plain.state_dict())
    torch.testing.assert_close(forward(plain, ids), forward(model, ids))


def test_without_peft_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(lora.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"adapt-embeddings\[lora\]"):
        lora.attach(torch.nn.Sequential(torch.nn.Linear(3, 3)), 2, 1)


def test_a_model_without_attention_is_refused():
    with pytest.raises(UserError, match="no linear layers in its attention"):
        lora.attach(torch.nn.Sequential(torch.nn.Linear(3, 3)), 2, 1)


def test_fine_tuning_all_weights_needs_no_optional_package(embedder, monkeypatch):
    absent = ("peft", "openvino", "nncf", "matplotlib")
    for module in {*absent, *(name for name in sys.modules if name.startswith(tuple(f"{package}." for package in absent)))}:
        monkeypatch.setitem(sys.modules, module, None)  # an import raises ImportError, as where it is not installed
    pairs = [Pair(text, f"{text} at night") for text in TEXTS]
    made = stages.find("finetune")(batch_size=2, max_steps=1).run(Encoder(embedder), pairs, Job(1))
    assert (made.path / "model.safetensors").is_file()
