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
from typing import Annotated, Any, ClassVar

from pydantic import Field
from typing_extensions import Self

from adapt import plugins
from adapt.errors import UserError
from adapt.runtime.precision import Precision
from adapt.settings import (
    Length,
    NonNegativeFloat,
    Option,
    PairLength,
    PositiveFloat,
    PositiveInt,
    Settings,
    Share,
    groups,
    options,
)  # fmt: skip
from adapt.training.settings import OptimizerSettings, TrainingSettings

GROUP = "adapt.stages"  # of entry points, see `adapt.plugins`
# Architectures whose position numbers start after that of the padding token.
OFFSET_BY_PADDING = (
    "roberta", "xlm-roberta", "camembert", "roberta-prelayernorm", "xlm-roberta-xl", "xmod", "data2vec-text", "longformer", "mpnet",
)  # fmt: skip
# Of every stage that trains an encoder: see `adapt.losses.retention`.
Retain = Annotated[
    NonNegativeFloat,
    Field(description="weight of distillation from the initial model's embeddings"),
]
__all__ = [
    "Input", "Length", "NonNegativeFloat", "PairLength", "PositiveFloat", "PositiveInt", "Retain", "Share", "Stage",
    "TrainingStage", "find", "names", "nested", "too_long",
]  # fmt: skip


@dataclass(frozen=True)
class Input:
    """One input of a stage: the kinds that it may be of, and whether it is required."""

    name: str
    kinds: tuple[str, ...]
    required: bool


class Stage(Settings):
    """A kind of work with its settings; frozen, and strict about unknown names."""

    version: ClassVar[int] = 1  # raised when the same settings would give another result
    output_name: ClassVar[str] = ""  # the name of the output in later steps of a recipe, beside the step's id
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # input → names to use where its own name is not defined
    explicit_inputs: ClassVar[tuple[str, ...]] = ()  # optional inputs that are used only where a recipe sets them
    example: ClassVar[str] = ""  # a command to paste
    registered: ClassVar[str] = ""  # the entry point's name, for a stage from another package

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

    @classmethod
    def options(cls) -> list[Option]:
        """Every setting, those of groups included, as a command line shows them."""
        return options(cls)

    @classmethod
    def default_of(cls, option: Option) -> Any:
        """The default of a setting; of one that only some members of a union have, that of the first of them."""
        if option.only:
            return option.field.default
        found = cls.model_fields[option.path[0]].get_default(call_default_factory=True)
        return getattr(found, option.path[1]) if len(option.path) > 1 else found

    @classmethod
    def from_options(cls, **values: object) -> Self:
        """The stage from its options by their flat names, `scale=30` for `loss.scale`; raises pydantic's ValidationError."""
        return cls.model_validate(nested(cls, values))

    @classmethod
    def has_setting(cls, path: str) -> bool:
        """Whether there is a setting at `path`: "batch_size", "loss" or "loss.scale"."""
        return path in cls.model_fields or any(".".join(option.path) == path for option in options(cls))

    def value_at(self, path: str) -> Any:
        """The setting at `path`; a group as a mapping of the settings that were given."""
        found: Any = self
        for part in path.split("."):
            found = getattr(found, part)
        return found.model_dump(exclude_unset=True) if isinstance(found, Settings) else found

    def values_with(self, path: str, value: object) -> dict[str, Any]:
        """The settings that were given, with the one at `path` ("loss.scale") changed.

        A bare value of a group changes only the setting that it is short for: `loss: angle` keeps a scale.
        """
        values = self.model_dump(exclude_unset=True)
        group, _, inner = path.partition(".")
        members = groups(type(self).model_fields[group].annotation) if group in type(self).model_fields else []
        if members and not inner and not isinstance(value, Mapping):
            inner = members[0].shorthand
        if inner:
            values[group] = {**values.get(group, {}), inner: value}
        else:
            values[group] = value
        return values

    def with_setting(self, path: str, value: object) -> Stage:
        """The same stage with one setting changed; raises pydantic's ValidationError for a bad value."""
        return type(self).model_validate(self.values_with(path, value))

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        """What is wrong with these settings for inputs of these kinds; a sentence each."""
        return []

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        """What of these settings is not possible with a model, a sentence each.

        `config` is the model's config.json; `is_embedder`: it is an embedding model and no plain language model.
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
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings, description="AdamW and its learning-rate schedule")
    dropout: Share = Field(0.0, description="dropout probability; 0 is 25 % faster on a CPU")
    max_length: Length = Field(192, description="maximum tokens per text; the rest is cut")
    precision: Precision = Field("auto", description="auto is bf16 where the hardware supports it")
    gradient_checkpointing: bool = Field(False, description="less memory, about a third more time")

    def training(self) -> TrainingSettings:
        """These settings as `adapt.training.objective.train` takes them."""
        early_stopping = getattr(self, "early_stopping", None)
        patience = early_stopping.patience if early_stopping else getattr(self, "patience", None) or 1
        return TrainingSettings(
            self.epochs, self.max_steps, self.batch_size, self.optimizer, self.precision, self.gradient_checkpointing, patience
        )


def nested(stage: type[Stage], values: Mapping[str, object]) -> dict[str, Any]:
    """Settings by their flat names as a stage takes them: {"scale": 30} → {"loss": {"scale": 30}}; unknown names stay."""
    paths = {option.name: option.path for option in options(stage)}
    found: dict[str, Any] = {}
    for name, value in values.items():
        path = paths.get(name, (name,))
        if len(path) == 1:
            found[path[0]] = value
        else:
            found.setdefault(path[0], {})[path[1]] = value
    return found


def too_long(max_length: int, config: Mapping[str, object]) -> list[str]:
    """A problem where a model has fewer positions than `max_length` tokens need; none where its config.json has no number."""
    positions = config.get("max_position_embeddings")
    if type(positions) is not int or positions < 1:
        return []
    if str(config.get("model_type")) in OFFSET_BY_PADDING:
        positions -= 2  # https://github.com/huggingface/sentence-transformers/issues/207
    if max_length <= positions:
        return []
    return [f"max_length {max_length} is more than the {positions} tokens that the model supports; set max_length: {positions}"]


def _kinds(hint: object) -> tuple[str, ...]:
    if typing.get_origin(hint) is Annotated:
        return tuple(typing.get_args(hint)[1].split())
    for part in typing.get_args(hint):  # Optional[...]
        if typing.get_origin(part) is Annotated:
            return _kinds(part)
    raise TypeError(f"{hint} names no kind")


@lru_cache
def built_in() -> tuple[str, ...]:
    """The names of the stages that come with adapt: the files of this folder."""
    modules = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    return tuple(sorted(name.replace("_", "-") for name in modules))


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
