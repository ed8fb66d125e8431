"""What a recipe, a step and a check may be called: names become folders, keys and parts of messages."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from adapt.recipe.values import shown

LONGEST = 64  # characters; with a key behind them they are a folder's name
_PLAIN = re.compile(r"\w[\w.+-]*")
_NAME = re.compile(r"\w([\w .,+()-]*[\w.)])?")
_TAKEN = ("model", "base")


def name_problem(name: Any) -> str:
    """Why a recipe can't be called so ("" where it can): runs/<name> is its folder, and must stay one."""
    if not isinstance(name, str):
        return f"must be a text (got {shown(name)})"
    if len(name.encode(errors="replace")) > 2 * LONGEST:
        return f"is longer than {2 * LONGEST} bytes, and is to be a folder's name"
    if not _NAME.fullmatch(name):
        return (
            f"becomes a folder's name: letters, digits, spaces and . , _ + ( ) - only, a letter or digit first (got {shown(name)})"
        )
    return ""


def id_problem(name: Any, data: Collection[str]) -> str:
    """Why a step can't have this id ("" where it can): it begins the name of a folder, and later steps go by it."""
    if not isinstance(name, str):
        return f"must be a text (got {shown(name)})"
    if len(name.encode(errors="replace")) > LONGEST:
        return f"may have {LONGEST} bytes at the most, as it becomes a folder's name (got {shown(name)})"
    if not _PLAIN.fullmatch(name):
        return f"becomes a folder's name: letters, digits and . _ + - only, a letter or digit first (got {shown(name)})"
    if name in _TAKEN or name in data:
        return f"can't be '{name}', which names {'the data' if name in data else 'the model'} for the steps; give another"
    if name.startswith(("gate-", "data-")):
        return f"can't begin with {name[:5]} as the gates' and the data's own folders do (got '{name}')"
    return ""


def check_name_problem(name: str) -> str:
    """Why a check can't be called so ("" where it can): metrics are written check.metric."""
    if not name or len(name) > LONGEST:
        return f"needs a name of 1 to {LONGEST} characters"
    if "." in name or any(letter.isspace() and letter != " " for letter in name) or not name.isprintable():
        return "has a dot or a control character in its name; metrics are written check.metric"
    return ""
