"""Models of settings: frozen, without unknown keys, in groups where some belong together; and the flat list of a command line."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator, model_validator
from pydantic.fields import FieldInfo

__all__ = ["Length", "NonNegativeFloat", "Option", "PairLength", "PositiveFloat", "PositiveInt", "Settings", "Share", "options"]

LARGEST_INT = 2**31 - 1
Share = Annotated[float, Field(ge=0, le=1)]
# Special tokens at both ends count, too: up to two of a text, four of a pair. Less would remove all words.
Length = Annotated[int, Field(ge=4)]
PairLength = Annotated[int, Field(ge=8)]


class Settings(BaseModel):
    """Settings that belong together. A bare value, as in `loss: mnrl`, is the one of the field named by `shorthand`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
    shorthand: ClassVar[str] = ""
    prefix: ClassVar[str] = ""  # of its options on a command line: `--decoder-layers` for `decoder.layers`

    @classmethod
    def tag(cls) -> str:
        """The value of `name` by which a union tells its members apart; "" for a model without one."""
        return str(cls.model_fields["name"].default) if "name" in cls.model_fields else ""

    @model_validator(mode="before")
    @classmethod
    def _from_shorthand(cls, value: object) -> object:
        if cls.shorthand and not isinstance(value, (Mapping, BaseModel)):
            return {cls.shorthand: value}
        if isinstance(value, Mapping):
            return {key.replace("-", "_") if isinstance(key, str) else key: inner for key, inner in value.items()}
        return value

    @field_validator("*")
    @classmethod
    def _overflow(cls, value: object) -> object:
        """Larger counts, sizes and lengths are typing errors, and overflow where arrays are created."""
        for part in value if isinstance(value, tuple) else (value,):
            if type(part) is int and part > LARGEST_INT:
                raise ValueError(f"must be {LARGEST_INT} or less")
        return value


@dataclass(frozen=True)
class Option:
    """One setting of a model or of a group in it: its path, its field, and `only`, the members of a union that have it."""

    path: tuple[str, ...]
    name: str  # on the command line, with _
    field: FieldInfo
    annotation: object
    only: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """What the setting does."""
        return self.field.description or ""


def groups(annotation: object) -> list[type[Settings]]:
    """The models of settings that a field of this type may hold: one for a group, several for a union."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    if typing.get_origin(annotation) in (Annotated, typing.Union, types.UnionType):
        return [group for part in typing.get_args(annotation) for group in groups(part)]
    return []


def options(model: type[Settings]) -> list[Option]:
    """Every setting of a model, those of its groups included."""
    return [option for name, field in model.model_fields.items() for option in _options(name, field)]


def _options(name: str, field: FieldInfo) -> Iterator[Option]:
    members = groups(field.annotation)
    if not members:
        yield Option((name,), name, field, field.annotation)
    elif len(members) == 1:
        for inner, its_field in members[0].model_fields.items():
            flat = name if inner == members[0].shorthand else members[0].prefix + inner
            yield Option((name, inner), flat, its_field, its_field.annotation)
    else:
        tags = [member.tag() for member in members]
        yield Option((name, "name"), name, field, Literal[tuple(tags)])
        for inner in dict.fromkeys(inner for member in members for inner in member.model_fields if inner != "name"):
            having = [(tag, member) for tag, member in zip(tags, members, strict=True) if inner in member.model_fields]
            first = having[0][1].model_fields[inner]
            yield Option((name, inner), inner, first, first.annotation, tuple(tag for tag, _ in having))
