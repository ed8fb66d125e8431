"""What can be known before a run: whether the models that a recipe names are there and can do its steps, and its data be read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from adapt import checks, files, models
from adapt.errors import UserError
from adapt.recipe import DATA, Recipe
from adapt.records import CrossEncoder, Encoder


def named_models(recipe: Recipe, download: bool) -> dict[str, Encoder | CrossEncoder]:
    """The models that steps name by path or hub name, beside the base; raises UserError for all that are missing or do not fit."""
    found: dict[str, Encoder | CrossEncoder] = {}
    problems = []
    for step in recipe.steps:
        for name, kinds in step.models.items():
            where = f"{recipe.file}: step '{step.id}': {next(param for param, names in step.inputs.items() if name in names)}"
            try:
                folder = models.locate(name, recipe.file.parent, download)
            except UserError as error:
                problems += [f"{where}: {problem}" for problem in error.problems]
                continue
            own = "cross-encoder" if models.is_cross_encoder(folder) else "encoder"
            problems += [f"{where}: '{name}' is no {kind}, but an {own}".replace("an c", "a c") for kind in kinds if kind != own]
            found[name] = CrossEncoder(folder) if own == "cross-encoder" else Encoder(folder)
    if problems:
        raise UserError(problems)
    return found


def refuse_misfits(recipe: Recipe, base: Path, named: Mapping[str, Encoder | CrossEncoder]) -> None:
    """Raise UserError with every step that its model can't do: its architecture lacks a part, or has too few positions."""
    problems = []
    trained = False
    for step in recipe.steps:
        # Whatever a model was made by, it has the architecture of what it started from: the base, unless a step names another.
        names = [name for param in ("model", "cross_encoder") for name in step.inputs.get(param, ()) if name in named]
        own = named[names[0]].path if names else base
        tuned = (own / "modules.json").is_file() or (trained and not names)
        problems += [f"{recipe.file}: step '{step.id}': {problem}" for problem in step.stage.misfits(_config(own), tuned)]
        trained = trained or step.stage.makes() == "encoder"
    if problems:
        raise UserError(problems)


def refuse_unreadable(recipe: Recipe) -> None:
    """Read all local data and checks' data; raises UserError with the problems of every file. Hub data are left to the run."""
    problems: list[str] = []
    readers: list[Callable[[], Any]] = [
        partial(files.read, source, DATA[name]) for name, source in recipe.data.items() if _is_local(source)
    ]
    for spec in recipe.checks.values():
        for split in ("dev", "test"):
            source = getattr(spec, split)
            if source is not None and _is_local(source):
                readers.append(partial(checks.find(spec.kind).read, source, split))
    for read in readers:
        try:
            read()
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(dict.fromkeys(problems))


def _is_local(source: Any) -> bool:
    parts = source.values() if isinstance(source, Mapping) else [source]
    return not any(str(part).startswith("hf://") for part in parts)


def _config(folder: Path) -> dict[str, Any]:
    """What the model's config.json says; nothing where it is not there or no JSON (opening the model says what is wrong)."""
    for place in (folder, folder / "0_Transformer"):
        try:
            found = json.loads((place / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return found if isinstance(found, dict) else {}
    return {}
