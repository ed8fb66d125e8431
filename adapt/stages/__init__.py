"""The kinds of work a recipe is made of: one file is one stage, one word in YAML, one command.

A stage is a value: its fields are its settings, `run`'s parameters its inputs, `run`'s return type what it makes, its
docstring's first line its help. Validation, command-line options, cache keys and the README's table are read from there.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import EntryPoint
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, field_validator

from adapt import plugins
from adapt.errors import UserError
from adapt.runtime.precision import Precision

GROUP = "adapt.stages"  # of entry points, see `adapt.plugins`
LARGEST_INT = 2**31 - 1
# Architectures whose positions begin behind the padding token's number.
OFFSET_BY_PADDING = (
    "roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "xlm-roberta-xl", "xmod", "data2vec-text", "longformer", "mpnet",
)  # fmt: skip
Share = Annotated[float, Field(ge=0, le=1)]
# Tokens that mark where texts begin and end count, too: up to two of a text, four of a pair. Less would cut all words off.
Length = Annotated[int, Field(ge=4)]
PairLength = Annotated[int, Field(ge=8)]
# Of every stage that trains an encoder: see `adapt.losses.retention`.
Retain = Annotated[
    NonNegativeFloat,
    Field(description="weight of the pull towards the vectors that the model as it came in gives for a batch's texts"),
]
__all__ = [
    "Input", "Length", "NonNegativeFloat", "PairLength", "PositiveFloat", "PositiveInt", "Retain", "Share", "Stage",
    "TrainingStage", "find", "names",
    "too_long",
]  # fmt: skip


@dataclass(frozen=True)
class Input:
    """One thing a stage takes: the kinds that fit, and whether it can do without."""

    name: str
    kinds: tuple[str, ...]
    required: bool


class Stage(BaseModel):
    """A kind of work with its settings; frozen, and strict about unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)
    version: ClassVar[int] = 1  # raised when the same settings would make something else
    output_name: ClassVar[str] = ""  # the name of the output in later steps of a recipe, beside the step's id
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # input → names to use where its own name is not defined
    explicit_inputs: ClassVar[tuple[str, ...]] = ()  # optional inputs that are used only where a recipe sets them
    example: ClassVar[str] = ""  # a command to paste
    registered: ClassVar[str] = ""  # the entry point's name, for a stage from another package

    @field_validator("*")
    @classmethod
    def _no_giant(cls, value: Any) -> Any:
        """Counts, sizes and lengths beyond this are slips of the keyboard, and overflow where arrays are made."""
        for part in value if isinstance(value, tuple) else (value,):
            if type(part) is int and part > LARGEST_INT:
                raise ValueError(f"must be {LARGEST_INT} or less")
        return value

    @classmethod
    def name(cls) -> str:
        """The stage's name in YAML and on the command line."""
        return cls.registered or cls.__module__.rpartition(".")[2].replace("_", "-")

    @classmethod
    def help(cls) -> str:
        """The first line of the docstring."""
        return inspect.cleandoc(cls.__doc__ or "").splitlines()[0]

    @classmethod
    def inputs(cls) -> list[Input]:
        """What `run` takes, in order."""
        hints = typing.get_type_hints(cls.run, include_extras=True)
        found = []
        for name, parameter in inspect.signature(cls.run).parameters.items():
            if name in ("self", "job"):
                continue
            found.append(Input(name, _kinds(hints[name]), parameter.default is inspect.Parameter.empty))
        return found

    @classmethod
    def output_kind(cls) -> str:
        """The kind of data or model that `run` returns."""
        return _kinds(typing.get_type_hints(cls.run, include_extras=True)["return"])[0]

    def with_setting(self, name: str, value: Any) -> Stage:
        """The same stage with one setting changed; raises pydantic's ValidationError for a bad value."""
        return type(self).model_validate({**self.model_dump(), name: value})

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        """What is wrong with these settings for inputs of these kinds; a sentence each."""
        return []

    def model_problems(self, config: Mapping[str, Any], tuned: bool) -> list[str]:
        """What these settings ask that a model can't do, a sentence each.

        `config` is the model's config.json; `tuned`: it is an embedder and no plain language model.
        """
        return []

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        """What does not fit the dimensions of the encoders among the inputs, a sentence each.

        `widths`: those that are known, by the input's name, and of the first one's hidden states as `hidden`.
        """
        return []

    def keeps_dimension(self) -> bool:
        """Whether a model that it makes has the dimensions of the one that it starts from."""
        return True

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work. Each stage names its own inputs."""
        raise NotImplementedError


class TrainingStage(Stage):
    """A stage that trains a model: the settings that all of them share; defaults differ."""

    epochs: PositiveInt = Field(1, description="passes over the rows")
    max_steps: PositiveInt | None = Field(None, description="stop after this many steps")
    batch_size: PositiveInt = Field(32, description="rows per step")
    learning_rate: PositiveFloat = Field(5e-5, description="peak learning rate")
    warmup: Share = Field(0.1, description="share of the steps in which the learning rate rises")
    scheduler: Literal["linear", "cosine", "constant"] = Field("linear", description="how the learning rate falls after that")
    weight_decay: NonNegativeFloat = Field(0.01, description="AdamW's weight decay")
    dropout: Share = Field(0.0, description="dropout while training; 0 is a quarter faster on a CPU")
    max_length: Length = Field(192, description="tokens per text; the rest is cut")
    precision: Precision = Field(
        "auto", description="of the transformer's layers; auto: bf16 where the hardware has it, fp32 elsewhere (or ADAPT_PRECISION)"
    )
    gradient_checkpointing: bool = Field(False, description="less memory for about a third more time")

    def optimisation(self) -> Any:
        """These settings as `adapt.training.loop.fit` takes them."""
        from adapt.training.loop import Optimisation

        return Optimisation(self.warmup, self.weight_decay, self.scheduler, self.precision, self.gradient_checkpointing)


def too_long(max_length: int, config: Mapping[str, Any]) -> list[str]:
    """That a model has fewer positions than `max_length` tokens need; nothing where its config.json does not tell."""
    positions = config.get("max_position_embeddings")
    if type(positions) is not int or positions < 1:
        return []
    if str(config.get("model_type")) in OFFSET_BY_PADDING:
        positions -= 2  # https://github.com/huggingface/sentence-transformers/issues/207
    if max_length <= positions:
        return []
    return [f"max_length {max_length} is more than the {positions} tokens that the model can read; give max_length: {positions}"]


def _kinds(hint: Any) -> tuple[str, ...]:
    if typing.get_origin(hint) is Annotated:
        return tuple(typing.get_args(hint)[1].split())
    for part in typing.get_args(hint):  # Optional[...]
        if typing.get_origin(part) is Annotated:
            return _kinds(part)
    raise TypeError(f"{hint} names no kind")


@lru_cache
def built_in() -> tuple[str, ...]:
    """The names of the stages that come with adapt: the files of this folder."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def names() -> tuple[str, ...]:
    """The names of all stages, those of other installed packages among them (see `adapt.plugins`)."""
    return tuple(sorted((*built_in(), *plugins.registered(GROUP, built_in()))))


