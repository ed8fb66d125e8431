"""What can be known before a run: whether the models that a recipe names are there, look sound, and can do its steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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


def refuse_misfits(recipe: Recipe, base: Path, named: Mapping[str, Encoder | CrossEncoder]) -> None:
    """Raise UserError with every step that its model can't do: its architecture lacks a part, or has too few positions."""
    problems = []
    trained = False
    for step in recipe.steps:
        # Whatever a model was made by, it has the architecture of what it started from: the base, unless a step names another.
        names = [name for param in ("model", "cross_encoder") for name in step.inputs.get(param, ()) if name in named]
        own = named[names[0]].path if names else base
        tuned = (own / "modules.json").is_file() or (trained and not names)
        problems += [
            f"{recipe.file}: step '{step.id}': {problem}"
            for problem in step.stage.misfits(models.configuration(own) or models.configuration(own / "0_Transformer"), tuned)
        ]
        trained = trained or step.stage.makes() == "encoder"
    if problems:
        raise UserError(problems)
