"""`--set path.to.setting=value`: a recipe changed before it is checked."""

from __future__ import annotations

from typing import Any

from adapt.errors import UserError, did_you_mean
from adapt.files.options import ReadOptions
from adapt.files.paths import existing
from adapt.recipe import yaml_lines
from adapt.recipe.problems import Problems
from adapt.recipe.spec import TOP
from adapt.recipe.values import shown

# Keys below these are metrics, which have a dot of their own: gate.guard.sts.spearman=-0.01.
NO_PATHS = ("kind", "role", "limit", "leaks", "pool", "at", *ReadOptions.model_fields)
METRICS = (("gate", "guard"), ("gate", "transfer"))


def apply(override: str, raw: dict[str, Any], problems: Problems) -> None:
    """Write one override into `raw`; steps go by id or number. What can't be done becomes a problem."""
    where, equals, text = override.partition("=")
    parts = where.split(".")
    if not equals or not all(parts):
        problems.found.append(f"--set {shown(override)}: write path.to.setting=value")
        return
    if parts[0] not in TOP:
        problems.found.append(f"--set {where}: unknown key '{parts[0]}'.{did_you_mean(parts[0], TOP)}")
        return
    if tuple(parts[:2]) in METRICS and len(parts) > 3:
        parts = [*parts[:2], ".".join(parts[2:])]
    try:
        value = yaml_lines.parse(text)
        if parts[0] in ("data", "checks", "model"):
            value = value if parts[:2] == ["data", "columns"] else _from_here(value, parts[-1])
    except UserError as error:
        problems.found += [f"--set {where}: {problem.lstrip()}" for problem in error.problems]
        return
    place: Any = raw
    path: list[Any] = []
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(place, list) and path == ["stages"]:
            number = _step_number(place, part)
            if number is None:
                problems.found.append(f"--set {where}: no step '{part}'.{did_you_mean(part, _step_ids(place))}")
                return
            word, settings = split_step(place[number])
            path += [number, word]
            if last:
                place[number] = {word: value}
                problems.changed[tuple(path)] = where
                return
            settings = dict(settings) if isinstance(settings, dict) else {}
            place[number] = {word: settings}
            place = settings
            continue
        path.append(part)
        if last:
            place[part] = value
            problems.changed[tuple(path)] = where
            return
        inside = place.get(part)
        if inside is None:
            inside = {}
        elif path[:-1] == ["checks"] and isinstance(inside, str):
            inside = {"dev": inside}
        elif path[0] == "checks" and len(path) == 3 and part in ("dev", "test") and isinstance(inside, str):
            inside = {"folder": inside}  # checks.retrieval.dev.pool=500
        if not isinstance(inside, dict) and not (isinstance(inside, list) and path == ["stages"]):
            problems.found.append(
                f"--set {where}: '{'.'.join(map(str, path))}' is {shown(inside)}, which has no '{parts[depth + 1]}'"
            )
            return
        place[part] = inside
        place = inside


def _step_ids(steps: list[Any]) -> list[str]:
    return [str(s.get("id", w)) if isinstance(s, dict) else w for w, s in map(split_step, steps)]


def _step_number(steps: list[Any], name: str) -> int | None:
    ids = _step_ids(steps)
    if name in ids:
        return ids.index(name)
    return int(name) if name.isascii() and name.isdigit() and len(name) < 7 and int(name) < len(steps) else None


def _from_here(value: Any, key: str = "") -> Any:
    """A value typed on a command line, with the paths in it that lead somewhere made absolute: they start where the user stands."""
    if key in NO_PATHS:
        return value
    if isinstance(value, dict):
        return {name: _from_here(part, name) for name, part in value.items()}
    if isinstance(value, str) and value and (found := existing(value)):
        return str(found.resolve())
    return value


def split_step(item: Any) -> tuple[str, Any]:
    """(stage word, settings) of a list item: `tsdae`, or `tsdae: {...}`; settings are None where it is neither."""
    if isinstance(item, dict) and len(item) == 1:
        word, settings = next(iter(item.items()))
        return str(word), {} if settings is None else settings
    return (item, {}) if isinstance(item, str) else (shown(item), None)
