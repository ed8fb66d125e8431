"""Old names that still work: one table of settings, values and stages that were renamed, and how a step is rewritten by it.

Each use warns once, by `AliasWarning`. A stage's settings are rewritten where a recipe is read (`rename_in_recipe`) and where a
command's options are parsed (`rename`).
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

Keys = tuple[Any, ...]
DROP: Final = object()  # a converted value: the setting is left at its default
NO_DEFAULT: Final = object()


class AliasWarning(FutureWarning):
    """An old name was used, which still works."""


@dataclass(frozen=True)
class Alias:
    """The setting that an old one is today: `new` is its path; `values` are its renamed values, `function` computes the new value.

    `only`, `default`: an old default value is dropped where the loss is not among `only`, since every loss accepted it.
    """

    new: str
    function: Callable[[Any], object] | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    default: object = NO_DEFAULT

    def convert(self, value: object) -> object:
        if isinstance(value, str):
            value = self.values.get(value, value)
        return self.function(value) if self.function else value


def _relative_margin(share: object) -> object:
    return round(1 - share, 12) if isinstance(share, (int, float)) and not isinstance(share, bool) else share


def _soft_margin(soft: object) -> object:
    return "soft" if soft is True else DROP if soft is False else soft


RANKING = ("mnrl", "triplet", "margin-mse")
CONTRASTIVE = ("contrastive", "online-contrastive")
TRAINING_STAGES = ("tsdae", "mlm", "simcse", "embedding-denoising", "cross-encoder", "finetune", "align")
# `tsdae: {objective: ...}` → the stage of today.
OBJECTIVES = {"denoise": "tsdae", "mlm": "mlm", "simcse": "simcse", "vectors": "embedding-denoising"}
TRAINING = {
    "warmup": Alias("optimizer.warmup_ratio"), "scheduler": Alias("optimizer.lr_scheduler"),
    "weight_decay": Alias("optimizer.weight_decay"),
}  # fmt: skip
_EARLY_STOPPING = {"held_out": Alias("early_stopping.held_out"), "patience": Alias("early_stopping.patience")}
_START = {"start": Alias("base_type", values={"raw": "language-model", "tuned": "embedding-model"})}
_DECODER = {
    "tied": Alias("decoder.tied"), "decoder_layers": Alias("decoder.layers"),
    "decoder_learning_rate": Alias("decoder.learning_rate"), "frozen": Alias("freeze_encoder_ratio"),
}  # fmt: skip
SETTINGS: Mapping[str, Mapping[str, Alias]] = {
    "tsdae": {**_START, **_DECODER, **_EARLY_STOPPING},
    "mlm": {
        **_START,
        **_EARLY_STOPPING,
        "masked": Alias("mask_ratio"),
        "decoder_learning_rate": Alias("head_learning_rate"),
        "frozen": Alias("freeze_encoder_ratio"),
    },
    "simcse": {**_START, "held_out": Alias("early_stopping.held_out", lambda share: share or DROP)},
    "embedding-denoising": {**_START, **_EARLY_STOPPING},
    "finetune": {
        **_EARLY_STOPPING,
        "scale": Alias("loss.scale", only=("mnrl", "cosent", "angle"), default=20),
        "symmetric": Alias("loss.symmetric", only=("mnrl",), default=False),
        "batching": Alias(
            "loss.batching", values={"spread": "no_duplicates", "gathered": "grouped"}, only=("mnrl",), default="no_duplicates"
        ),
        "negatives": Alias("loss.negatives", only=RANKING, default=1),
        "distance": Alias("loss.distance", only=("triplet",), default="squared"),
        "margin": Alias("loss.margin", lambda margin: DROP if margin is None else margin),
        "soft_margin": Alias("loss.margin", _soft_margin),
        "in_batch": Alias("loss.in_batch", only=("triplet",), default="none"),
        "guide_margin": Alias("loss.guide_margin", only=("mnrl", "triplet"), default=0.05),
        "guide_bound": Alias("loss.guide_margin_strategy", only=("mnrl", "triplet"), default="relative"),
        "positives_from": Alias("loss.positive_threshold", lambda score: DROP if score is None else score),
        "matryoshka_weights": Alias("matryoshka.weights"),
        "mixing": Alias("mixing", values={"apart": "separate"}),
    },
    "align": {"mse": Alias("mse_weight"), "contrastive": Alias("contrastive_weight")},
    "mine": {
        "finders": Alias("retrievers"),
        "max_share": Alias("relative_margin", _relative_margin),
        "margin": Alias("absolute_margin"),
        "max_judged": Alias("max_cross_encoder_score"),
        "strategy": Alias("sampling_strategy"),
    },
    "silver": {
        "calibrated": Alias("calibrate"),
        "min_agreement": Alias("min_spearman"),
        "target": Alias("target_distribution"),
        "per_text": Alias("max_per_text"),
    },
    "pairs": {"per_document": Alias("max_per_document")},
    "blend": {"share": Alias("alpha")},
}
# Settings of the old `tsdae` that its objective did not use, and accepted.
UNUSED: Mapping[str, tuple[str, ...]] = {
    "tsdae": ("masked", "ridge", "scale"),
    "mlm": ("deletion_ratio", "ridge", "scale", "tied", "decoder_layers"),
    "simcse": ("deletion_ratio", "masked", "ridge", "tied", "decoder_layers", "decoder_learning_rate", "frozen", "patience"),
    "embedding-denoising": ("masked", "scale", "tied", "decoder_layers", "decoder_learning_rate", "frozen"),
}
# Old settings whose value `null` was a default that is a number or a word today.
NULL_DEFAULTS = ("unit", "dropout", "learning_rate", "retain")
# A bare value of a group is the setting of this name: `loss: mnrl`.
SHORTHAND = {"loss": "name", "matryoshka": "dims"}


def of_stage(stage: str) -> dict[str, Alias]:
    """Old setting → its alias, for a stage."""
    return {**(TRAINING if stage in TRAINING_STAGES else {}), **SETTINGS.get(stage, {})}


@dataclass
class Renamed:
    """A step as it is written today: where each setting came from, a note for each old name, and what is wrong, by its old key."""

    stage: str
    settings: dict[str, Any]
    moved: dict[Keys, str] = field(default_factory=dict)  # new path → the key as it was written
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def rename(stage: str, given: Mapping[str, object], overridden: Callable[[Keys], bool] = lambda path: False) -> Renamed:
    """A stage and its settings with today's names. `overridden`: whether a path of the settings was set on the command line.

    Such a value wins over one that the recipe gives by the other name; otherwise giving both is a problem.
    """
    found = Renamed(stage, dict(given))
    _rename_objective(found)
    table, settings = of_stage(found.stage), found.settings
    for name in NULL_DEFAULTS if found.stage in UNUSED else ():
        if name in settings and settings[name] is None:
            del settings[name]
    for key in list(settings):
        name = str(key).replace("-", "_")
        alias = table.get(name)
        if name in UNUSED.get(found.stage, ()) and name not in table:
            del settings[key]
            found.notes.append(f"'{key}' is not used by {found.stage} and is ignored")
        elif alias is not None:
            _move(found, key, alias, overridden)
    return found


def rename_value(stage: str, setting: str, value: object) -> object:
    """A value of an old setting as it is written today; itself for a setting that is no alias."""
    alias = of_stage(stage).get(setting.replace("-", "_"))
    return value if alias is None or (converted := alias.convert(value)) is DROP else converted


def rename_in_recipe(raw: Mapping[str, Any], lines: MutableMapping[Keys, int], changed: MutableMapping[Keys, str]) -> Sequence[Any]:
    """Rewrite the steps and the sweep of a recipe in place, and warn of each old name once; returns (path, problem) pairs.

    `lines`: the line of each path; `changed`: the paths that were set on the command line. Both get the new paths, too.
    """
    problems: list[tuple[Keys, str]] = []
    notes: dict[str, None] = {}
    of_step: dict[str, str] = {}  # id → stage
    steps = raw.get("stages")
    for number, item in enumerate(steps if isinstance(steps, list) else []):
        word, given = next(iter(item.items())) if isinstance(item, dict) and len(item) == 1 else (item, {})
        if not isinstance(word, str) or not isinstance(given, (dict, type(None))):
            continue
        path: Keys = ("stages", number, word)
        typed = [keys[3:] for keys in changed if keys[:3] == path and len(keys) > 3]
        done = rename(word, given or {}, partial(_is_typed, typed))
        for table in (lines, changed):
            _follow(table, path, ("stages", number, done.stage), done.moved)
        problems += [((*path, key), text) for key, text in done.problems]
        notes |= dict.fromkeys(done.notes)
        if (done.stage, done.settings) != (word, given or {}):
            steps[number] = {done.stage: done.settings}  # type: ignore[index]
        own = done.settings.get("id")
        of_step[own if isinstance(own, str) else done.stage] = done.stage
    sweep = raw.get("sweep")
    for step, swept in sweep.items() if isinstance(sweep, dict) else ():
        if isinstance(swept, dict) and step in of_step:
            notes |= dict.fromkeys(_rename_swept(of_step[step], ("sweep", step), swept, lines, changed))
    for note in notes:
        warn(note)
    return problems


def warn(note: str) -> None:
    """Warn of an old name."""
    warnings.warn(AliasWarning(note), stacklevel=2)


def _is_typed(typed: Sequence[Keys], path: Keys) -> bool:
    """Whether one of the paths that were typed is that path or leads to it."""
    return any(path[: len(keys)] == keys for keys in typed)


def show_as_notes() -> None:
    """Print every warning of an old name to stderr as a note, without the line of code that it comes from."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *more: Any, **named: Any) -> None:
        if issubclass(category, AliasWarning):
            print(f"note: {message}", file=sys.stderr)
        else:
            usual(message, category, *more, **named)

    warnings.filterwarnings("always", category=AliasWarning)
    warnings.showwarning = show


