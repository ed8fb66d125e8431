"""`--set path.to.setting=value`: a recipe changed before it is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adapt.errors import did_you_mean
from adapt.recipe import yaml_lines
from adapt.recipe.problems import Problems


def apply(override: str, raw: dict[str, Any], problems: Problems) -> None:
    """Write one override into `raw`; steps go by id or number. What can't be done becomes a problem."""
    where, equals, text = override.partition("=")
    if not equals or not where:
        problems.found.append(f"--set {override}: write path.to.setting=value")
        return
    value = yaml_lines.parse(text)
    if where.split(".")[0] in ("data", "checks", "model"):
        value = _from_here(value)
    place: Any = raw
    path: list[Any] = []
    parts = where.split(".")
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(place, list):
            number = _step_number(place, part)
            if number is None:
                problems.found.append(f"--set {where}: no step '{part}'.{did_you_mean(part, _step_ids(place))}")
                return
            word, settings = split_step(place[number])
            settings = dict(settings) if isinstance(settings, dict) else {}
            place[number] = {word: settings}
            place, path = settings, [*path, number, word]
            continue
        path.append(part)
        if last:
            place[part] = value
            problems.changed.add(tuple(path))
        else:
            if not isinstance(place.get(part), (dict, list)):
                place[part] = {} if place.get(part) is None else {"dev": place[part]}
            place = place[part]


def _step_ids(steps: list[Any]) -> list[str]:
    return [str(s.get("id", w)) if isinstance(s, dict) else w for w, s in map(split_step, steps)]


def _step_number(steps: list[Any], name: str) -> int | None:
    ids = _step_ids(steps)
    if name in ids:
        return ids.index(name)
    return int(name) if name.isdigit() and int(name) < len(steps) else None


def _from_here(value: Any) -> Any:
    """A value typed on a command line, with the paths in it that lead somewhere made absolute: they start where the user stands."""
    if isinstance(value, dict):
        return {key: _from_here(part) for key, part in value.items()}
    if isinstance(value, str) and Path(value).expanduser().exists():
        return str(Path(value).expanduser().resolve())
    return value


def split_step(item: Any) -> tuple[str, Any]:
    """(stage word, settings) of a list item: `tsdae`, or `tsdae: {...}`."""
    if isinstance(item, dict) and len(item) == 1:
        word, settings = next(iter(item.items()))
        return str(word), {} if settings is None else settings
    return (item, {}) if isinstance(item, str) else (str(item), None)
