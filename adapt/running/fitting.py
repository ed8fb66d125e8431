"""What can be known before a run: whether the models that a recipe names are there, look sound, and can do its steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt import model_folder, models
from adapt.errors import UserError
from adapt.recipe import Recipe
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
                model_folder.check(folder)
            except UserError as error:
                problems += [f"{where}: {problem}" for problem in error.problems]
                continue
            own = "cross-encoder" if models.is_cross_encoder(folder) else "encoder"
            problems += [f"{where}: '{name}' is no {kind}, but an {own}".replace("an c", "a c") for kind in kinds if kind != own]
            found[name] = CrossEncoder(folder) if own == "cross-encoder" else Encoder(folder)
    if problems:
        raise UserError(problems)
    return found


def is_embedder(folder: Path) -> bool:
    """Whether a folder holds an embedder, and no plain language model."""
    return (folder / "modules.json").is_file()


def architecture(folder: Path) -> Mapping[str, Any]:
    """config.json of a model's transformer; empty where there is none."""
    return models.configuration(folder) or models.configuration(folder / "0_Transformer")


def refuse_misfits(recipe: Recipe, base: Path, named: Mapping[str, Encoder | CrossEncoder]) -> None:
    """Raise UserError with every step that its model can't do: its architecture lacks a part, or has too few positions."""
    problems = []
    # Whatever a model was made by, it has the architecture of what it started from: (its folder, whether it is an embedder).
    known = {name: (model.path, is_embedder(model.path)) for name, model in named.items()}
    known |= {"model": (base, is_embedder(base)), "base": (base, is_embedder(base))}
    for step in recipe.steps:
        name = next((step.inputs[param][0] for param in ("cross_encoder", "model") if param in step.inputs), "model")
        own, tuned = known.get(name, known["base"])
        taken = {param: known[names[0]][0] for param, names in step.inputs.items() if names[0] in known}
        widths = {param: width for param, folder in taken.items() if (width := model_folder.width(folder))}
        hidden = architecture(own).get("hidden_size")
        widths |= {"hidden": hidden} if isinstance(hidden, int) else {}
        wrong = [*step.stage.misfits(architecture(own), tuned), *step.stage.width_problems(widths)]
        problems += [f"{recipe.file}: step '{step.id}': {problem}" for problem in wrong]
        made = step.stage.makes()
        if made in ("encoder", "cross-encoder"):
            known |= dict.fromkeys((step.id, "model" if made == "encoder" else step.stage.product), (own, made == "encoder"))
    if problems:
        raise UserError(problems)
