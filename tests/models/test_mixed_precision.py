"""The precision policy, in forced bf16: what is computed in bf16, what never is, and what that costs."""

import copy
import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from adapt.errors import UserError
from adapt.inference.encoding import embed, forward
from adapt.inference.scoring import predict
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, save_encoder, token_ids
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.models.dropout import set_dropout
from adapt.models.mixed_precision import compute_dtype, convert_for_inference, set_precision, transformer_layers
from adapt.runtime import hardware
from adapt.runtime import precision as precisions
from adapt.runtime.precision import resolve

from ..conftest import sentence

RNG = random.Random(3)
TEXTS = [sentence(RNG, RNG.randint(2, 30)) for _ in range(60)]
PAIRS = list(zip(TEXTS[::2], TEXTS[1::2], strict=True))
TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "vocab_size": 200}
ARCHITECTURES = ("bert", "roberta", "distilbert", "mpnet", "albert", "electra", "modernbert", "deberta-v2", "llama", "qwen3")


def network(kind, head):
    """A random model of an architecture: bare, or with a classification head."""
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    sizes = dict(TINY)
    if kind == "distilbert":
        sizes = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "vocab_size": 200}
    if kind == "albert":
        sizes["embedding_size"] = 16
    config = AutoConfig.for_model(kind, **sizes, pad_token_id=0)
    if kind == "qwen3":
        config.head_dim, config.num_key_value_heads = 16, 2
    config.num_labels = 1
    torch.manual_seed(0)
    return (AutoModelForSequenceClassification if head else AutoModel).from_config(config, dtype=torch.float32).eval()


