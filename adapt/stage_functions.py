"""Every stage as a function of its own, with its signature and docstring: `adapt.tsdae(...)`, also for stages of other packages."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import lru_cache
from inspect import Parameter, Signature, cleandoc
from types import UnionType
from typing import Annotated, TypeAlias, Union, get_args, get_origin

from adapt import stages
from adapt.api import run_stage
from adapt.job import Listener
from adapt.outputs import DataResult, ModelResult
from adapt.stages import Stage

StageFunction: TypeAlias = "Callable[..., ModelResult | DataResult]"


@lru_cache
def stage_function(name: str) -> StageFunction:
    """A stage as a function with its own signature and docstring; raises KeyError for an unknown stage."""
    word = name.replace("_", "-")
    stage = stages.find(word)

    def function(
        *,
        out: str | os.PathLike[str] | None = None,
        seed: int = 13,
        listener: Listener | None = None,
        overwrite: bool = False,
        **inputs_and_settings: object,
    ) -> ModelResult | DataResult:
        return run_stage(word, out=out, seed=seed, listener=listener, overwrite=overwrite, **inputs_and_settings)

    result: type[ModelResult] | type[DataResult] = ModelResult if stage.output_kind().endswith("encoder") else DataResult
    parameters = [*_parameters(stage)]
    function.__name__ = function.__qualname__ = name
    function.__module__ = "adapt"
    function.__doc__ = _docstring(stage)
    function.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": result}
    function.__signature__ = Signature(parameters, return_annotation=result)  # type: ignore[attr-defined]
    return function


def _parameters(stage: type[Stage]) -> Iterator[Parameter]:
    """Inputs, then what every stage function takes, then settings; all by keyword."""
    keyword = Parameter.KEYWORD_ONLY
    for want in stage.inputs():
        kind = "Model" if want.kinds[0].endswith("encoder") else "Data"
        if want.required:
            yield Parameter(want.name, keyword, annotation=kind)
        else:
            yield Parameter(want.name, keyword, default=None, annotation=f"{kind} | None")
    yield Parameter("out", keyword, default=None, annotation="str | os.PathLike[str] | None")
    yield Parameter("seed", keyword, default=13, annotation=int)
    yield Parameter("listener", keyword, default=None, annotation="Listener | None")
    yield Parameter("overwrite", keyword, default=False, annotation=bool)
    for name, field in stage.model_fields.items():
        default = field.get_default(call_default_factory=True)
        yield Parameter(name, keyword, default=default, annotation=_without_bounds(field.annotation))


def _without_bounds(annotation: object) -> object:
    """A setting's type as `help()` shows it: float in place of Annotated[float, Ge(ge=0)]."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _without_bounds(parts[0])
    if origin is tuple:
        return tuple[tuple(part if part is ... else _without_bounds(part) for part in parts)]  # type: ignore[misc]
    if origin in (Union, UnionType):
        return Union[tuple(_without_bounds(part) for part in parts)]  # noqa: UP007
    return annotation


def _docstring(stage: type[Stage]) -> str:
    """The stage's docstring, and a line for each input and setting."""
    lines = [cleandoc(stage.__doc__ or ""), "", "Inputs:"]
    for want in stage.inputs():
        what = "a path, a name or a loaded model" if want.kinds[0].endswith("encoder") else f"{' or '.join(want.kinds)}"
        lines.append(f"    {want.name}: {what}{'' if want.required else ' (optional)'}")
    lines += ["    out, seed, listener, overwrite: see `adapt.run_stage`"]
    if stage.model_fields:
        lines += ["", "Settings:"]
    for option in stage.options():
        only = f" ({', '.join(option.only)})" if option.only else ""
        lines.append(f"    {'.'.join(option.path)} = {stage.default_of(option)!r}: {option.description}{only}")
    if any(len(option.path) > 1 for option in stage.options()):
        lines.append("    Settings with a dot are written as a dict: loss={'name': 'mnrl', 'scale': 30}")
    return "\n".join(lines)
