"""Ways in which a model's folder can be incomplete, foreign or damaged; each takes a sound folder and spoils it in place.

Used by the tests and by scripts/attack/model_folders.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

Spoil = Callable[[Path], None]
CANARY = "code-was-executed"  # a file of this name appears beside the folder when code from it has run


def weights(change: Callable[[dict], dict]) -> Spoil:
    """Rewrite the weights by {name: tensor}."""

    def spoil(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        file = folder / "model.safetensors"
        changed = {name: tensor.contiguous() for name, tensor in change(load_file(file)).items()}
        save_file(changed, file, metadata={"format": "pt"})

    return spoil


def without(*parts: str) -> Spoil:
    """Leave out weights whose name holds one of these."""
    return weights(lambda found: {n: t for n, t in found.items() if not any(part in n for part in parts)})


def filled(value: float, part: str = "", share: bool = False) -> Spoil:
    """Set floating-point weights whose name holds `part` to a value, wholly or in their first element."""

    def change(found: dict) -> dict:
        for name, tensor in found.items():
            if part in name and tensor.is_floating_point():
                (tensor.view(-1)[:1] if share else tensor).fill_(value)
        return found

    return weights(change)


def settings(name: str, **changed) -> Spoil:
    """Change keys of a JSON file; None takes a key away."""

    def spoil(folder: Path) -> None:
        file = folder / name
        found = {**(json.loads(file.read_text()) if file.is_file() else {}), **changed}
        file.write_text(json.dumps({k: v for k, v in found.items() if v is not None}))

    return spoil


def text(name: str, content: str | bytes) -> Spoil:
    return lambda folder: void((folder / name).write_bytes(content.encode() if isinstance(content, str) else content))


def void(value: object) -> None:
    """For lambdas whose expression has a value."""


def cut(name: str, share: float) -> Spoil:
    def spoil(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(share * len(content))])

    return spoil


def gone(*names: str) -> Spoil:
    def spoil(folder: Path) -> None:
        for name in names:
            place = folder / name
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)

    return spoil


def modules(change: Callable[[list[dict]], list]) -> Spoil:
    return lambda folder: void(
        (folder / "modules.json").write_text(json.dumps(change(json.loads((folder / "modules.json").read_text()))))
    )


def listed_outside(folder: Path, name: str) -> None:
    """Sharded weights whose index names a file that is not the folder's own."""
    shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
    text("model.safetensors.index.json", json.dumps({"weight_map": {"embeddings.weight": name}}))(folder)


def own_code(folder: Path) -> Path:
    """A Python file in the folder that leaves the canary when it is imported."""
    body = f"open({str(folder.parent / CANARY)!r}, 'w').close()\nfrom sentence_transformers.models import Normalize as Own\n"
    (folder / "own.py").write_text(body)
    return folder


class Payload:
    """Leaves the canary when it is unpickled."""

    def __init__(self, file: Path):
        self.file = str(file)

    def __reduce__(self):
        return os.system, (f"touch '{self.file}'",)


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(folder.parent / CANARY)))


