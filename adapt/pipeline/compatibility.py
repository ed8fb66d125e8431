"""Checks before a run: whether the models that a recipe names exist, are valid, and fit its steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapt.errors import UserError
from adapt.models import lookup, model_folder
from adapt.recipe import Recipe
from adapt.recipe.wiring import Scope
from adapt.records import CrossEncoder, Encoder


def named_models(recipe: Recipe, download: bool) -> dict[str, Encoder | CrossEncoder]:
    """The models that steps name by path or hub name, beside the base; raises UserError for all that are missing or do not fit."""
    found: dict[str, Encoder | CrossEncoder] = {}
    problems = []
    for step in recipe.steps:
        for name, kinds in step.models.items():
            where = f"{recipe.file}: step '{step.id}': {next(param for param, names in step.inputs.items() if name in names)}"
            try:
                folder = lookup.find_model(name, recipe.file.parent, download)
                model_folder.require_valid(folder)
            except UserError as error:
                problems += [f"{where}: {problem}" for problem in error.problems]
                continue
            own = "cross-encoder" if lookup.is_cross_encoder(folder) else "encoder"
            problems += [f"{where}: '{name}' is no {kind}, but an {own}".replace("an c", "a c") for kind in kinds if kind != own]
            found[name] = CrossEncoder(folder) if own == "cross-encoder" else Encoder(folder)
    if problems:
        raise UserError(problems)
    return found


def architecture(folder: Path) -> Mapping[str, object]:
    """config.json of a model's transformer; empty where there is none."""
    return lookup.read_config(folder) or lookup.read_config(folder / "0_Transformer")


def refuse_misfits(recipe: Recipe, base: Path, named: Mapping[str, Encoder | CrossEncoder]) -> None:
    """Raise UserError with every step that its model can't do: its architecture lacks a part, or has too few positions."""
    problems = []
    # A trained model has the architecture of its initial model, and its dimension unless a step changes the pooling.
    others = {name: _facts(model.path) for name, model in named.items()}
    scope: Scope[_Facts | None] = Scope(dict.fromkeys(recipe.data), _facts(base))
    for step in recipe.steps:
        models = {param: scope[names[0]] if names[0] in scope else others[names[0]] for param, names in step.inputs.items()}
        model = next((models[param] for param in ("cross_encoder", "model") if param in models), scope["model"])
        assert model is not None
        config = architecture(model.folder)
        widths = {param: of.width for param, of in models.items() if of is not None and of.width is not None}
        if not step.stage.keeps_dimension():
            widths.pop("model", None)
        if isinstance(hidden := config.get("hidden_size"), int):
            widths["hidden"] = hidden
        wrong = [*step.stage.model_problems(config, model.is_embedder), *step.stage.dimension_problems(widths)]
        problems += [f"{recipe.file}: step '{step.id}': {problem}" for problem in wrong]
        made = step.stage.output_kind()
        width = model.width if step.stage.keeps_dimension() else None
        output = _Facts(model.folder, made == "encoder", width) if made in ("encoder", "cross-encoder") else None
        scope.define(step.id, type(step.stage), output)
    if problems:
        raise UserError(problems)


@dataclass(frozen=True)
class _Facts:
    """What the checks above need of a model: the folder with its architecture, its kind, its dimensions where they are known."""

    folder: Path
    is_embedder: bool
    width: int | None


def _facts(folder: Path) -> _Facts:
    return _Facts(folder, model_folder.is_sentence_transformer(folder), model_folder.embedding_dimension(folder))
