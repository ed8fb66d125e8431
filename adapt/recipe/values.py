"""Validate values strictly against a pydantic model: a value of the wrong type is an error and is never converted.

`epochs: true`, `epochs: "3"` and `symmetric: 1` are mistakes; pydantic's default mode accepts all three.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from adapt.errors import did_you_mean
from adapt.losses.settings import LOSS_NAMES, losses_with
from adapt.settings import Settings, groups, options

Model = TypeVar("Model", bound=BaseModel)
_MAPPING = "expected a mapping, {key: value}"
MESSAGES = {
    "int_type": "expected a whole number", "float_type": "expected a number", "bool_type": "expected true or false",
    "string_type": "expected a string", "tuple_type": "expected a list, such as [a, b]", "dict_type": _MAPPING,
    "model_type": _MAPPING, "model_attributes_type": "expected a name or a mapping", "finite_number": "expected a finite number",
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
        location, kind, context = _key_path(problem["loc"]), problem["type"], problem.get("ctx", {})
        text, value = MESSAGES.get(kind) or str(context.get("error") or problem["msg"]), problem["input"]
        if kind == "union_tag_invalid":  # the name of a loss
            kind, value, names = "literal_error", context["tag"], [name.strip() for name in context["expected_tags"].split(",")]
            text = f"input should be {', '.join(names[:-1])} or {names[-1]}"
        message = f"{text[0].lower()}{text[1:]} (got {format_value(value)})"
        if location in found:
            kind, before = found[location]
            message = f"{before.rpartition(' (got ')[0]}, or {message.removeprefix('expected ')}"
        found[location] = kind, message
    return [(location, kind, message) for location, (kind, message) in found.items()]


def unknown_setting(location: Sequence[str | int], model: type[BaseModel]) -> str:
    """The message for a key that a model does not have, with the most similar one that it has."""
    *group, key = map(str, location)
    if group == ["loss"] and (losses := losses_with(key)):
        return f"this loss has no setting '{key}'; it is a setting of {', '.join(losses)}"
    known = list(model.model_fields)
    if group and issubclass(model, Settings):
        known = [option.path[-1] for option in options(model) if option.path[0] == group[0]]
    return f"unknown key '{'.'.join(map(str, location))}'.{did_you_mean(key, known)}"


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


def _key_path(location: Sequence[str | int]) -> tuple[str | int, ...]:
    """A location without what pydantic adds where a field accepts several types: the type, or the loss, that it tried."""
    kept = [part for part in location if part not in ("str", "int", "float", "bool") and "[" not in str(part)]
    return tuple(part for i, part in enumerate(kept) if not (i == 1 and kept[0] == "loss" and part in LOSS_NAMES))


def _convert(annotation: object, value: object) -> object:
    """The value with lists converted to tuples, and whole floats (1e5) to integers, where the annotation requires it."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _convert(args[0], value)
    models = groups(annotation)
    if isinstance(value, dict) and models:
        fields = next((model for model in models if model.tag() == value.get("name")), models[0]).model_fields
        return {key: _convert(fields[key].annotation, part) if key in fields else part for key, part in value.items()}
    if isinstance(value, list) and len(models) == 1 and models[0].shorthand:
        return _convert(annotation, {models[0].shorthand: value})
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
