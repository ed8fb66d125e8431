"""What a name in a step refers to: the data, the current model, the base model, or the output of an earlier step.

A step finds its inputs by name. The names are those of the recipe's data, `base` (the model that the recipe starts from), `model`
(the newest encoder), the id of every earlier step, and the product name of earlier steps that make no encoder (`triplets`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

from adapt.stages import Input, Stage

DATA_KINDS = {
    "texts": "texts", "corpus": "texts", "gold": "scored", "scored": "scored", "pairs": "pairs", "triplets": "triplets",
    "labelled": "labelled", "parallel": "parallel", "replay": "pairs",
}  # fmt: skip
V = TypeVar("V")


class Scope(Generic[V]):
    """The names that the next step may use, each with its kind and a value: a cache key, a folder, or None where kinds suffice."""

    def __init__(self, data: Mapping[str, V], base: V):
        self._kinds = {name: DATA_KINDS[name] for name in data} | {"model": "encoder", "base": "encoder"}
        self._values: dict[str, V] = {**data, "model": base, "base": base}

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __getitem__(self, name: str) -> V:
        """What the name stands for; raises KeyError where it is not defined."""
        return self._values[name]

    def define(self, step_id: str, stage: type[Stage], value: V) -> None:
        """Add the output of a step: an encoder becomes `model`, anything else takes the stage's product name, too."""
        kind = stage.output_kind()
        for name in (step_id, "model" if kind == "encoder" else stage.output_name):
            self._kinds[name], self._values[name] = kind, value

    def replace_model(self, value: V) -> None:
        """Let `model` stand for another encoder: the one that the gate has chosen."""
        self._values["model"] = value

    def kind(self, name: str) -> str | None:
        """The kind of what the name stands for; None where it is not defined."""
        return self._kinds.get(name)

    def fitting(self, want: Input) -> list[str]:
        """The names of everything of a kind that an input takes."""
        return [name for name, kind in self._kinds.items() if kind in want.kinds]

    def default(self, want: Input, stage: type[Stage]) -> str | None:
        """The source of an input that the recipe does not name: its own name, else the first of the default inputs that fits."""
        names = (want.name.replace("_", "-"), *stage.default_inputs.get(want.name, ()))
        return next((name for name in names if self._kinds.get(name) in want.kinds), None)


def joint_kind(kinds: Iterable[str]) -> str:
    """The kind of several sources together: triplets among pairs are pairs."""
    return min(kinds)