def package_of(word: str) -> str:
    """The package that a stage comes from, with its version; "" for a stage of adapt."""
    entry = plugins.registered(GROUP, built_in()).get(word)
    return plugins.package_of(entry) if entry else ""


@lru_cache
def find(word: str) -> type[Stage]:
    """The stage of that name. Raises KeyError for an unknown one, and UserError where another package's can't be loaded."""
    if word not in built_in():
        return _from_package(plugins.registered(GROUP, built_in())[word])
    module = importlib.import_module(f"{__name__}.{word.replace('-', '_')}")
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Stage) and value.__module__ == module.__name__:
            return value
    raise TypeError(f"{module.__name__} defines no stage")


def _from_package(entry: EntryPoint) -> type[Stage]:
    """A stage that another package registers; raises UserError with the package's name for what is no stage."""
    stage = plugins.load(entry)
    if not (isinstance(stage, type) and issubclass(stage, Stage)):
        raise UserError(plugins.refusal(entry, "is not a subclass of adapt.stages.Stage"))
    stage.registered = entry.name
    try:
        stage.inputs(), stage.output_kind()
    except Exception as error:  # annotations can't be resolved, or name no kind of data
        raise UserError(plugins.refusal(entry, f"its `run` can't be used ({type(error).__name__}: {error})")) from error
    return stage
