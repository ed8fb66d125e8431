"""Validation of a model's folder before it is loaded: configuration, modules, weights, tokenizer."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adapt.errors import UserError

FIRST_MODULES = ("Transformer", "StaticEmbedding")
LATER_MODULES = ("Pooling", "Dense", "Normalize", "LayerNorm", "Dropout", "WeightedLayerPooling", "CNN")
CONFIGURED = ("Pooling", "Dense", "LayerNorm", "WeightedLayerPooling", "CNN")  # modules with a config.json of their own
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")
TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "vocab.bpe",
    "merges.txt",
    "bpe.codes",
    "vocab-src.json",
    "vocabulary.txt",
)
MIN_TOKENS = 3  # of a text: the first and last special token, and one token of the text
LAYER_COUNTS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


def require_valid(folder: Path) -> None:
    """Raise UserError with all problems of a model's folder that can be found without loading the model.

    No code in the folder is executed: a module of a class outside sentence-transformers is a problem.
    """
    found = [f"{folder}: {problem}" for problem in problems(folder)]
    if found:
        raise UserError(found)


def is_sentence_transformer(folder: Path) -> bool:
    """Whether a folder holds a sentence-transformers model, as opposed to a plain language model."""
    return (folder / "modules.json").is_file()


def problems(folder: Path) -> list[str]:
    """All problems of a model's folder, a sentence each; see `require_valid`."""
    found: list[str] = []
    _settings(folder, found)
    if not is_sentence_transformer(folder):
        _transformer(folder, found)
        return found
    modules = _modules(folder, found)
    for name, place in modules:
        if name == "Transformer":
            _transformer(place, found)
        elif name == "StaticEmbedding":
            found += [] if (place / "tokenizer.json").is_file() else ["holds no tokenizer (no tokenizer.json)"]
            found += _weights(place)
        elif name in CONFIGURED:
            _json(place / "config.json", found, required=True)
            found += _weights(place) if name == "Dense" else []
    names = [name for name, _ in modules]
    if names and names[0] not in FIRST_MODULES:
        found.append(f"its first module is {names[0]}; supported first modules are {' or '.join(FIRST_MODULES)}")
    elif names and names[0] == "Transformer" and "Pooling" not in names:
        found.append("modules.json has no Pooling module, so that texts get no embedding")
    if again := [name for name in names[1:] if name in FIRST_MODULES]:
        found.append(f"modules.json names {again[0]} after its first module, where it gets no input")
    if "Normalize" in names and "Pooling" in names[names.index("Normalize") :]:
        found.append("modules.json has Normalize before Pooling, where there is no embedding to normalise")
    return found


def st_config(folder: Path) -> dict[str, Any]:
    """The content of config_sentence_transformers.json; empty where there is none."""
    return _json(folder / "config_sentence_transformers.json", [])


def similarity(folder: Path) -> str:
    """The model's configured similarity function: cosine (the default), dot, euclidean or manhattan."""
    return st_config(folder).get("similarity_fn_name") or "cosine"


def truncate_dim(folder: Path) -> int | None:
    """The number of leading dimensions that the model's configuration keeps (Matryoshka); None where it keeps all."""
    found = st_config(folder).get("truncate_dim")
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else None


def truncation_note(folder: Path) -> str:
    """A note on a model whose embeddings are truncated; "" for any other."""
    kept = truncate_dim(folder)
    return "" if kept is None else f"its embeddings are truncated to {kept} dimensions (truncate_dim of its settings)"