def _foreign(folder: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    config = json.loads((folder / "config.json").read_text())
    sizes = {"vocab_size": config["vocab_size"], "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
    aside = folder.parent / "foreign"
    DistilBertModel(DistilBertConfig(max_position_embeddings=64, **sizes)).save_pretrained(aside)
    shutil.copy(aside / "model.safetensors", folder)
    shutil.rmtree(aside)


def _larger_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text())
    found["model"]["vocab"] |= {f"word{i}": len(found["model"]["vocab"]) + i for i in range(50)}
    file.write_text(json.dumps(found))


def _empty_tokenizer(folder: Path) -> None:
    file = folder / "tokenizer.json"
    found = json.loads(file.read_text())
    found["model"]["vocab"] = {
        word: i for word, i in found["model"]["vocab"].items() if word.startswith("[") and word.endswith("]")
    }
    file.write_text(json.dumps(found))


def _missing_shard(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _dangling(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(folder / "nowhere")


TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt")

# Of a language model's own files, in whatever folder it lies.
BODY: dict[str, Spoil] = {
    "layers-missing": without("layer.1."),
    "one-weight-missing": without("layer.0.attention.self.query.weight"),
    "one-bias-missing": without("layer.1.output.dense.bias"),
    "embeddings-missing": without("word_embeddings"),
    "another-architecture": _foreign,
    "names-of-no-architecture": weights(lambda found: {f"x.{name}": tensor for name, tensor in found.items()}),
    "no-weights": gone("model.safetensors"),
    "weights-empty-file": text("model.safetensors", b""),
    "weights-no-tensors": weights(lambda found: {}),
    "weights-cut": cut("model.safetensors", 0.6),
    "weights-header-cut": cut("model.safetensors", 0.001),
    "weights-garbage": text("model.safetensors", b"\x93garbage" * 500),
    "weights-html": text("model.safetensors", "<!DOCTYPE html><title>404</title>"),
    "weights-git-lfs": text("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 90000000\n"),
    "weights-dangling-link": _dangling,
    "weights-shard-missing": _missing_shard,
    "weights-pickled-code": _pickled,
    "nan-everywhere": filled(float("nan")),
    "nan-in-one-weight": filled(float("nan"), "layer.1.output.dense.weight", share=True),
    "infinity-in-one-weight": filled(float("-inf"), "layer.0.intermediate.dense.bias", share=True),
    "huge-weights": filled(1e30, "dense.weight"),
    "all-zero": filled(0.0),
    "all-equal": filled(0.5),
    "words-all-alike": filled(0.1, "word_embeddings"),
    "last-norm-zero": filled(0.0, "layer.1.output.LayerNorm"),
    "config-more-layers": settings("config.json", num_hidden_layers=4),
    "config-fewer-layers": settings("config.json", num_hidden_layers=1),
    "config-wider": settings("config.json", hidden_size=64),
    "config-wider-inside": settings("config.json", intermediate_size=128),
    "config-larger-vocabulary": settings("config.json", vocab_size=5000),
    "config-more-positions": settings("config.json", max_position_embeddings=512),
    "config-another-type": settings("config.json", model_type="distilbert"),
    "config-unknown-type": settings("config.json", model_type="no-such-network"),
    "config-no-type": settings("config.json", model_type=None),
    "config-negative": settings("config.json", num_attention_heads=-2),
    "config-zero-heads": settings("config.json", num_attention_heads=0),
    "config-text-for-number": settings("config.json", hidden_size="wide"),
    "config-empty": text("config.json", ""),
    "config-cut": cut("config.json", 0.5),
    "config-list": text("config.json", "[]"),
    "config-deep": text("config.json", "[" * 100_000),
    "config-latin-1": text("config.json", b'{"model_type": "b\xe9rt"}'),
    "own-code-in-config": lambda folder: settings(
        "config.json", model_type="own", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    )(own_code(folder)),
    "own-code-in-tokenizer": lambda folder: (
        gone("tokenizer.json")(folder),
        settings("tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own"] * 2})(own_code(folder)),
    )[-1],
    "no-tokenizer": gone(*TOKENIZER),
    "tokenizer-without-vocabulary": gone("tokenizer.json"),
    "tokenizer-cut": cut("tokenizer.json", 0.5),
    "tokenizer-empty-file": text("tokenizer.json", ""),
    "tokenizer-special-tokens-only": _empty_tokenizer,
    "tokenizer-of-another-model": _larger_tokenizer,
    "tokenizer-settings-damaged": text("tokenizer_config.json", "{"),
    "adapter-alone": lambda folder: (gone("model.safetensors")(folder), text("adapter_config.json", "{}")(folder))[-1],
}  # fmt: skip

# Of a sentence-transformers folder with Transformer, Pooling, Dense and Normalize.
EMBEDDER: dict[str, Spoil] = {
    "modules-cut": cut("modules.json", 0.5),
    "modules-empty": text("modules.json", "[]"),
    "modules-object": text("modules.json", "{}"),
    "modules-of-numbers": text("modules.json", "[1, 2]"),
    "modules-unknown": modules(lambda found: [{**found[0], "type": "sentence_transformers.models.NoSuchThing"}, *found[1:]]),
    "modules-own-code": lambda folder: modules(lambda found: [*found, {"idx": 9, "name": "9", "path": "", "type": "own.Own"}])(
        own_code(folder)
    ),
    "modules-of-the-library": modules(lambda found: [*found, {"idx": 9, "name": "9", "path": "", "type": "subprocess.Popen"}]),
    "modules-outside": modules(lambda found: [found[0], {**found[1], "path": "../.."}, *found[2:]]),
    "modules-no-pooling": modules(lambda found: [found[0], *found[2:]]),
    "modules-no-transformer": modules(lambda found: found[1:]),
    "modules-two-transformers": modules(lambda found: [*found, {**found[0], "idx": 9, "name": "9"}]),
    "modules-normalised-too-early": modules(
        lambda found: [found[0], {"idx": 1, "name": "1", "path": "9", "type": "sentence_transformers.models.Normalize"}, *found[1:]]
    ),
    "shards-outside": lambda folder: listed_outside(folder, "../outside.safetensors"),
    "shards-elsewhere": lambda folder: listed_outside(folder, "/outside.safetensors"),
    "shards-of-no-text": lambda folder: listed_outside(folder, "\0"),
    "truncated-to-nothing": settings("config_sentence_transformers.json", truncate_dim=0),
    "truncated-to-a-word": settings("config_sentence_transformers.json", truncate_dim="8"),
    "no-layers": settings("config.json", num_hidden_layers=0),
    "no-token-of-the-text": settings("sentence_bert_config.json", max_seq_length=2),
    "pooling-missing": gone("1_Pooling"),
    "pooling-config-missing": gone("1_Pooling/config.json"),
    "pooling-config-cut": cut("1_Pooling/config.json", 0.5),
    "pooling-another-width": settings("1_Pooling/config.json", word_embedding_dimension=64),
    "dense-missing": gone("2_Dense"),
    "dense-no-weights": gone("2_Dense/model.safetensors"),
    "dense-nan": lambda folder: filled(float("nan"))(folder / "2_Dense"),
    "dense-zero": lambda folder: filled(0.0)(folder / "2_Dense"),
    "dense-another-width": lambda folder: (
        settings("2_Dense/config.json", in_features=64)(folder),
        weights(lambda found: {n: t if t.ndim < 2 else t.repeat(1, 2) for n, t in found.items()})(folder / "2_Dense"),
    )[-1],
    "dense-config-does-not-fit": settings("2_Dense/config.json", out_features=5),
    "dense-pickled-code": lambda folder: void(
        (
            (folder / "2_Dense" / "model.safetensors").unlink(),
            (folder / "2_Dense" / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(folder.parent / CANARY))),
        )
    ),
    "length-zero": settings("sentence_bert_config.json", max_seq_length=0),
    "length-of-text": settings("sentence_bert_config.json", max_seq_length="long"),
    "settings-cut": cut("config_sentence_transformers.json", 0.5),
    "prompts-of-numbers": settings("config_sentence_transformers.json", prompts={"query": 5}),
    "unknown-similarity": settings("config_sentence_transformers.json", similarity_fn_name="telepathy"),
}  # fmt: skip

# Of a cross-encoder.
CROSS_ENCODER: dict[str, Spoil] = {
    "head-missing": without("classifier"),
    "head-nan": filled(float("nan"), "classifier"),
    "head-zero": filled(0.0, "classifier"),
    "pooler-missing": without("pooler"),
    "head-of-another-width": weights(
        lambda found: {n: t.repeat(3, *[1] * (t.ndim - 1)) if "classifier" in n else t for n, t in found.items()}
    ),
}  # fmt: skip
