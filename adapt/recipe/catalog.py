"""The recipes and corpora that ship with the package, and where a recipe's file is."""

from __future__ import annotations

from pathlib import Path

from adapt.errors import UserError, did_you_mean, shorten_path
from adapt.files.paths import resolve_path
from adapt.recipe import yaml_lines

PACKAGE = Path(__file__).parent.parent


def shipped_root() -> Path:
    """The folder that holds `recipes/` and `corpora/`: inside the package when installed, beside it in a checkout."""
    return PACKAGE if (PACKAGE / "recipes").is_dir() else PACKAGE.parent


def shipped() -> dict[str, Path]:
    """Name → file of every recipe that comes with the package."""
    return {file.stem: file for file in sorted((shipped_root() / "recipes").glob("*.yaml"))}


def descriptions() -> dict[str, str]:
    """Name → description of every recipe that comes with the package."""
    parsed = {name: yaml_lines.load(file)[0] for name, file in shipped().items()}
    return {name: str(raw.get("description", "")) for name, raw in parsed.items() if isinstance(raw, dict)}


def find(name: str) -> Path:
    """The file of a recipe: a path, a folder with a recipe.yaml, or the name of one that ships; raises UserError."""
    path = resolve_path(name) if name else None
    if path and path.is_file():
        return path
    if path and path.is_dir() and (inside := resolve_path(path / "recipe.yaml")):
        return inside
    if name in shipped():
        return shipped()[name]
    if path:
        what = "a folder without recipe.yaml" if path.is_dir() else "no regular file"
        raise UserError(
            f"recipe '{shorten_path(name)}': is {what}; give a file, a folder with recipe.yaml, or the name of one that ships"
        )
    raise UserError(f"recipe '{shorten_path(name)}': no such file, and none of that name ships.{did_you_mean(name, shipped())}")
