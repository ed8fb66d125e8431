"""Parse the sections `data` and `checks` of a recipe: every path exists, every key is known."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from adapt import checks
from adapt.errors import UserError, did_you_mean, shorten_path
from adapt.files.line_reader import regular_file
from adapt.files.options import ReadOptions
from adapt.files.paths import resolve_path, similar_name_hint
from adapt.recipe.catalog import shipped_root
from adapt.recipe.identifiers import check_name_problem
from adapt.recipe.problems import KeyPath, Problems
from adapt.recipe.spec import CheckSpec, Leaks, Source
from adapt.recipe.values import format_value, validate
from adapt.recipe.wiring import DATA_KINDS

LEAKS: tuple[Leaks, ...] = ("remove", "stop", "allow")
DATA_KEYS = (*DATA_KINDS, "limit", "leaks", *ReadOptions.model_fields)  # the keys of the section `data`


@dataclass
class DataSpec:
    """The section `data`: files, folders and hub addresses by name, and how they are read."""

    sources: dict[str, str] = field(default_factory=dict)
    limit: int | None = None
    leaks: Leaks = "remove"
    reading: ReadOptions = field(default_factory=ReadOptions)
    columns: dict[str, dict[str, str]] = field(default_factory=dict)


def parse_data(raw: Mapping[str, object], file: Path, problems: Problems) -> DataSpec:
    """The section `data` of a recipe; its errors are added to `problems`."""
    section = raw.get("data")
    found = DataSpec()
    if not isinstance(section, dict):
        problems.add(("data",), "'data' must be a mapping of data to files, as in {texts: notes.jsonl, pairs: pairs.jsonl}")
        return found
    for name, value in section.items():
        path = ("data", name)
        if name == "leaks":
            if value in LEAKS:
                found.leaks = value
            else:
                problems.add(path, f"'leaks' can't be {format_value(value)}.{did_you_mean(str(value), LEAKS)}")
        elif name == "limit":
            if value is None or (type(value) is int and value >= 1):
                found.limit = value
            else:
                problems.add(path, f"'limit' must be a whole number of 1 or more (got {format_value(value)})")
        elif name in ReadOptions.model_fields:
            continue
        elif name not in DATA_KINDS:
            problems.add(path, f"unknown data '{name}'.{did_you_mean(name, DATA_KEYS)}")
        elif value is not None and (place := _resolve_path(file, problems, path, value)):
            found.sources[name] = place
    found.reading = _parse_read_options(section, problems)
    found.columns = _parse_columns(section, problems)
    return found


def _parse_read_options(section: Mapping[str, object], problems: Problems) -> ReadOptions:
    given = {name: section[name] for name in ReadOptions.model_fields if name != "columns" and section.get(name) is not None}
    try:
        return validate(ReadOptions, given)
    except ValidationError as error:
        problems.add_validation_error(("data",), error, ReadOptions)
        return ReadOptions()


def _parse_columns(section: Mapping[str, object], problems: Problems) -> dict[str, dict[str, str]]:
    columns = section.get("columns")
    if columns is None:
        return {}
    path = ("data", "columns")
    if not isinstance(columns, dict):
        example = "as in {pairs: {anchor: Frage}}"
        problems.add(path, f"'columns' must be {{data: {{our column: your column}}}}, {example} (got {format_value(columns)})")
        return {}
    for name, names in columns.items():
        if name not in DATA_KINDS and name in section:
            continue  # reported by `parse_data`
        if name not in DATA_KINDS or section.get(name) is None:
            known = [known for known in DATA_KINDS if section.get(known) is not None]
            problems.add((*path, name), f"the recipe has no data '{name}'.{did_you_mean(str(name), known)}")
        elif not isinstance(names, dict) or not all(isinstance(word, str) and word for pair in names.items() for word in pair):
            problems.add((*path, name), f"must be {{our column: your column}}, as in {{anchor: Frage}} (got {format_value(names)})")
    return columns


def parse_checks(raw: Mapping[str, object], file: Path, problems: Problems) -> dict[str, CheckSpec]:
    """The section `checks` of a recipe, by name; its errors are added to `problems`."""
    section = raw.get("checks")
    if section is None:
        return {}
    if not isinstance(section, dict):
        problems.add(("checks",), "'checks' must be a mapping of names to {dev: ..., test: ..., role: ...}")
        return {}
    found = {}
    for name, value in section.items():
        if value is None:  # `--set checks.sts=null` removes a check
            continue
        if spec := _parse_check(name, value, file, problems):
            found[name] = spec
    return found


def _parse_check(name: str, value: object, file: Path, problems: Problems) -> CheckSpec | None:
    path: KeyPath = ("checks", name)
    if wrong := check_name_problem(name):
        problems.add(path, f"check {format_value(name)} {wrong}")
        return None
    if not isinstance(value, dict):
        problems.add(path, f"check '{name}' must be a mapping: {{dev: file, test: file, role: target or guard}}")
        return None
    spec = {"kind": checks.kind_of(name), **value}
    if spec["kind"] not in checks.names():
        hint = did_you_mean(str(value.get("kind", name)), checks.names())
        problems.add(path, f"check '{name}' is of no known kind; call it ...-KIND, or add kind.{hint}")
        return None
    for split in ("dev", "test"):
        if spec.get(split) is not None:
            spec[split] = _parse_source(file, problems, (*path, split), spec["kind"], spec[split])
    if value.get("dev") is None and value.get("test") is None:
        problems.add(path, f"check '{name}' has no data: add dev, test or both")
        return None
    if any(value.get(split) is not None and spec[split] is None for split in ("dev", "test")):
        return None  # reported by `_parse_source`
    try:
        return validate(CheckSpec, spec)
    except ValidationError as error:
        problems.add_validation_error(path, error, CheckSpec)
        return None


def _parse_source(file: Path, problems: Problems, path: KeyPath, kind: str, value: object) -> Source | None:
    """The data of a check: a path, or for kinds with parts a mapping of the parts to paths and settings."""
    if not isinstance(value, dict):
        return _resolve_path(file, problems, path, value)
    known = checks.find(kind).parts
    if not known:
        problems.add(path, f"the data of a check of kind '{kind}' must be a file (got {format_value(value)})")
        return None
    found: dict[str, str | int | list[int] | None] = {}
    for part, given in value.items():
        if part not in known:
            problems.add((*path, part), f"unknown key '{part}'.{did_you_mean(part, known)}")
        elif part == "pool":
            if given is None or (type(given) is int and given >= 0):
                found[part] = given
            else:
                problems.add((*path, part), f"'pool' must be a whole number of 0 or more (got {format_value(given)})")
        elif part == "at":
            if all(type(k) is int and 1 <= k <= 1_000 for k in (given if isinstance(given, list) else [given])):
                found[part] = given
            else:
                problems.add((*path, part), f"'at' must be a list of ranks from 1 to 1,000 (got {format_value(given)})")
        else:
            found[part] = _resolve_path(file, problems, (*path, part), given)
    return found


def _resolve_path(file: Path, problems: Problems, path: KeyPath, value: object) -> str | None:
    """The absolute path of data: relative to the recipe's folder, or for `corpora/...` to the data that ship."""
    if not isinstance(value, str) or not value:
        problems.add(path, f"expected a file or folder (got {format_value(value)})")
        return None
    if value.startswith("hf://"):
        if value.count("/") < 4 or value.endswith("/"):
            problems.add(path, f"{format_value(value)}: write hf://owner/name/split or hf://owner/name:config/split")
        return value
    try:
        for folder in (file.parent, *([shipped_root()] if value.startswith("corpora/") else [])):
            if (found := resolve_path(value, folder)) is not None:
                if not os.access(found, os.R_OK | (os.X_OK if found.is_dir() else 0)):
                    raise UserError(f"{shorten_path(value)}: can't be read (permission denied)")
                return str((found if found.is_dir() else regular_file(found)).resolve())
    except UserError as error:
        problems.add(path, str(error))
        return None
    tried = file.parent / value
    problems.add(
        path, f"no such file or folder: {shorten_path(value)} (searched in {shorten_path(tried.parent)}).{similar_name_hint(tried)}"
    )
    return None
