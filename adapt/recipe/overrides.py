"""Apply `--set path.to.setting=value` to the parsed YAML of a recipe, before the recipe is checked."""

from __future__ import annotations

from collections.abc import Sequence

from adapt.aliases import SHORTHAND
from adapt.errors import UserError, did_you_mean
from adapt.files.options import ReadOptions
from adapt.files.paths import resolve_path
from adapt.recipe import yaml_lines
from adapt.recipe.problems import KeyPath, Problems
from adapt.recipe.spec import KEYS
from adapt.recipe.values import format_value

# Values of these keys are never paths.
NO_PATHS = ("kind", "role", "limit", "leaks", "pool", "at", *ReadOptions.model_fields)
# Keys below these are metrics, which contain a dot: gate.guard.sts.spearman=-0.01.
METRICS = (["gate", "guard"], ["gate", "transfer"])


def apply(override: str, raw: dict[str, object], problems: Problems) -> None:
    """Apply one override to `raw`; a step is addressed by its id or number. Errors are added to `problems`."""
    where, equals, text = override.partition("=")
    parts = where.split(".")
    if not equals or not all(parts):
        problems.messages.append(f"--set {format_value(override)}: write path.to.setting=value")
        return
    if parts[0] not in KEYS:
        problems.messages.append(f"--set {where}: unknown key '{parts[0]}'.{did_you_mean(parts[0], KEYS)}")
        return
    if parts[:2] in METRICS and len(parts) > 3:
        parts = [*parts[:2], ".".join(parts[2:])]
    try:
        value = yaml_lines.parse(text)
        if parts[0] in ("data", "checks", "model") and parts[:2] != ["data", "columns"]:
            value = _absolute_paths(value, parts[-1])
        path = _assign(raw, parts, value)
    except UserError as error:
        problems.messages += [f"--set {where}: {problem.lstrip()}" for problem in error.problems]
    else:
        problems.overridden[path] = where


def _assign(raw: dict[str, object], parts: Sequence[str], value: object) -> KeyPath:
    """Set the value at these keys and create missing mappings; returns its key path. Raises UserError for a missing step or key."""
    place: object = raw
    path: list[str | int] = []
    for depth, part in enumerate(parts):
        is_last = depth == len(parts) - 1
        if isinstance(place, list) and path == ["stages"]:
            number = _step_number(place, part)
            word, settings = split_step(place[number])
            path += [number, word]
            settings = value if is_last else dict(settings) if isinstance(settings, dict) else {}
            place[number] = {word: settings}
            place = settings
        elif isinstance(place, dict):
            path.append(part)
            place[part] = value if is_last else _container(path, place.get(part), parts[depth + 1])
            place = place[part]
    return tuple(path)


def _container(path: list[str | int], inside: object, next_part: str) -> object:
    """The mapping or list at `path` that holds `next_part`; raises UserError where the value there can hold no keys."""
    if inside is None:
        return {}
    if path[:-1] == ["checks"] and isinstance(inside, str):
        return {"dev": inside}
    if path[0] == "checks" and len(path) == 3 and path[2] in ("dev", "test") and isinstance(inside, str):
        return {"folder": inside}  # checks.retrieval.dev.pool=500
    if path[0] == "stages" and len(path) == 4 and path[3] in SHORTHAND and not isinstance(inside, dict):
        return {SHORTHAND[str(path[3])]: inside}  # stages.finetune.loss.scale=30
    if isinstance(inside, dict) or (isinstance(inside, list) and path == ["stages"]):
        return inside
    raise UserError(f"'{'.'.join(map(str, path))}' is {format_value(inside)}, which has no '{next_part}'")


def _step_number(steps: Sequence[object], name: str) -> int:
    """The index of a step that is addressed by its id or number; raises UserError where there is none."""
    ids = [str(s.get("id", word)) if isinstance(s, dict) else word for word, s in map(split_step, steps)]
    if name in ids:
        return ids.index(name)
    if name.isascii() and name.isdigit() and len(name) < 7 and int(name) < len(steps):
        return int(name)
    raise UserError(f"no step '{name}'.{did_you_mean(name, ids)}")


def _absolute_paths(value: object, key: str = "") -> object:
    """A value of the command line with existing paths made absolute: they are relative to the working directory, not the recipe."""
    if key in NO_PATHS:
        return value
    if isinstance(value, dict):
        return {name: _absolute_paths(part, name) for name, part in value.items()}
    if isinstance(value, str) and value and (found := resolve_path(value)):
        return str(found.resolve())
    return value


def split_step(item: object) -> tuple[str, object]:
    """(stage, settings) of an item of `stages`: `tsdae`, or `tsdae: {...}`; the settings are None where it is neither."""
    if isinstance(item, dict) and len(item) == 1:
        word, settings = next(iter(item.items()))
        return str(word), {} if settings is None else settings
    return (item, {}) if isinstance(item, str) else (format_value(item), None)
