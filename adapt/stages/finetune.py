"""Train the bi-encoder on pairs, triplets, scored pairs or labelled pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.losses.settings import LOSSES, InBatchLoss, Loss, MarginMse, Matryoshka, Mnrl, RankingLoss
from adapt.models import lora
from adapt.records import CrossEncoderFolder, Encoder, EncoderFolder, Examples, record_kind
from adapt.settings import PositiveFloat, PositiveInt
from adapt.stages import Retain, TrainingStage
from adapt.training.settings import EarlyStoppingSettings


class Finetune(TrainingStage):
    """Train the bi-encoder on pairs, triplets, scored pairs or labelled pairs.

    Losses for pairs: mnrl; triplets: mnrl, triplet, margin-mse; scored pairs: cosent, angle, cosine, contrastive,
    online-contrastive; labelled pairs: softmax. In a recipe: `loss: mnrl`, or `loss: {name: mnrl, scale: 30}`. With shares,
    `examples: {pairs: 0.5, pseudo: 0.5}`, an epoch takes all rows of the scarcest source and samples the others. A text that the
    data pair with an anchor is never its negative.
    """

    version: ClassVar[int] = 6
    output_name: ClassVar[str] = "finetuned"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"examples": ("triplets", "pairs", "silver", "gold")}
    explicit_inputs: ClassVar[tuple[str, ...]] = ("guide", "teacher")
    example: ClassVar[str] = (
        "adapt finetune --model all-MiniLM-L6-v2 --examples triplets.jsonl --loss mnrl --out tuned --max-steps 5"
    )

    loss: Loss = Field(default_factory=Mnrl, description="the loss")
    batch_size: PositiveInt = Field(64, description="examples per step; for mnrl also in-batch negatives")
    matryoshka: Matryoshka = Field(default_factory=Matryoshka, description="shorter embeddings to train, too")
    token_budget: PositiveInt | None = Field(None, description="maximum padded tokens in memory at once (gradient caching)")
    retain: Retain = 0.0
    lora_rank: int = Field(0, ge=0, description="LoRA rank of attention, merged after training; 0 trains all weights")
    shares: tuple[PositiveFloat, ...] = Field((), description="fraction of an epoch for each source of examples")
    mixing: Literal["mixed", "separate"] = Field("mixed", description="mix the sources within a batch, or keep them separate")
    early_stopping: EarlyStoppingSettings = Field(
        default_factory=EarlyStoppingSettings, description="early stopping, by ten evaluations"
    )

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        loss, found = self.loss, self._kind_problems(kinds["examples"]) if "examples" in kinds else []
        if self.lora_rank and lora.missing_packages():
            found.append(lora.missing_packages())
        takes_guide = isinstance(loss, InBatchLoss) and loss.takes_pairs()
        if "guide" in kinds and not takes_guide:
            found.append("a guide masks negatives of the batch: it is for loss 'mnrl', or 'triplet' with in_batch")
        if isinstance(loss, MarginMse) and "teacher" not in kinds:
            found.append("loss 'margin-mse' learns from a cross-encoder; name one as teacher")
        if not isinstance(loss, MarginMse) and "teacher" in kinds:
            found.append(f"a teacher is for loss 'margin-mse', not '{loss.name}'")
        if isinstance(loss, RankingLoss) and loss.negatives == 0 and not loss.takes_pairs():
            found.append(f"loss '{loss.name}' needs negatives of at least 1")
        found += loss.margin_problems(0)
        if self.shares and not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            found.append(f"shares must add up to 1, and {' + '.join(map(str, self.shares))} is {sum(self.shares):g}")
        dims, weights = self.matryoshka.dims, self.matryoshka.weights
        if weights and len(weights) != len(dims):
            found.append(f"matryoshka: {len(weights)} weights for {len(dims)} dims; give one for each")
        if isinstance(loss, Mnrl) and self.batch_size == 1 and (kinds.get("examples") == "pairs" or loss.negatives == 0):
            found.append("batch_size 1 leaves a pair no negative: those of loss 'mnrl' are the other rows of a batch")
        if self.early_stopping.held_out == 1:
            found.append("held_out 1 leaves nothing to train on; 0.1 is usual")
        return found

    def _kind_problems(self, kind: str) -> list[str]:
        """Why examples of that kind do not fit the loss."""
        loss = self.loss
        pairs = kind == "pairs" or (kind == "scored" and isinstance(loss, InBatchLoss) and loss.threshold() is not None)
        if kind in loss.examples or (pairs and loss.takes_pairs()):
            return []
        fits = " or ".join(other.tag() for other in LOSSES if kind in other.examples)
        more = ""
        if kind == "scored" and isinstance(loss, InBatchLoss):
            and_in_batch = "" if isinstance(loss, Mnrl) else " (and in_batch semi-hard)"
            more = f", or set positive_threshold, the score from which a row counts as a pair{and_in_batch}"
        if kind == "pairs" and loss.name == "triplet":
            more = ", or in_batch semi-hard, which takes negatives from the batch"
        return [f"loss '{loss.name}' takes {' or '.join(loss.examples)}, but examples are {kind}. Try loss {fits}{more}"]

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        width = widths.get("model", 0)
        if not width:
            return []
        found = self.loss.margin_problems(width)
        if any(short > width for short in self.matryoshka.dims):
            found.append(f"matryoshka {max(self.matryoshka.dims)} is more than the model's own dimension, {width}")
        return found

    def run(
        self,
        model: EncoderFolder,
        examples: Examples,
        job: Job,
        guide: EncoderFolder | None = None,
        teacher: CrossEncoderFolder | None = None,
    ) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where settings and examples do not fit."""
        from adapt.errors import UserError
        from adapt.losses.finetuning import Finetuning, FinetuningSetup
        from adapt.models.bi_encoder import load_encoder, save_encoder
        from adapt.models.dropout import set_dropout
        from adapt.training.objective import train

        sources = self._sources(examples, {"guide": guide, "teacher": teacher})
        encoder = load_encoder(model.path)
        if wrong := self.dimension_problems({"model": encoder.get_embedding_dimension() or 0}):
            raise UserError(wrong)
        set_dropout(encoder, self.dropout)
        if self.lora_rank:
            job.counts["adapted_layers"] = lora.attach(encoder, self.lora_rank, job.seed)
        setup = FinetuningSetup(
            model.path, encoder, job.seed, self.batch_size, self.learning_rate, self.max_length, self.precision, self.retain,
            self.token_budget, self.shares, self.mixing == "separate", self.early_stopping.held_out,
        )  # fmt: skip
        objective = Finetuning(setup, self.loss, self.matryoshka, sources)
        if guide:
            objective.add_guide(guide.path, job)
        if teacher:
            objective.add_teacher(teacher.path, job)
        if unused := objective.rows_without_negative():
            job.counts["rows_without_negative"] = unused
            job.note(
                f"finetune: {unused:,} of {len(objective.rows):,} rows are not trained on: their positive is also right for all "
                "rows that they could share a batch with; use batching grouped, or hard negatives (mine)"
            )
        report = train(objective, self.training(), job)
        if self.lora_rank:
            lora.merge(encoder)
        job.counts.update(
            examples=len(objective.examples), held_out=len(objective.held_out), rows_an_epoch=objective.rows_per_epoch(),
            **vars(report),
        )  # fmt: skip
        return Encoder(save_encoder(encoder, job.out / "model"))

    def _sources(self, examples: Examples, models: Mapping[str, Any]) -> list[Sequence[Any]]:
        """The examples of each source, as the loss takes them. Raises UserError where settings and examples do not fit."""
        from adapt.errors import UserError
        from adapt.training import mixing

        sources, kind = mixing.split(examples), record_kind(examples)
        wrong = self.problems({"examples": kind} | {name: "" for name, folder in models.items() if folder})
        if self.shares and len(self.shares) != len(sources):
            wrong.append(f"{len(self.shares)} shares for {len(sources)} sources of examples; give one for each")
        threshold = self.loss.threshold()
        if kind == "scored" and threshold is not None and not wrong:
            sources = mixing.positive_pairs(threshold, sources)
            if not all(sources):
                wrong.append(f"a source of examples has no row that scores {threshold} or more; lower positive_threshold")
        if wrong:
            raise UserError(wrong)
        return sources
