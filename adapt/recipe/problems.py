"""What is wrong with a recipe: gathered as it is read, each with its line (or the `--set` it came by), raised together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from adapt.errors import did_you_mean

Keys = tuple[Any, ...]  # the way to a value from the top of the recipe: ("stages", 0, "tsdae", "epochs")


class Problems:
    """The problems of one recipe so far, in `found`; `changed` are the keys that came from the command line."""

    def __init__(self, file: Path, lines: Mapping[Keys, int]):
        self.file, self.lines = file, lines
        self.found: list[str] = []
        self.changed: set[Keys] = set()

    def say(self, path: Keys, text: str) -> None:
        """Note a problem at the nearest line that is known for `path`."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.changed:
                self.found.append(f"--set {'.'.join(map(str, path[:end]))}: {text}")
                return
            if path[:end] in self.lines:
                self.found.append(f"{self.file} line {self.lines[path[:end]]}: {text}")
                return
        self.found.append(f"{self.file}: {text}")

    def invalid(self, path: Keys, error: ValidationError, model: type[BaseModel], lead: str = "") -> None:
        for problem in error.errors():
            key = str(problem["loc"][0]) if problem["loc"] else ""
            where = (*path, *problem["loc"])
            if problem["type"] == "extra_forbidden":
                self.say(where, f"{lead}unknown key '{key}'.{did_you_mean(key, model.model_fields)}")
            elif problem["type"] == "literal_error":
                options = str(problem["ctx"]["expected"]).replace(" or ", ", ").replace("'", "").split(", ")
                self.say(where, f"{lead}{key} can't be {problem['input']!r}.{did_you_mean(str(problem['input']), options)}")
            else:
                self.say(where, f"{lead}{key}: {problem['msg'][0].lower()}{problem['msg'][1:]} (got {problem['input']!r})")