def embedding_dimension(folder: Path) -> int | None:
    """Dimensions of the embeddings, or of a plain language model's hidden states, by the folder's files; None where unknown."""
    modules = _modules(folder, []) if is_sentence_transformer(folder) else [("Transformer", folder)]
    found: int | None = None
    for name, place in modules:
        config = _json(place / "config.json", [])
        if name == "Transformer":
            found = _size(config, "hidden_size", "d_model", "dim", "n_embd")
        elif name == "StaticEmbedding":
            file = place / "model.safetensors"
            table = (safetensors_header(file)[0] or {}).get("embedding.weight", {}) if file.is_file() else {}
            found = _size(dict(enumerate(table.get("shape") or ())), 1)
        elif name == "Pooling":
            modes = config.get("pooling_mode", [key for key in config if key.startswith("pooling_mode_") and config[key] is True])
            each = _size(config, "embedding_dimension", "word_embedding_dimension")
            found = each * max(1, len(modes) if isinstance(modes, list) else 1) if each else None
        elif name == "Dense":
            found = _size(config, "out_features")
        elif name == "CNN":
            return None
    kept = truncate_dim(folder)
    return min(found, kept) if found and kept else found


def _size(values: Mapping[Any, Any], *names: Any) -> int | None:
    """The first of these entries that is a positive integer."""
    return next((values[name] for name in names if type(values.get(name)) is int and values[name] > 0), None)


def similarity_notes(folder: Path, name: str, of_dot: str, of_others: str) -> list[str]:
    """Notes on a model whose similarity function is not cosine or whose embeddings are truncated, a sentence each.

    `name`: the model's name in the note. `of_dot`, `of_others`: what is done for dot product, and for euclidean and manhattan.
    """
    own = similarity(folder)
    found = [] if own == "cosine" else [f"{name}: its similarity function is {own}; {of_dot if own == 'dot' else of_others}"]
    return [*found, *(f"{name}: {said}" for said in (truncation_note(folder),) if said)]


def stored_types(folder: Path) -> set[str]:
    """The dtypes of stored floating-point weights, by safetensors' names (F32, BF16, F16); empty for other file formats."""
    found = set()
    for file in folder.rglob("*.safetensors"):
        header, _ = safetensors_header(file)
        found |= {str(entry["dtype"]) for entry in (header or {}).values() if "F" in str(entry.get("dtype"))}
    return found


