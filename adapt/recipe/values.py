"""Validate values strictly against a pydantic model: a value of the wrong type is an error and is never converted.

`epochs: true`, `epochs: "3"` and `symmetric: 1` are mistakes; pydantic's default mode accepts all three.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
_MAPPING = "expected a mapping, {key: value}"
MESSAGES = {
    "int_type": "expected a whole number", "float_type": "expected a number", "bool_type": "expected true or false",
    "string_type": "expected a string", "tuple_type": "expected a list, such as [a, b]", "dict_type": _MAPPING,
    "model_type": _MAPPING, "finite_number": "expected a finite number",
    "int_from_float": "expected a whole number", "int_parsing": "expected a whole number", "float_parsing": "expected a number",
    "bool_parsing": "expected true or false",
}  # fmt: skip


def validate(model: type[Model], values: Mapping[str, object]) -> Model:
    """A model of these values, with the types of its fields enforced strictly; raises pydantic's ValidationError."""
    fields = model.model_fields
    converted = {name: _convert(fields[name].annotation, value) if name in fields else value for name, value in values.items()}
    return model.model_validate(converted, strict=True)


def validation_messages(error: ValidationError) -> list[tuple[tuple[str | int, ...], str, str]]:
    """(location, pydantic's error type, message) of every problem, one for each location."""
    found: dict[tuple[str | int, ...], tuple[str, str]] = {}
    for problem in error.errors(include_url=False):
        # Where a field accepts several types, pydantic appends the type that it tried to the location.
        location = tuple(part for part in problem["loc"] if part not in ("str", "int", "float", "bool") and "[" not in str(part))
        context = problem.get("ctx", {})
        text = MESSAGES.get(problem["type"]) or str(context.get("error") or problem["msg"])
        message = f"{text[0].lower()}{text[1:]} (got {format_value(problem['input'])})"
        if location in found:
            message = f"{found[location][1].rpartition(' (got ')[0]}, or {message.removeprefix('expected ')}"
        found[location] = problem["type"], message
    return [(location, kind, message) for location, (kind, message) in found.items()]


def format_value(value: object, max_length: int = 80) -> str:
    """A value in YAML's notation, cut to `max_length` characters."""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {format_value(part)}" for key, part in list(value.items())[:20]) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(format_value(part) for part in value[:20]) + "]"
    elif value is None:
        text = "null"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = repr(value[: 2 * max_length]) if isinstance(value, str) else repr(value)
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def _convert(annotation: object, value: object) -> object:
    """The value with lists converted to tuples, and whole floats (1e5) to integers, where the annotation requires it."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _convert(args[0], value)
    if origin in (typing.Union, types.UnionType):
        plain = [typing.get_args(arg)[0] if typing.get_origin(arg) is typing.Annotated else arg for arg in args]
        if isinstance(value, float) and float in plain:
            return value
        for arg in plain:
            value = _convert(arg, value)
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(args[0], part) for part in value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
