"""What is wrong with a recipe: gathered as it is read, each with its line (or the `--set` it came by), raised together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adapt.errors import UserError, did_you_mean, gathered
from adapt.recipe.values import words_of

Keys = tuple[Any, ...]  # the way to a value from the top of the recipe: ("stages", 0, "tsdae", "epochs")
MOST = 100  # problems that are told of one recipe


class Problems:
    """The problems of one recipe so far, in `found`; `changed` are the keys that came from the command line, as they were typed."""

    def __init__(self, file: Path, lines: Mapping[Keys, int]):
        self.file, self.lines = file, lines
        self.found: list[str] = []
        self.changed: dict[Keys, str] = {}

    def say(self, path: Keys, text: str) -> None:
        """Note a problem at the `--set` that wrote the value at `path`, else at the nearest line that is known for it."""
        ends = range(len(path), -1, -1)
        typed = next((self.changed[path[:end]] for end in ends if path[:end] in self.changed), None)
        if typed is not None:  # the lines below it are of what stood there before
            self.found.append(f"--set {typed}: {text}")
            return
        inside = [f"--set {typed}" for keys, typed in self.changed.items() if path and keys[: len(path)] == path]
        more = f" (with {', '.join(inside)})" if inside else ""
        line = next((self.lines[path[:end]] for end in ends if path[:end] in self.lines), None)
        self.found.append(f"{self.file}{'' if line is None else f' line {line}'}: {text}{more}")

    def invalid(self, path: Keys, error: ValidationError, model: type[BaseModel], lead: str = "") -> None:
        """Note every problem that pydantic has with the values at `path`."""
        for location, kind, phrase in words_of(error):
            key = ".".join(map(str, location))
            where = (*path, *location)
            if kind == "extra_forbidden":
                self.say(where, f"{lead}unknown key '{key}'.{did_you_mean(key, model.model_fields)}")
            elif kind == "literal_error":
                options, _, got = phrase.removeprefix("input should be ").rpartition(" (got ")
                known = options.replace(" or ", ", ").replace("'", "").split(", ")
                got = got.removesuffix(")")
                self.say(where, f"{lead}{key} can't be {got}.{did_you_mean(got.strip(chr(39)), known)}")
            else:
                self.say(where, f"{lead}{key}: {phrase}" if key else f"{lead}{phrase}")

    def raise_if_any(self) -> None:
        """Raise UserError with all that was found, each problem once."""
        if self.found:
            raise UserError(gathered(list(dict.fromkeys(self.found)), MOST))
