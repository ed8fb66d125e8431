"""Read YAML as people expect it, remembering the line of every key: for messages that say where.

PyYAML's own loader reads `1e-5` as a string and `no` as False, lets a repeated key win silently, and expands nested aliases
without bound. Here numbers and words are those of YAML 1.2, repeated keys are problems, and aliases are refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from adapt.errors import UserError

Path_ = tuple[Any, ...]
_INT = re.compile(r"[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")


def load(file: Path) -> tuple[Any, dict[Path_, int]]:
    """(value, {path of keys and indices: line}) of a YAML file; raises UserError with every problem of its syntax."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{file}: is not UTF-8 text") from None
    problems: list[str] = []
    lines: dict[Path_, int] = {}
    try:
        for token in yaml.scan(text):
            if isinstance(token, yaml.AliasToken):
                problems.append(f"{file} line {token.start_mark.line + 1}: aliases (*name) are not supported; write it out")
        node = yaml.compose(text, Loader=yaml.SafeLoader) if not problems else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise UserError(f"{file}{where}: is not YAML: {getattr(error, 'problem', error)}") from None
    value = _value(node, (), lines, problems, file) if node is not None else None
    if problems:
        raise UserError(problems)
    return value, lines


def scalar(text: str) -> Any:
    """A plain word as YAML 1.2 reads it: null, true, false, a number, or itself."""
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _INT.match(text):
        return int(text.replace("_", ""))
    if _FLOAT.match(text):
        return float(text)
    return text


def parse(text: str) -> Any:
    """A value as it may stand on a command line: `3e-5`, `[bm25, dense]`, `{dev: a, test: b}`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return text
    return None if node is None else _value(node, (), {}, [], Path("--set"))


def _value(node: yaml.Node, path: Path_, lines: dict[Path_, int], problems: list[str], file: Path) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            if key in found:
                problems.append(f"{file} line {key_node.start_mark.line + 1}: '{key}' stands twice")
            lines[(*path, key)] = key_node.start_mark.line + 1
            found[key] = _value(value_node, (*path, key), lines, problems, file)
        return found
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, number), lines, problems, file) for number, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return scalar(node.value) if node.style is None else node.value
