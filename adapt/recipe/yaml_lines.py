"""Parse YAML with the line number of every key.

PyYAML's own loader parses `1e-5` as a string and `no` as False, silently overwrites duplicate keys, and expands nested aliases
without limit. Here scalars follow YAML 1.2; duplicate keys, aliases, tags, numbers out of range, control characters and deep
nesting are errors, reported together.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import cast

import yaml

from adapt.errors import UserError, limit_problems
from adapt.files.paths import describe_read_error
from adapt.recipe.problems import KeyPath

MAX_BYTES = 256 * 1024  # of a recipe; the shipped ones have about two thousand
MAX_DEPTH = 20  # nested mappings and lists
_INT = re.compile(r"[-+]?[0-9][0-9_]*$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BYTE_ORDER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def load(file: Path) -> tuple[object, dict[KeyPath, int]]:
    """(value, {key path: line number}) of a YAML file; raises UserError with every problem of its syntax."""
    return _Document(str(file)).parse(_read(file))


def parse(text: str) -> object:
    """The value of a command-line argument: `3e-5`, `[bm25, dense]`, `{dev: a, test: b}`; text that is not YAML is a string.

    Raises UserError for YAML that a recipe may not contain (duplicate keys, aliases ...).
    """
    try:
        return _Document("").parse(text)[0]
    except _NotYaml:
        if _CONTROLS.search(text):
            raise UserError("contains a control character or half of a surrogate pair") from None
        return text


def scalar(text: str) -> bool | int | float | str | None:
    """An unquoted scalar by the rules of YAML 1.2: null, a boolean, a number or a string; raises ValueError for a huge number."""
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


class _NotYaml(UserError):
    """The text is not YAML at all."""


def _read(file: Path) -> str:
    """The text of a recipe; raises UserError where it can't be read, is too large or is not UTF-8."""
    try:
        with open(file, "rb") as opened:
            found = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(describe_read_error(file, error)) from None
    if len(found) > MAX_BYTES:
        raise UserError(f"{file}: is larger than {MAX_BYTES // 1024} KB, the maximum for a recipe")
    for mark, name in _BYTE_ORDER_MARKS.items():
        if found.startswith(mark):
            raise UserError(f"{file}: is {name} text; save it as UTF-8")
    try:
        return found.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = found[: error.start].count(b"\n") + 1
        raise UserError(f"{file} line {line}: byte 0x{found[error.start]:02x} is not UTF-8 text; save it as UTF-8") from None


class _Document:
    """One YAML text: its problems and the lines of its keys. `file` is named in messages; "" stands for a command line."""

    def __init__(self, file: str):
        self.file = file
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[str] = []

    def parse(self, text: str) -> tuple[object, dict[KeyPath, int]]:
        if found := _CONTROLS.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise UserError(self._at(line, f"contains a control character (code {ord(found[0]):#x}); save it as plain UTF-8 text"))
        try:
            node = _Composer(text, self).get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise _NotYaml(f"{self.file}{where}: is not YAML: {error.problem}") from None
        except (yaml.YAMLError, ValueError, OverflowError) as error:  # an escape such as "\UFFFFFFFF" is not a character
            raise _NotYaml(f"{self.file}: is not YAML: {error}") from None
        except _TooDeep:
            node = None
        value = self._value(node, ()) if node is not None else None
        if self.problems:
            raise UserError(limit_problems(self.problems))
        return value, self.lines

    def add(self, mark: yaml.Mark, text: str) -> None:
        """Add a problem at a position of the text."""
        self.problems.append(self._at(mark.line + 1, text))

    def _at(self, line: int, text: str) -> str:
        return f"{self.file} line {line}: {text}" if self.file else text

    def _value(self, node: yaml.Node, path: KeyPath) -> object:
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            found: dict[str, object] = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    self.add(key_node.start_mark, "a key must be a string, not a list or mapping")
                    continue
                key = self._text(key_node)
                if key in found:
                    self.add(key_node.start_mark, f"duplicate key '{key[:80]}'")
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                found[key] = self._value(value_node, (*path, key))
            return found
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        text = self._text(node)
        if node.style is not None:
            return text
        try:
            return scalar(text)
        except ValueError as error:
            key = next((part for part in reversed(path) if isinstance(part, str)), "")
            self.add(node.start_mark, f"{key}: {error}" if key else str(error))
            return None

    def _text(self, node: yaml.ScalarNode) -> str:
        """The text of a scalar; an escape such as "\\0" or "\\ud800" in it is a problem."""
        if found := _CONTROLS.search(node.value):
            self.add(node.start_mark, f"contains a control character or half of a surrogate pair (code {ord(found[0]):#x})")
            return _CONTROLS.sub("", node.value)
        return str(node.value)


class _TooDeep(Exception):
    """The text is nested deeper than `MAX_DEPTH`."""


class _Composer(yaml.SafeLoader):
    """Composes the nodes of a text, and refuses aliases, tags and deep nesting before anything is built from them."""

    def __init__(self, text: str, document: _Document):
        super().__init__(text)
        self.document, self.depth = document, 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        peek: Callable[[], yaml.Event] = self.peek_event
        event = peek()
        mark = cast("yaml.Mark", event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            skip: Callable[[], object] = self.get_event
            skip()
            self.document.add(mark, "aliases (*name) are not supported; write the value out")
            return yaml.ScalarNode("", "", mark, mark, style="'")
        if tag := getattr(event, "tag", None):
            self.document.add(mark, f"tags ({tag}) are not supported; remove it")
        is_collection = isinstance(event, yaml.CollectionStartEvent)
        self.depth += is_collection
        if self.depth > MAX_DEPTH:
            self.document.add(mark, f"is nested deeper than {MAX_DEPTH} levels")
            raise _TooDeep
        node = super().compose_node(parent, index)
        self.depth -= is_collection
        return node
