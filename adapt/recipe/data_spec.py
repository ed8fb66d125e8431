"""Where a recipe's data and its checks' data are: every path looked at, every key known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapt import checks
from adapt.errors import UserError, did_you_mean, short
from adapt.files.opening import regular
from adapt.files.options import ReadOptions
from adapt.files.paths import existing, near
from adapt.recipe.catalog import shipped_root
from adapt.recipe.identifiers import check_name_problem
from adapt.recipe.problems import Problems
from adapt.recipe.spec import LEAKS, CheckSpec
from adapt.recipe.values import shown, validated
from adapt.recipe.wiring import DATA_KINDS

KEYS = (*DATA_KINDS, "limit", "leaks", *ReadOptions.model_fields)  # what the section `data` may hold


def data(raw: Mapping[str, Any], file: Path, problems: Problems) -> tuple[dict[str, str], int | None, Any]:
    """({name: file, folder or hub address}, limit, leaks) of the recipe's data; what is wrong with them goes to `problems`."""
    section = raw.get("data")
    if not isinstance(section, dict):
        problems.say(("data",), "'data' must say where the texts, pairs or gold are")
        return {}, None, "remove"
    found, limit, leaks = {}, None, "remove"
    for name, value in section.items():
        if name == "leaks":
            leaks = value
            if value not in LEAKS:
                problems.say(("data", name), f"'leaks' can't be {shown(value)}.{did_you_mean(str(value), LEAKS)}")
            continue
        if name == "limit":
            limit = value
            if value is not None and (type(value) is not int or value < 1):
                problems.say(("data", name), f"'limit' must be a whole number of 1 or more (got {shown(value)})")
        elif name in ReadOptions.model_fields:  # see `read_settings`
            continue
        elif name not in DATA_KINDS:
            problems.say(("data", name), f"unknown data '{name}'.{did_you_mean(name, KEYS)}")
        elif value is not None and (place := _path(file, problems, ("data", name), value)):
            found[name] = place
    return found, limit, leaks


def read_settings(raw: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """How the data are read: settings of `ReadOptions`, `columns` for each of the data; what is wrong goes to `problems`."""
    section = raw.get("data")
    given = section if isinstance(section, dict) else {}
    found = {name: given[name] for name in ReadOptions.model_fields if given.get(name) is not None}
    columns = found.pop("columns", {})
    try:
        settings = validated(ReadOptions, found).model_dump(include=set(found))
    except ValidationError as error:
        problems.invalid(("data",), error, ReadOptions)
        settings = {}
    path = ("data", "columns")
    if not isinstance(columns, dict):
        problems.say(
            path, f"'columns' must be {{data: {{ours: theirs}}}}, as in {{pairs: {{anchor: Frage}}}} (got {shown(columns)})"
        )
        return settings
    for name, names in columns.items():
        if name not in DATA_KINDS and name in given:
            continue  # reported above
        if name not in DATA_KINDS or given.get(name) is None:
            there = [known for known in DATA_KINDS if given.get(known) is not None]
            problems.say((*path, name), f"'{name}' is none of the data.{did_you_mean(str(name), there)}")
        elif not isinstance(names, dict) or not all(isinstance(word, str) and word for pair in names.items() for word in pair):
            problems.say((*path, name), f"must be {{ours: theirs}}, as in {{anchor: Frage}} (got {shown(names)})")
    return {**settings, "columns": columns} if columns else settings


def check_specs(raw: Mapping[str, Any], file: Path, problems: Problems) -> dict[str, CheckSpec]:
    """The recipe's checks by name; what is wrong with them goes to `problems`."""
    section = raw.get("checks")
    if section is None:
        return {}
    if not isinstance(section, dict):
        problems.say(("checks",), "'checks' must be a mapping of names to {dev: ..., test: ..., role: ...}")
        return {}
    found = {}
    for name, value in section.items():
        path = ("checks", name)
        if value is None:  # `--set checks.sts=null` takes a check out
            continue
        if wrong := check_name_problem(name):
            problems.say(path, f"check {shown(name)} {wrong}")
            continue
        if not isinstance(value, dict):
            problems.say(path, f"check '{name}' must be a mapping: {{dev: file, test: file, role: target or guard}}")
            continue
        spec = {"kind": checks.kind_of(name), **value}
        if spec["kind"] not in checks.names():
            word = str(value.get("kind", name))
            problems.say(
                path, f"check '{name}' is of no known kind; name it ...-KIND or give kind.{did_you_mean(word, checks.names())}"
            )
            continue
        for split in ("dev", "test"):
            if spec.get(split) is not None:
                spec[split] = _source(file, problems, (*path, split), spec["kind"], spec[split])
        if value.get("dev") is None and value.get("test") is None:
            problems.say(path, f"check '{name}' has no data: give dev, test or both")
            continue
        if any(value.get(split) is not None and spec[split] is None for split in ("dev", "test")):
            continue  # reported above
        try:
            found[name] = validated(CheckSpec, spec)
        except ValidationError as error:
            problems.invalid(path, error, CheckSpec)
    return found


def _source(file: Path, problems: Problems, path: tuple[Any, ...], kind: str, value: Any) -> Any:
    """A check's data: a path, or for kinds that take parts a mapping of them to paths, with its settings."""
    if not isinstance(value, dict):
        return _path(file, problems, path, value)
    known = checks.find(kind).parts
    if not known:
        problems.say(path, f"data for '{kind}' are a file (got {shown(value)})")
        return None
    found: dict[str, Any] = {}
    for part, given in value.items():
        if part not in known:
            problems.say((*path, part), f"unknown key '{part}'.{did_you_mean(part, known)}")
        elif part == "pool":
            if given is not None and (type(given) is not int or given < 0):
                problems.say((*path, part), f"'pool' must be a whole number of 0 or more (got {shown(given)})")
            found[part] = given
        elif part == "at":
            if not all(type(k) is int and 1 <= k <= 1_000 for k in (given if isinstance(given, list) else [given])):
                problems.say((*path, part), f"'at' must be a list of ranks from 1 to 1,000 (got {shown(given)})")
            found[part] = given
        else:
            found[part] = _path(file, problems, (*path, part), given)
    return found


def _path(file: Path, problems: Problems, path: tuple[Any, ...], value: Any) -> str | None:
    """Where a data path leads: beside the recipe, or (for `corpora/...`) among what ships."""
    if not isinstance(value, str) or not value:
        problems.say(path, f"expected a file or folder (got {shown(value)})")
        return None
    if value.startswith("hf://"):
        if value.count("/") < 4 or value.endswith("/"):
            problems.say(path, f"{shown(value)}: write hf://owner/name/split or hf://owner/name:config/split")
        return value
    try:
        for folder in (file.parent, *([shipped_root()] if value.startswith("corpora/") else [])):
            if (found := existing(value, folder)) is not None:
                if not os.access(found, os.R_OK | (os.X_OK if found.is_dir() else 0)):
                    raise UserError(f"{short(value)}: can't be read (permission denied)")
                return str((found if found.is_dir() else regular(found)).resolve())
    except UserError as error:
        problems.say(path, str(error))
        return None
    tried = file.parent / value
    problems.say(path, f"no such file or folder: {short(value)} (looked in {short(tried.parent)}).{near(tried)}")
    return None
