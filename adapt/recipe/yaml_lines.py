"""Read YAML as people expect it, remembering the line of every key: for messages that say where.

PyYAML's own loader reads `1e-5` as a string and `no` as False, lets a repeated key win silently, and expands nested aliases
without bound. Here numbers and words are those of YAML 1.2; repeated keys, aliases, tags, numbers that no computer number holds,
control characters and deep nesting are problems.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from adapt.errors import UserError, limit_problems
from adapt.files.paths import describe_read_error

Path_ = tuple[Any, ...]
LARGEST = 256 * 1024  # bytes of a recipe; those that ship have two thousand
DEEPEST = 20  # levels of mappings and lists in each other
_INT = re.compile(r"[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def load(file: Path) -> tuple[Any, dict[Path_, int]]:
    """(value, {path of keys and indices: line}) of a YAML file; raises UserError with every problem of its syntax."""
    return _Document(str(file)).read(_text(file))


def parse(text: str) -> Any:
    """A value as it may stand on a command line: `3e-5`, `[bm25, dense]`, `{dev: a, test: b}`; what is no YAML is a text.

    Raises UserError for what YAML allows and a recipe does not (repeated keys, aliases ...).
    """
    try:
        return _Document("").read(text)[0]
    except _NoYaml:
        if _CONTROLS.search(text):
            raise UserError("holds a control character or half of a surrogate pair") from None
        return text


def scalar(text: str) -> Any:
    """A plain word as YAML 1.2 reads it: null, true, false, a number, or itself; raises ValueError for a number out of range."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.capitalize()):
        return text.lower() == "true"
    if _INT.match(text):
        digits = text.replace("_", "")
        if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
            raise ValueError(f"the number {text[:20]}{'…' if len(text) > 20 else ''} is too large")
        return int(digits)
    if _FLOAT.match(text):
        if not math.isfinite(float(text)):
            raise ValueError(f"the number {text[:20]} is too large")
        return float(text)
    return text


class _NoYaml(UserError):
    """The text is not YAML at all."""


def _text(file: Path) -> str:
    """The text of a recipe; raises UserError where it can't be read, is too large or is not UTF-8."""
    try:
        with open(file, "rb") as opened:
            found = opened.read(LARGEST + 1)
    except OSError as error:
        raise UserError(describe_read_error(file, error)) from None
    if len(found) > LARGEST:
        raise UserError(f"{file}: is larger than {LARGEST // 1024} KB, which no recipe is")
    for mark, name in _MARKS.items():
        if found.startswith(mark):
            raise UserError(f"{file}: is {name} text; save it as UTF-8")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found[: error.start].count(b"\n") + 1
        raise UserError(f"{file} line {line}: byte 0x{found[error.start]:02x} is not UTF-8 text; save it as UTF-8") from None


class _Document:
    """One reading of one YAML text: gathers problems as it goes. `file` is named in messages; "" stands for a command line."""

    def __init__(self, file: str):
        self.file = file
        self.lines: dict[Path_, int] = {}
        self.problems: list[str] = []

    def read(self, text: str) -> tuple[Any, dict[Path_, int]]:
        if found := _CONTROLS.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise UserError(self._at(line, f"holds a control character (code {ord(found[0]):#x}); save it as plain UTF-8 text"))
        try:
            self._events(text)
            node = yaml.compose(text, Loader=yaml.SafeLoader) if not self.problems else None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise _NoYaml(f"{self.file}{where}: is not YAML: {getattr(error, 'problem', error)}") from None
        except (ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF" names no character
            raise _NoYaml(f"{self.file}: is not YAML: {error}") from None
        value = self._value(node, ()) if node is not None else None
        if self.problems:
            raise UserError(limit_problems(self.problems))
        return value, self.lines

    def _at(self, line: int, text: str) -> str:
        return f"{self.file} line {line}: {text}" if self.file else text

    def _say(self, mark: Any, text: str) -> None:
        self.problems.append(self._at(mark.line + 1, text))

    def _events(self, text: str) -> None:
        """Refuse, before anything is built, what a recipe has no use for and a parser can be drowned in."""
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                self._say(event.start_mark, "aliases (*name) are not supported; write it out")
            elif tag := getattr(event, "tag", None):
                self._say(event.start_mark, f"tags ({tag}) are not supported; leave it out")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > DEEPEST:
                    self._say(event.start_mark, f"is nested deeper than {DEEPEST} levels")
                    return
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1

    def _value(self, node: yaml.Node, path: Path_) -> Any:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            found: dict[str, Any] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    self._say(key_node.start_mark, "a key must be a word, not a list or mapping")
                    continue
                key = self._checked(key_node)
                if key in found:
                    self._say(key_node.start_mark, f"duplicate key '{key[:80]}'")
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                found[key] = self._value(value_node, (*path, key))
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        text = self._checked(node)
        if node.style is not None:
            return text
        try:
            return scalar(text)
        except ValueError as error:
            key = next((part for part in reversed(path) if isinstance(part, str)), "")
            self._say(node.start_mark, f"{key}: {error}" if key else str(error))
            return None

    def _checked(self, node: yaml.ScalarNode) -> str:
        """The scalar's text; an escape such as "\\0" or "\\ud800" in it is a problem."""
        if found := _CONTROLS.search(node.value):
            self._say(node.start_mark, f"holds a control character or half of a surrogate pair (code {ord(found[0]):#x})")
            return _CONTROLS.sub("", node.value)
        return str(node.value)
