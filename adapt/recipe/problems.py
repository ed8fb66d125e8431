"""The problems of a recipe: collected while it is parsed, each with its line or its `--set`, and raised together."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ValidationError

from adapt.errors import UserError, did_you_mean, limit_problems
from adapt.recipe.values import unknown_setting, validation_messages

KeyPath = tuple[str | int, ...]  # keys and list indices from the top of the recipe: ("stages", 0, "tsdae", "epochs")
MAX_PROBLEMS = 100  # shown for one recipe


class Problems:
    """The problems of one recipe. `overridden` maps the key paths that `--set` has changed to the options as typed."""

    def __init__(self, file: Path, lines: dict[KeyPath, int]):
        self.file, self.lines = file, lines
        self.messages: list[str] = []
        self.overridden: dict[KeyPath, str] = {}

    def add(self, path: KeyPath, text: str) -> None:
        """Add a problem with the value at `path`, located by the `--set` that wrote it, else by the nearest known line."""
        ends = range(len(path), -1, -1)
        option = next((self.overridden[path[:end]] for end in ends if path[:end] in self.overridden), None)
        if option is not None:  # the line numbers below it belong to the value that was replaced
            self.messages.append(f"--set {option}: {text}")
            return
        inside = [f"--set {option}" for keys, option in self.overridden.items() if path and keys[: len(path)] == path]
        more = f" (with {', '.join(inside)})" if inside else ""
        line = next((self.lines[path[:end]] for end in ends if path[:end] in self.lines), None)
        self.messages.append(f"{self.file}{'' if line is None else f' line {line}'}: {text}{more}")

    def add_validation_error(self, path: KeyPath, error: ValidationError, model: type[BaseModel], prefix: str = "") -> None:
        """Add every problem that pydantic has found in the values at `path`."""
        for location, kind, message in validation_messages(error):
            key = ".".join(map(str, location))
            where = (*path, *location)
            if kind == "extra_forbidden":
                self.add(where, f"{prefix}{unknown_setting(location, model)}")
            elif kind == "literal_error":
                options, _, value = message.removeprefix("input should be ").rpartition(" (got ")
                known = options.replace(" or ", ", ").replace("'", "").split(", ")
                value = value.removesuffix(")")
                self.add(where, f"{prefix}{key} can't be {value}.{did_you_mean(value.strip(chr(39)), known)}")
            else:
                self.add(where, f"{prefix}{key}: {message}" if key else f"{prefix}{message}")

    def raise_if_any(self) -> None:
        """Raise UserError with all problems, each once."""
        if self.messages:
            raise UserError(limit_problems(list(dict.fromkeys(self.messages)), MAX_PROBLEMS))
