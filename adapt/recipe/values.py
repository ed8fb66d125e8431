"""Check values as a recipe writes them against a model's types: strictly, so that a wrong type is told and never converted.

`epochs: true`, `epochs: "3"` and `symmetric: 1` are mistakes; pydantic's usual mode takes all three.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)
_MAPPING = "expected a mapping, {key: value}"
TYPES = {
    "int_type": "expected a whole number", "float_type": "expected a number", "bool_type": "expected true or false",
    "string_type": "expected a text", "tuple_type": "expected a list, such as [a, b]", "dict_type": _MAPPING,
    "model_type": _MAPPING, "finite_number": "expected a finite number",
    "int_from_float": "expected a whole number", "int_parsing": "expected a whole number", "float_parsing": "expected a number",
    "bool_parsing": "expected true or false",
}  # fmt: skip


def validated(model: type[Model], values: Mapping[str, Any]) -> Model:
    """A model of these values, its fields' types taken strictly; raises pydantic's ValidationError."""
    fields = model.model_fields
    fitted = {name: _fitted(fields[name].annotation, value) if name in fields else value for name, value in values.items()}
    return model.model_validate(fitted, strict=True)


def words_of(error: ValidationError) -> list[tuple[tuple[Any, ...], str, str]]:
    """(location, pydantic's word for the kind of problem, a phrase for people) of every problem, each location once."""
    found: dict[tuple[Any, ...], tuple[str, str]] = {}
    for problem in error.errors(include_url=False):
        # Where a field may be of several types, pydantic names the type it tried as the last part of the location.
        location = tuple(part for part in problem["loc"] if part not in ("str", "int", "float", "bool") and "[" not in str(part))
        ctx = problem.get("ctx", {})
        said = TYPES.get(problem["type"]) or str(ctx.get("error") or problem["msg"])
        phrase = f"{said[0].lower()}{said[1:]} (got {shown(problem['input'])})"
        if location in found:
            phrase = f"{found[location][1].rpartition(' (got ')[0]}, or {phrase.removeprefix('expected ')}"
        found[location] = problem["type"], phrase
    return [(location, kind, phrase) for location, (kind, phrase) in found.items()]


def shown(value: Any, longest: int = 80) -> str:
    """A value as a recipe writes it, cut to `longest` characters."""
    if isinstance(value, Mapping):
        text = "{" + ", ".join(f"{key}: {shown(part)}" for key, part in list(value.items())[:20]) + "}"
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(shown(part) for part in value[:20]) + "]"
    elif value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    else:
        text = repr(value[: 2 * longest]) if isinstance(value, str) else repr(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _fitted(annotation: Any, value: Any) -> Any:
    """The value with lists as the tuples, and whole floats (1e5) as the integers, that the annotation asks for."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _fitted(args[0], value)
    if origin in (typing.Union, types.UnionType):
        plain = [typing.get_args(arg)[0] if typing.get_origin(arg) is typing.Annotated else arg for arg in args]
        if isinstance(value, float) and float in plain:
            return value
        for arg in plain:
            value = _fitted(arg, value)
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_fitted(args[0], part) for part in value)
    if annotation is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return value
