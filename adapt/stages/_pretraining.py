"""What the stages of unsupervised pretraining share: their settings, and how texts become a trained encoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adapt import aliases
from adapt.job import Job
from adapt.models import model_folder
from adapt.records import Encoder, Texts
from adapt.settings import Length, NonNegativeFloat, PositiveFloat, PositiveInt
from adapt.stages import Stage, TrainingStage, find

if TYPE_CHECKING:
    from adapt.losses.pretraining import PretrainingObjective, PretrainingSetup
    from adapt.training.settings import EarlyStoppingSettings

# Architectures for which transformers has a decoder with cross-attention (tried with 5.23), and those that only a run can show.
WITH_DECODER = (
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
UNTRIED = ("bart", "mbart", "mvp", "gpt2", "reformer")


class PretrainingStage(TrainingStage):
    """A stage that trains an encoder on texts alone."""

    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"texts": ("corpus",)}

    unit: Literal["sentence", "text"] = Field("sentence", description="train on sentences or on whole texts")
    base_type: Literal["auto", "language-model", "embedding-model"] = Field(
        "auto", description="type of the base model; auto detects it"
    )
    pooling: Literal["base", "cls", "mean", "max"] = Field(
        "base", description="base keeps the base's pooling, CLS for a language model"
    )
    learning_rate: PositiveFloat | None = Field(  # type: ignore[assignment]
        None, description="peak learning rate (language model 3e-5, embedding model 1e-5)"
    )
    retain: NonNegativeFloat | None = Field(
        None, description="weight of distillation from the base (default: 1 for an embedding model, else 0)"
    )
    min_words: PositiveInt = Field(5, description="leave shorter sentences or texts out")
    max_words: PositiveInt = Field(100, description="leave longer sentences out")
    max_length: Length = Field(128, description="maximum tokens per sentence or text; the rest is cut")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        found = []
        early_stopping: EarlyStoppingSettings | None = getattr(self, "early_stopping", None)
        if early_stopping and early_stopping.held_out > 0.5:
            found.append(f"held_out {early_stopping.held_out}: more than half of the rows would not be trained on")
        if self.min_words > self.max_words:
            found.append(f"min_words {self.min_words} is more than max_words {self.max_words}; no sentence would be left")
        return found

    def keeps_dimension(self) -> bool:
        return self.pooling == "base"

    @classmethod
    def has_setting(cls, path: str) -> bool:
        return path == "objective" or super().has_setting(path)

    def with_setting(self, path: str, value: Any) -> Stage:
        """The same stage with one setting changed; `objective`, as a sweep may have it, is another of these stages."""
        if path != "objective":
            return super().with_setting(path, value)
        other = find(aliases.OBJECTIVES[value])
        return other.model_validate({k: v for k, v in self.model_dump(exclude_unset=True).items() if k in other.model_fields})

    @abstractmethod
    def objective(self, setup: PretrainingSetup, job: Job) -> PretrainingObjective:
        """What is minimised, for a model and its texts."""

    def setup_settings(self, is_embedder: bool) -> dict[str, Any]:
        """The fields of `PretrainingSetup` that are set by this stage, for a base of either type."""
        rate = self.learning_rate or (1e-5 if is_embedder else 3e-5)
        return {"learning_rate": rate, "retain": float(is_embedder) if self.retain is None else self.retain}

    def pretrain(self, model: Encoder, texts: Texts, job: Job) -> Encoder:
        """Train the encoder on the texts. Raises UserError for a model or texts that the method can't use."""
        from adapt.losses.pretraining import PretrainingSetup
        from adapt.models.bi_encoder import load_encoder, save_encoder, set_pooling
        from adapt.training.denoising_data import tokenize
        from adapt.training.objective import train

        is_embedder = self.is_embedder(model)
        encoder = load_encoder(model.path)
        if self.pooling != "base":
            set_pooling(encoder, self.pooling)
        self._check_dimensions(encoder, model)
        rows = self._training_texts(texts, job)
        base_type = "embedding-model" if is_embedder else "language-model"
        job.note(f"{self.name()}: {len(rows):,} {self.unit}s; base type: {base_type}")
        early_stopping: EarlyStoppingSettings | None = getattr(self, "early_stopping", None)
        setup = PretrainingSetup(
            self.name(), f"{self.unit}s", model.path, encoder, tokenize(encoder, rows, self.max_length), job.seed,
            is_embedder, self.batch_size,
            precision=self.precision, held_out=early_stopping.held_out if early_stopping else 0.0,
            **self.setup_settings(is_embedder),
        )  # fmt: skip
        report = train(self.objective(setup, job), self.training(), job)
        job.counts.update({f"{self.unit}s": len(rows)}, base_type=base_type, **vars(report))
        return Encoder(save_encoder(encoder, job.out / "model"))

    def is_embedder(self, model: Encoder) -> bool:
        """Whether the base is treated as an embedding model."""
        return self.base_type == "embedding-model" or (
            self.base_type == "auto" and model_folder.is_sentence_transformer(model.path)
        )

    def _check_dimensions(self, encoder: Any, model: Encoder) -> None:
        """Raise UserError for an encoder that the objective can't train."""
        from adapt.errors import UserError
        from adapt.losses.pretraining import dimensions

        found = dimensions(encoder)
        if not found:
            raise UserError(
                f"{self.name()}: {model.path} has static embeddings, and {self.name()} is for transformers; try: adapt finetune"
            )
        if wrong := self.dimension_problems(found):
            raise UserError([f"{self.name()}: {model.path}: {problem}" for problem in wrong])

    def _training_texts(self, texts: Texts, job: Job) -> list[str]:
        """Sentences or whole texts that are long enough, without near-duplicates."""
        from adapt.errors import UserError
        from adapt.training.denoising_data import training_texts

        kept, duplicates = training_texts(texts, self.unit == "sentence", self.min_words, self.max_words)
        job.counts.update(duplicates=duplicates)
        if len(kept) < 2:
            lengths, remedy = f"texts of {self.min_words} words or more", "lower min_words"
            if self.unit == "sentence":
                lengths, remedy = f"sentences of {self.min_words} to {self.max_words} words", "widen min_words and max_words"
            raise UserError(f"{self.name()}: the texts contain {len(kept)} {lengths}; give more text, or {remedy}")
        return kept


def lacks_decoder(architecture: str) -> bool:
    """Whether transformers has no decoder with cross-attention for this architecture."""
    return bool(architecture) and architecture not in (*WITH_DECODER, *UNTRIED)


def lacks_mask_head(architecture: str) -> bool:
    """Whether transformers has no masked-language-model head for this architecture."""
    if not architecture or architecture in WITH_DECODER:
        return False
    from adapt.losses.masked import has_head

    return not has_head(architecture)