def _rename_objective(found: Renamed) -> None:
    """`tsdae: {objective: mlm}` is the stage mlm, whose step keeps its id."""
    objective = found.settings.get("objective")
    if found.stage not in UNUSED or not isinstance(objective, str) or objective not in OBJECTIVES:
        return
    del found.settings["objective"]
    stage = OBJECTIVES[objective]
    if stage == found.stage:
        found.notes.append(f"'objective: {objective}' is what stage '{stage}' does; leave it out")
        return
    found.settings.setdefault("id", found.stage)
    found.notes.append(f"'{found.stage}: {{objective: {objective}}}' is now the stage '{stage}'; the old form still works")
    found.stage = stage


def _move(found: Renamed, key: str, alias: Alias, overridden: Callable[[Keys], bool]) -> None:
    settings, path = found.settings, tuple(alias.new.split("."))
    value = alias.convert(settings[key])
    if path == (key,):  # only some of its values were renamed
        if value != settings[key]:
            found.notes.append(f"'{key}: {settings[key]}' is now '{key}: {value}'; the old value still works")
            settings[key] = value
        return
    found.notes.append(f"'{key}' is now '{alias.new}'; the old name still works")
    del settings[key]
    if value is DROP or (value == alias.default and alias.only and _loss(settings) not in alias.only):
        return
    place, inner = settings, path[0]
    if len(path) > 1:
        group, inner = settings.get(path[0]), path[1]
        if group is not None and not isinstance(group, dict):
            group = {SHORTHAND[path[0]]: group} if path[0] in SHORTHAND else None
        place = dict(group or {})
        settings[path[0]] = place
    if inner in place and not overridden((key,)):
        if not overridden(path):
            found.problems.append((key, f"'{key}' and '{alias.new}' are the same setting; give one of the two"))
        return
    place[inner] = value
    found.moved[path] = key


