"""Train the bi-encoder on pairs, triplets, scored or labelled pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.models import lora
from adapt.records import CrossEncoderFolder, Encoder, EncoderFolder, Examples, record_kind
from adapt.stages import NonNegativeFloat, PositiveFloat, PositiveInt, Retain, Share, TrainingStage

Loss = Literal["mnrl", "triplet", "margin-mse", "cosent", "angle", "cosine", "contrastive", "online-contrastive", "softmax"]
TAKES = {
    "mnrl": ("pairs", "triplets"), "triplet": ("triplets",), "margin-mse": ("triplets",), "cosent": ("scored",),
    "angle": ("scored",), "cosine": ("scored",), "contrastive": ("scored",), "online-contrastive": ("scored",),
    "softmax": ("labelled",),
}  # fmt: skip
RANKS = ("mnrl", "triplet", "margin-mse")
CONTRASTS = ("contrastive", "online-contrastive")
MARGINS = {"triplet": 0.3, "contrastive": 0.5, "online-contrastive": 0.5}
# Settings that only some losses heed: set for another one, they are a mistake.
LOSS_SETTINGS = {
    "scale": ("mnrl", "cosent", "angle"), "symmetric": ("mnrl",), "guide_margin": ("mnrl", "triplet"), "negatives": RANKS,
    "guide_bound": ("mnrl", "triplet"), "in_batch": ("triplet",), "distance": ("triplet",), "soft_margin": ("triplet",),
    "margin": tuple(MARGINS), "positives_from": ("mnrl", "triplet", *CONTRASTS),
}  # fmt: skip


class Finetune(TrainingStage):
    """Train the bi-encoder on pairs, triplets, scored or labelled pairs.

    mnrl: the positive against every other document of the batch and the hard negatives. triplet: nearer to the positive than
    to a hard negative, or to one chosen in the batch. margin-mse: the teacher's score of the positive less that of a hard
    negative. A document that the data tie to an anchor is never its negative, nor is one that a guide (an encoder, on request)
    takes for a positive. cosent, angle, cosine, contrastive: scored pairs. softmax: labelled pairs. Several sources of
    examples may have shares, {pairs: 0.5, pseudo: 0.5}: each epoch takes the scarcest whole and draws from the others.
    Against forgetting, a source may be pairs of no domain (replay), and `retain` holds the vectors near the base's.
    """

    version: ClassVar[int] = 6
    output_name: ClassVar[str] = "finetuned"
    default_inputs: ClassVar = {"examples": ("triplets", "pairs", "silver", "gold")}
    explicit_inputs: ClassVar = ("guide", "teacher")
    example: ClassVar[str] = (
        "adapt finetune --model all-MiniLM-L6-v2 --examples triplets.jsonl --loss mnrl --out tuned --max-steps 5"
    )

    loss: Loss = Field("mnrl", description="what is minimised; see below")
    batch_size: PositiveInt = Field(64, description="examples per step; for mnrl also the number of in-batch negatives")
    negatives: int = Field(1, ge=0, description="hard negatives of each triplet, drawn anew each epoch (mnrl, triplet, margin-mse)")
    batching: Literal["spread", "gathered"] = Field(
        "spread",
        description="spread: no two rows of a batch share a text; gathered: rows with one positive, and positives that are each "
        "other's hard negatives, share a batch, so that each text is encoded once (mnrl)",
    )
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the similarities (mnrl, cosent, angle)")
    symmetric: bool = Field(False, description="also each positive's own anchor among all anchors (mnrl)")
    distance: Literal["squared", "euclidean", "cosine", "manhattan"] = Field(
        "squared", description="between unit vectors: at most 4, 2, 2, and 2√width (triplet)"
    )
    margin: PositiveFloat | None = Field(
        None, description="distance by which the positive must be nearer (triplet, 0.3), or others be apart (contrastive, 0.5)"
    )
    soft_margin: bool = Field(False, description="log(1 + exp(difference)) in place of a margin (triplet)")
    in_batch: Literal["none", "batch-hard", "semi-hard", "all"] = Field(
        "none", description="negatives from the batch: the nearest, the nearest beyond the positive, or every document (triplet)"
    )
    guide_margin: NonNegativeFloat = Field(
        0.05, description="a document that the guide scores above the positive's score less this is no negative (mnrl, triplet)"
    )
    guide_bound: Literal["relative", "absolute"] = Field(
        "relative", description="guide_margin as a share of the positive's score, or as a cosine (mnrl, triplet)"
    )
    positives_from: Share | None = Field(
        None, description="score from which a scored row is a pair (mnrl, triplet) or means the same (contrastive, 0.5)"
    )
    matryoshka: tuple[PositiveInt, ...] = Field(
        (), description="shorter widths at which the loss is taken, too: a vector's first numbers become a vector of their own"
    )
    matryoshka_weights: tuple[PositiveFloat, ...] = Field((), description="weight of each of these widths; 1 unless given")
    token_budget: PositiveInt | None = Field(
        None, description="padded tokens held in memory at once: the same gradients for a third more time, at any batch size"
    )
    retain: Retain = 0.0
    lora_rank: int = Field(0, ge=0, description="train low-rank adapters of the attention alone and merge them; 0 trains all")
    shares: tuple[PositiveFloat, ...] = Field((), description="share of each source of examples in an epoch; they add up to 1")
    mixing: Literal["mixed", "apart"] = Field("mixed", description="rows of all sources in a batch, or one source to a batch")
    held_out: Share = Field(0.0, description="share of the examples kept aside; the weights with the lowest loss on it are kept")
    patience: PositiveInt = Field(3, description="stop after so many looks at the held-out loss (ten in all) without a new best")

    def problems(self, kinds) -> list[str]:
        found = self._misfit(kinds["examples"]) if "examples" in kinds else []
        if self.lora_rank and lora.missing_packages():
            found.append(lora.missing_packages())
        if self.batching == "gathered" and self.loss != "mnrl":
            found.append(
                f"batching 'gathered' masks shared positives, which only loss 'mnrl' does; with '{self.loss}' use 'spread'"
            )
        for name, losses in LOSS_SETTINGS.items():
            if self.loss not in losses and getattr(self, name) != type(self).model_fields[name].default:
                found.append(f"'{name}' means nothing to loss '{self.loss}'; it is for {', '.join(losses)}")
        if "guide" in kinds and not (self.loss == "mnrl" or self.in_batch != "none"):
            found.append("a guide masks negatives of the batch: it is for loss 'mnrl', or 'triplet' with in_batch")
        if self.loss == "margin-mse" and "teacher" not in kinds:
            found.append("loss 'margin-mse' learns from a cross-encoder; name one as teacher")
        if self.loss != "margin-mse" and "teacher" in kinds:
            found.append(f"a teacher is for loss 'margin-mse', not '{self.loss}'")
        if self.negatives == 0 and (self.loss == "margin-mse" or (self.loss == "triplet" and self.in_batch == "none")):
            found.append(f"loss '{self.loss}' needs negatives of at least 1")
        if self.distance != "manhattan":  # its bound depends on the model's width
            found += self._too_wide(0)
        if self.shares and not math.isclose(sum(self.shares), 1, abs_tol=1e-6):
            found.append(f"shares must add up to 1, and {' + '.join(map(str, self.shares))} is {sum(self.shares):g}")
        if self.matryoshka_weights and len(self.matryoshka_weights) != len(self.matryoshka):
            found.append(f"{len(self.matryoshka_weights)} matryoshka_weights for {len(self.matryoshka)} widths; give one for each")
        if self.soft_margin and self.margin is not None:
            found.append("soft_margin stands in place of a margin: give one of the two")
        if self.loss == "mnrl" and self.batch_size == 1 and (kinds.get("examples") == "pairs" or self.negatives == 0):
            found.append("batch_size 1 leaves a pair no negative: those of loss 'mnrl' are the other rows of a batch")
        if self.held_out == 1:
            found.append("held_out 1 leaves nothing to train on; 0.1 is usual")
        return found

    def _misfit(self, kind: str) -> list[str]:
        """Why examples of that kind do not fit the loss."""
        pairs = kind == "pairs" or (kind == "scored" and self.positives_from is not None)
        if kind in TAKES[self.loss] or (pairs and (self.loss == "mnrl" or self.in_batch != "none")):
            return []
        fits = " or ".join(name for name, wanted in TAKES.items() if kind in wanted)
        more = ""
        if kind == "scored" and self.loss in ("mnrl", "triplet"):
            and_in_batch = " (and in_batch semi-hard)" if self.loss == "triplet" else ""
            more = f", or set positives_from, the score from which a row counts as a pair{and_in_batch}"
        if kind == "pairs" and self.loss == "triplet":
            more = ", or in_batch semi-hard, which finds negatives in the batch"
        return [f"loss '{self.loss}' takes {' or '.join(TAKES[self.loss])}, but examples are {kind}. Try loss {fits}{more}"]

    def _margin(self) -> float | None:
        return None if self.soft_margin or self.loss not in MARGINS else self.margin or MARGINS[self.loss]

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        return self._too_wide(widths["model"]) if "model" in widths else []

    def _too_wide(self, width: int) -> list[str]:
        """What is wrong with a margin that no two unit vectors of that width can meet, or with shorter widths."""
        found = []
        distance = "cosine" if self.loss in CONTRASTS else self.distance
        largest = {"squared": 4.0, "euclidean": 2.0, "cosine": 2.0, "manhattan": 2 * math.sqrt(width)}[distance]
        margin = self._margin()
        if margin is not None and margin >= largest:
            found.append(
                f"margin {margin:g} can't be met: on unit vectors the {distance} distance is at most {largest:g}, so that the loss "
                f"would never let go. Give less, or leave it out for {MARGINS[self.loss]}"
            )
        if width and any(short > width for short in self.matryoshka):
            found.append(f"matryoshka {max(self.matryoshka)} is more than the model's own width, {width}")
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
        import torch

        from adapt.errors import UserError
        from adapt.inference.encoding import forward
        from adapt.losses.classification import Classifier
        from adapt.losses.matryoshka import matryoshka
        from adapt.losses.retention import Retention
        from adapt.models.bi_encoder import load_encoder, save_encoder
        from adapt.models.dropout import set_dropout
        from adapt.runtime.device import seed_all
        from adapt.training import mixing
        from adapt.training.gradient_cache import forward_cached
        from adapt.training.loop import Group, HeldOut, epochs_of, fit, trainable
        from adapt.training.ranking_data import Ranked
        from adapt.training.scored_data import Rated

        parts, kind = mixing.split(examples), record_kind(examples)
        given = {"guide": guide, "teacher": teacher}
        wrong = self.problems({"examples": kind} | {name: "" for name, folder in given.items() if folder})
        if self.shares and len(self.shares) != len(parts):
            wrong.append(f"{len(self.shares)} shares for {len(parts)} sources of examples; give one for each")
        if kind == "scored" and self.loss in RANKS and self.positives_from is not None and not wrong:
            parts = mixing.pairs_from(self.positives_from, parts)
            if not all(parts):
                wrong.append(f"a source of examples has no row that scores {self.positives_from} or more; lower positives_from")
        encoder = load_encoder(model.path)
        width = encoder.get_embedding_dimension() or 0
        wrong += [] if wrong else self.dimension_problems({"model": width})
        if wrong:
            raise UserError(wrong)
        set_dropout(encoder, self.dropout)
        if self.lora_rank:
            job.counts["adapted_layers"] = lora.attach(encoder, self.lora_rank, job.seed)
        seed_all(job.seed)
        classifier = Classifier(width).to(encoder.device) if self.loss == "softmax" else None
        trained = torch.nn.ModuleDict({"encoder": encoder} | ({"classifier": classifier} if classifier else {}))
        rows = [row for part in parts for row in part]
        data: Ranked | Rated
        if self.loss in RANKS:
            data = Ranked(encoder, rows, self.max_length, self.negatives, self.batching == "gathered", job.seed)
            if guide:
                data.guided(guide.path, job)
            if teacher:
                data.taught(teacher.path, job)
        else:
            data = Rated(encoder, rows, self.max_length, job.seed)
        objective = self._objective(classifier)
        widths = {width: 1.0} | dict(zip(self.matryoshka, self.matryoshka_weights or [1.0] * len(self.matryoshka), strict=True))

        retained = Retention(model.path, self.retain, self.token_budget, self.precision)

        def encoded(epoch: int, rows: list[int]):
            batch, budget = data.batch(epoch, rows), self.token_budget
            return batch, forward_cached(encoder, batch.ids, budget) if budget else forward(encoder, batch.ids)

        def task(batch, vectors: torch.Tensor) -> torch.Tensor:
            if self.matryoshka:
                return matryoshka(lambda part: objective(batch, part), vectors, widths)
            return objective(batch, vectors)

        def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
            batch, vectors = encoded(epoch, rows)
            return task(batch, vectors) + retained(batch.ids, vectors)

        kept, aside = mixing.set_aside(data.first, self.held_out, job.seed)
        epochs = mixing.Epochs(mixing.numbered(parts, kept), self.shares, self.mixing == "apart", job.seed)
        first = epochs.batches(data, self.batch_size, 0)
        plan = epochs_of(
            lambda epoch: epochs.batches(data, self.batch_size, epoch) if epoch else first, self.epochs, self.max_steps
        )
        unseen = data.batches(aside, self.batch_size, 0)
        if not plan or (aside and not unseen):
            which = f"{len(aside)} examples held out" if plan else f"{len(rows)} examples"
            raise UserError(f"finetune: {which} make no batch of two rows with different positives; give more varied pairs")

        if untrained := sum(map(len, epochs.rows(0))) - sum(map(len, first)):
            job.counts["rows_without_negative"] = untrained
            job.note(
                f"finetune: {untrained:,} of {len(kept):,} rows are not trained: their positive is right for all rows that are "
                "left, so that they find no negative; use batching gathered, or hard negatives (mine)"
            )

        def held_out_loss() -> float:
            return sum(float(task(*encoded(0, rows))) * len(rows) for rows in unseen) / sum(map(len, unseen))

        fitted = fit(
            trained, loss, plan, [Group(trainable(trained), self.learning_rate)], job,
            label=f"finetune {self.loss}", unit="examples", how=self.optimisation(),
            held_out=HeldOut(held_out_loss, math.ceil(len(plan) / 10), self.patience) if aside else None,
        )  # fmt: skip
        lora.merge(encoder)
        job.counts.update(examples=len(rows), held_out=len(aside), rows_an_epoch=list(map(len, epochs.rows(0))), **vars(fitted))
        return Encoder(save_encoder(encoder, job.out / "model"))

    def _objective(self, classifier):
        """The loss of a batch's vectors, as these settings have it."""
        from adapt.losses.objectives import Objective

        return Objective(
            self.loss, self.scale, self.symmetric, self.distance, self._margin(), self.in_batch, self.guide_margin,
            self.guide_bound == "relative", 0.5 if self.positives_from is None else self.positives_from,
            classifier,
        )  # fmt: skip
