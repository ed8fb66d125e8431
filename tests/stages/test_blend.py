"""Blending two models' weights."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from adapt import stages
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Encoder


@pytest.fixture
def moved(embedder, tmp_path):
    """The embedder with every weight one higher."""
    import shutil

    folder = shutil.copytree(embedder, tmp_path / "moved")
    weights = load_file(folder / "model.safetensors")
    save_file({name: tensor + 1 for name, tensor in weights.items()}, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_every_weight_lies_at_its_share_of_the_way(embedder, moved, share):
    made = stages.find("blend")(alpha=share).run(Encoder(moved), Encoder(embedder), Job())
    base, found = load_file(embedder / "model.safetensors"), load_file(made.path / "model.safetensors")
    assert base.keys() == found.keys()
    for name, tensor in base.items():
        torch.testing.assert_close(found[name], tensor + share)


def test_models_of_different_shape_are_refused(embedder, language_model, tmp_path):
    from transformers import BertConfig, BertModel

    BertModel(BertConfig.from_pretrained(language_model, num_hidden_layers=1)).save_pretrained(tmp_path / "other")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "other" / name).write_bytes((language_model / name).read_bytes())
    with pytest.raises(UserError, match="their architectures differ"):
        stages.find("blend")().run(Encoder(embedder), Encoder(tmp_path / "other"), Job())