@pytest.mark.parametrize("head", [False, True], ids=["encoder", "classifier"])
@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_layers_multiply_in_bf16_and_hand_on_fp32_and_nothing_else_is_rounded(kind, head):
    model = network(kind, head)
    ids = torch.randint(5, 200, (3, 7), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    exact = model(input_ids=ids, attention_mask=mask)[0].detach()
    assert set_precision(model, "bf16") == "bf16" and compute_dtype(model) == torch.bfloat16
    inside = {id(part) for layer in transformer_layers(model) for part in layer.modules()}
    outermost = {id(layer) for layer in transformer_layers(model)}
    low, full = [], []

    def seen(module, given, found):
        tensors = [part for part in (found if isinstance(found, tuple) else (found,)) if isinstance(part, torch.Tensor)]
        kinds = {part.dtype for part in tensors if part.is_floating_point()}
        if id(module) in inside and id(module) not in outermost:
            low.extend(kinds if isinstance(module, torch.nn.Linear) else ())
        else:
            full.extend(kinds)

    for part in model.modules():
        part.register_forward_hook(seen)
    rounded = model(input_ids=ids, attention_mask=mask)[0].detach()
    assert set(low) == {torch.bfloat16} and set(full) == {torch.float32}
    assert 0 < float((rounded - exact).norm()) < 0.03 * float(exact.norm()) + 1e-6
    set_precision(model, "fp32")
    assert torch.equal(model(input_ids=ids, attention_mask=mask)[0], exact) and compute_dtype(model) == torch.float32


def test_embeddings_in_bf16_are_those_of_fp32_within_a_ten_thousandth(bundled):
    exact, rounded = (embed(bundled, TEXTS, Job(), precision=kind) for kind in ("fp32", "bf16"))
    cosines = (exact.astype(np.float64) * rounded).sum(1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(rounded, axis=1)
    assert cosines.min() >= 0.9999 and not np.array_equal(exact, rounded)
    assert abs(np.linalg.norm(rounded.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_scores_in_bf16_keep_the_resolution_of_fp32(bundled, tmp_path):
    CrossEncoderModel(bundled, new_head_seed=1).save(tmp_path / "m")
    pairs = [(a, b) for a in TEXTS[:20] for b in TEXTS[20:30]]
    exact, rounded = (predict(tmp_path / "m", pairs, Job(), precision=kind) for kind in ("fp32", "bf16"))
    assert len(np.unique(rounded)) >= 0.9 * len(np.unique(exact))
    assert abs(rounded - exact).max() < 0.01


def test_pooler_and_classifier_are_computed_in_fp32(language_model):
    reader = CrossEncoderModel(language_model, new_head_seed=1, precision="bf16")
    reader.model.bert.encoder.register_forward_hook(lambda module, given, found: states.append(found[0]))
    states = []
    ids = reader.ids([a for a, _ in PAIRS], [b for _, b in PAIRS], 64)
    logits = reader(ids)
    own = reader.model.classifier(torch.tanh(reader.model.bert.pooler.dense(states[0][:, 0])))[:, 0]
    assert torch.allclose(logits, own, atol=1e-6) and logits.dtype == torch.float32


def test_weights_kept_for_inference_alone_give_the_same_bits(embedder):
    model = load_encoder(embedder, "bf16")
    ids = token_ids(model, TEXTS)
    with torch.inference_mode():
        before = forward(model, ids)
        convert_for_inference(model)
        assert torch.equal(forward(model, ids), before)
    kinds = {
        part.weight.dtype for layer in transformer_layers(model) for part in layer.modules() if isinstance(part, torch.nn.Linear)
    }
    assert kinds == {torch.bfloat16}


def test_activations_computed_again_are_computed_in_the_same_precision(embedder):
    from adapt.training.loop import _set_checkpointing

    found = []
    for again in (False, True):
        model = load_encoder(embedder, "bf16").train()
        set_dropout(model, 0.0)
        _set_checkpointing(model, again)
        forward(model, token_ids(model, TEXTS)).square().sum(1).log().sum().backward()
        found.append([part.grad for part in model.parameters() if part.grad is not None])
    assert len(found[0]) > 20 and all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_a_saved_model_says_nothing_of_how_it_was_computed(embedder, tmp_path):
    model = load_encoder(embedder, "bf16")
    save_encoder(copy.deepcopy(model), tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert not any("attn" in name or "adapt" in str(value) for name, value in config.items())
    assert config["dtype"] == "float32"


def test_a_setting_goes_before_the_variable_and_that_before_the_hardware(monkeypatch):
    monkeypatch.setenv("ADAPT_PRECISION", "bf16")
    assert resolve() == "bf16" and resolve("fp32") == "fp32"
    monkeypatch.setenv("ADAPT_PRECISION", "auto")
    for fast, wanted in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precisions, "fast_bfloat16", lambda fast=fast: fast)
        assert resolve() == wanted and resolve("bf16") == "bf16"


X86 = "processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16_of_another_name {}\nbugs\t\t: spectre_v1\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\nCPU implementer\t: 0x41\n"


NAMED = [(X86, "avx512_bf16"), (X86, "amx_bf16"), (ARM, "bf16"), (ARM, "svebf16"), (None, "sve_bf16")]


@pytest.mark.parametrize(("says", "able"), NAMED)
def test_bf16_is_taken_where_the_processor_names_it_whoever_made_it(monkeypatch, tmp_path, says, able):
    monkeypatch.setattr(hardware, "PROCESSOR", tmp_path / "cpuinfo")
    for has in (True, False):
        if says:
            (tmp_path / "cpuinfo").write_text(says.format(able if has else "avx2"))
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda has=has: {able: has, "avx512_f": True})
        assert hardware.cpu_multiplies_bf16.__wrapped__() is has


@pytest.mark.skipif(not hardware.PROCESSOR.exists(), reason="the system does not describe its processor")
def test_the_system_and_torch_agree_on_this_processor():
    able = torch.cpu.get_capabilities()
    assert hardware.cpu_multiplies_bf16() == any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def test_the_precision_of_a_cpu_is_known_without_torch():
    code = "import sys; from adapt.runtime.precision import resolve; print(resolve(), 'torch' in sys.modules)"
    clean = {name: value for name, value in os.environ.items() if name != "ADAPT_PRECISION"} | {"ADAPT_DEVICE": "cpu"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bf16" if hardware.cpu_multiplies_bf16() else "fp32", "False"]


def test_what_can_not_be_is_refused_with_the_choices(monkeypatch):
    monkeypatch.setenv("ADAPT_PRECISION", "half")
    with pytest.raises(UserError, match=r"ADAPT_PRECISION is 'half'; it must be one of auto, fp32, bf16, fp16"):
        resolve()
    with pytest.raises(UserError, match="fp16 needs a GPU"):
        resolve("fp16")


def test_training_in_bf16_makes_the_same_bits_again_and_others_than_fp32(embedder):
    from adapt.records import CrossEncoder, Encoder, Pair, ScoredPair
    from adapt.stages import find

    pairs = [Pair(a, b) for a, b in PAIRS]
    scored = [ScoredPair(a, b, i % 5 / 4) for i, (a, b) in enumerate(PAIRS)]
    for stage, inputs in (("finetune", {"examples": pairs}), ("cross-encoder", {"pairs": scored})):
        bits = []
        for precision in ("bf16", "bf16", "fp32"):
            made = find(stage)(precision=precision, max_steps=3, batch_size=8).run(model=Encoder(embedder), job=Job(1), **inputs)
            assert isinstance(made, (Encoder, CrossEncoder))
            bits.append((made.path / "model.safetensors").read_bytes())
        assert bits[0] == bits[1] != bits[2]