def _loss(settings: Mapping[str, object]) -> str:
    loss = settings.get("loss", "mnrl")
    return str(loss.get("name", "mnrl") if isinstance(loss, dict) else loss)


def _follow(table: MutableMapping[Keys, Any], old: Keys, new: Keys, moved: Mapping[Keys, str]) -> None:
    """Enter the new paths of a step beside the old ones."""
    if new != old:
        table.update({(*new, *keys[len(old) :]): value for keys, value in list(table.items()) if keys[: len(old)] == old})
    for path, key in moved.items():
        for keys, value in list(table.items()):
            if keys[: len(old) + 1] == (*old, key):
                table[(*new, *path, *keys[len(old) + 1 :])] = value


def _rename_swept(
    stage: str, path: Keys, swept: dict[str, Any], lines: MutableMapping[Keys, Any], changed: MutableMapping[Keys, Any]
) -> list[str]:
    """Rewrite the settings of one step's sweep in place; a note for each old name."""
    notes, table = [], of_stage(stage)
    for key, tried in list(swept.items()):
        alias = table.get(str(key).replace("-", "_"))
        renamed = [rename_value(stage, key, value) for value in tried] if isinstance(tried, list) else tried
        if alias is None or (alias.new == key and renamed == tried):
            continue
        del swept[key]
        swept[alias.new] = renamed
        notes.append(f"'{key}' is now '{alias.new}'; the old name still works")
        for found in (lines, changed):
            if (*path, key) in found:
                found[(*path, alias.new)] = found[(*path, key)]
    return notes
