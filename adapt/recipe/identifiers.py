"""Valid names of recipes, steps and checks: they become folder names, keys and parts of messages."""

from __future__ import annotations

import re
from collections.abc import Collection

from adapt.recipe.values import format_value

MAX_LENGTH = 64  # together with a cache key it is a folder's name
_ID = re.compile(r"\w[\w.+-]*")
_NAME = re.compile(r"\w([\w .,+()-]*[\w.)])?")
_RESERVED = ("model", "base")


def name_problem(name: object) -> str:
    """Why a recipe can't have this name ("" where it can): its run folder is runs/<name>."""
    if not isinstance(name, str):
        return f"must be a string (got {format_value(name)})"
    if len(name.encode(errors="replace")) > 2 * MAX_LENGTH:
        return f"is longer than {2 * MAX_LENGTH} bytes, the maximum for a folder's name"
    if not _NAME.fullmatch(name):
        allowed = "letters, digits, spaces and . , _ + ( ) - only, a letter or digit first"
        return f"becomes a folder's name: {allowed} (got {format_value(name)})"
    return ""


def id_problem(name: object, data: Collection[str]) -> str:
    """Why a step can't have this id ("" where it can): its folder's name begins with it, and later steps refer to it."""
    if not isinstance(name, str):
        return f"must be a string (got {format_value(name)})"
    if len(name.encode(errors="replace")) > MAX_LENGTH:
        return f"is longer than {MAX_LENGTH} bytes, the maximum for a folder's name (got {format_value(name)})"
    if not _ID.fullmatch(name):
        return f"becomes a folder's name: letters, digits and . _ + - only, a letter or digit first (got {format_value(name)})"
    if name in _RESERVED or name in data:
        return f"can't be '{name}', which refers to {'the data' if name in data else 'the model'}; choose another"
    if name.startswith(("gate-", "data-")):
        return f"can't begin with {name[:5]}, which is reserved for the folders of gates and data (got '{name}')"
    return ""


def check_name_problem(name: str) -> str:
    """Why a check can't have this name ("" where it can): metrics are written check.metric."""
    if not name or len(name) > MAX_LENGTH:
        return f"needs a name of 1 to {MAX_LENGTH} characters"
    if "." in name or any(letter.isspace() and letter != " " for letter in name) or not name.isprintable():
        return "has a dot or a control character in its name; metrics are written check.metric"
    return ""