def safetensors_header(file: Path) -> tuple[dict[str, dict[str, Any]] | None, str]:
    """({tensor: {dtype, shape, data_offsets}}, "") of a safetensors file, or (None, its problem)."""
    size = file.stat().st_size
    try:
        with open(file, "rb") as opened:
            length = struct.unpack("<Q", opened.read(8))[0]
            if not 2 <= length <= min(size - 8, 100_000_000):
                raise ValueError
            header = json.loads(opened.read(length))
        header.pop("__metadata__", None)
        end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
    except (OSError, struct.error, ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None, f"{file.name} is damaged (no readable safetensors header; {size:,} bytes)"
    if 8 + length + end != size:
        return None, f"{file.name} is cut or damaged: it has {size:,} bytes, its header says {8 + length + end:,}"
    if not header:
        return None, f"{file.name} holds no weights"
    return header, ""


def _json(file: Path, found: list[str], required: bool = False) -> dict[str, Any]:
    """The JSON object in a file; {} and an added problem where there is none."""
    if not file.is_file():
        found += [f"has no {file.parent.name}/{file.name}"] if required else []
        return {}
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        found.append(f"{file.parent.name}/{file.name} can't be read ({type(error).__name__}: {str(error)[:120]})")
        return {}
    if not isinstance(value, dict):
        found.append(f"{file.name} holds no JSON object")
        return {}
    return value


def _settings(folder: Path, found: list[str]) -> None:
    """Check config_sentence_transformers.json: prompts, similarity function, truncation."""
    settings = _json(folder / "config_sentence_transformers.json", found)
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(text is None or isinstance(text, str) for text in prompts.values()):
        found.append("prompts in config_sentence_transformers.json must be texts by name")
    kept = settings.get("truncate_dim")
    if kept is not None and (not isinstance(kept, int) or isinstance(kept, bool) or kept < 1):
        found.append(f"truncate_dim in config_sentence_transformers.json is {kept!r}; it must be a whole number of at least 1")
    name = settings.get("similarity_fn_name")
    if name is not None and name not in SIMILARITIES:
        found.append(f"similarity_fn_name is {name!r}; known: {', '.join(SIMILARITIES)}")


def _modules(folder: Path, found: list[str]) -> list[tuple[str, Path]]:
    """(class, folder) of each module that modules.json names, as far as they are there."""
    try:
        listed = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        found.append(f"modules.json can't be read ({type(error).__name__}: {str(error)[:120]})")
        return []
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        found.append("modules.json must list the model's modules, and lists none")
        return []
    named: list[tuple[str, Path]] = []
    for one in listed:
        kind, path = str(one.get("type")), str(one.get("path", ""))
        package, _, name = kind.rpartition(".")
        place = folder / path
        if package.split(".")[0] != "sentence_transformers":
            found.append(f"module {kind!r} is code of the model's own, which is never executed")
        elif name not in (*FIRST_MODULES, *LATER_MODULES):
            found.append(f"module {name} is not supported; supported: {', '.join((*FIRST_MODULES, *LATER_MODULES))}")
        elif not place.resolve().is_relative_to(folder.resolve()):
            found.append(f"module {name} has the path {path!r}, outside the model's folder")
        elif not place.is_dir() and name in (*FIRST_MODULES, *CONFIGURED):
            found.append(f"module {name} should be in {path!r}, which is missing")
        else:
            named.append((name, place))
    return named if len(named) == len(listed) else []


def _transformer(place: Path, found: list[str]) -> None:
    """Check a transformer: configuration, weights, tokenizer."""
    if (place / "adapter_config.json").is_file():
        found.append("holds an adapter (adapter_config.json) and not the whole model; merge it into its base first")
        return
    config = _json(place / "config.json", found, required=True)
    if (place / "config.json").is_file() and not isinstance(config.get("model_type"), str):
        found.append("holds no model that is known: config.json names no model_type")
    if nought := [name for name in LAYER_COUNTS if name in config and config[name] in (0, False, None)]:
        found.append(f"config.json gives {nought[0]} as {json.dumps(config[nought[0]])}: a model needs at least one layer")
    limit = _json(place / "sentence_bert_config.json", found).get("max_seq_length")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < MIN_TOKENS):
        found.append(
            f"max_seq_length in sentence_bert_config.json is {limit!r}; it must be a whole number of at least {MIN_TOKENS}"
        )
    found += _weights(place)
    if not any((place / name).is_file() for name in TOKENIZERS) and not any(place.glob("*.model")) and not any(place.glob("*.spm")):
        found.append(f"holds no tokenizer (none of {', '.join(TOKENIZERS[:3])}, *.model)")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        _json(place / name, found)


def _weights(place: Path) -> list[str]:
    """Problems of the weights in a folder, by their headers."""
    there = [place / name for name in WEIGHTS if (place / name).is_file()]
    if not there:
        return [f"holds no model weights (none of {', '.join(WEIGHTS[::2])} in {place.name})"]
    return [problem for file in _shards(there[0]) for problem in _file(file, place)]


def _shards(file: Path) -> Iterator[Path]:
    """The weight files: `file`, or the files that it lists where it is an index."""
    if file.suffix != ".json":
        yield file
        return
    listed = _json(file, []).get("weight_map")
    names = set(listed.values()) if isinstance(listed, dict) else set()
    yield from (file.parent / str(name) for name in sorted(names, key=str)) if names else [file]


def _file(file: Path, place: Path) -> list[str]:
    """Problems of one weight file in the folder `place`."""
    if not file.is_relative_to(place) or ".." in file.relative_to(place).parts:
        return [f"its weights are listed as {str(file)!r}, outside the model's folder"]
    if not file.is_file():
        return [f"{file.name}, a part of the weights, is missing"]
    if file.suffix == ".json":
        return [f"{file.name} names no files of weights"]
    if file.suffix == ".safetensors":
        problem = safetensors_header(file)[1]
        return [problem] if problem else []
    return [] if file.stat().st_size else [f"{file.name} is empty"]
