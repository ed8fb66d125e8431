"""Train the bi-encoder on pairs, scored pairs or triplets."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder, Examples, kind_of_records
from adapt.stages import PositiveFloat, PositiveInt, TrainingStage

LOSSES = {"mnrl": ("pairs", "triplets"), "triplet": ("triplets",), "cosent": ("scored",), "cosine": ("scored",)}


class Finetune(TrainingStage):
    """Train the bi-encoder on pairs, scored pairs or triplets.

    mnrl: the positive against every other document of the batch and the hard negatives; a document that the data ties to the
    anchor is never a negative. triplet: one hard negative, squared Euclidean distance. cosent, cosine: scored pairs.
    """

    product: ClassVar[str] = "finetuned"
    stand_ins: ClassVar = {"examples": ("triplets", "pairs", "silver", "gold")}
    example: ClassVar[str] = (
        "adapt finetune --model all-MiniLM-L6-v2 --examples triplets.jsonl --loss mnrl --out tuned --max-steps 5"
    )

    loss: Literal["mnrl", "triplet", "cosent", "cosine"] = Field("mnrl", description="what is minimised; see below")
    batch_size: PositiveInt = Field(64, description="examples per step; for mnrl also the number of in-batch negatives")
    negatives: int = Field(1, ge=0, description="hard negatives used for each triplet, drawn anew each epoch (mnrl, triplet)")
    batching: Literal["spread", "gathered"] = Field(
        "spread",
        description="spread: no two rows of a batch share a text; gathered: rows with one positive, and positives that are each "
        "other's hard negatives, share a batch, so that each text is encoded once (mnrl)",
    )
    scale: PositiveFloat = Field(20.0, description="inverse temperature of the cosines (mnrl, cosent)")
    margin: PositiveFloat = Field(0.3, description="squared distance by which the positive must be nearer, 0 to 4 (triplet)")

    def problems(self, kinds) -> list[str]:
        kind = kinds.get("examples")
        if self.batching == "gathered" and self.loss != "mnrl":
            return [f"batching 'gathered' masks shared positives, which only loss 'mnrl' does; with '{self.loss}' use 'spread'"]
        if kind and kind not in LOSSES[self.loss]:
            fits = [name for name, wanted in LOSSES.items() if kind in wanted]
            return [
                f"loss '{self.loss}' takes {' or '.join(LOSSES[self.loss])}, but examples are {kind}. Try loss {' or '.join(fits)}"
            ]
        return []

    def run(self, model: EncoderFolder, examples: Examples, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError where loss and examples do not fit."""
        from adapt.engine.encoder import open_encoder, save_encoder
        from adapt.engine.training import Group, epochs_of, fit, set_dropout, trainable
        from adapt.errors import UserError

        wrong = self.problems({"examples": kind_of_records(examples)})
        if wrong:
            raise UserError(wrong)
        encoder = open_encoder(model.path)
        set_dropout(encoder, self.dropout)
        prepare = _scored if kind_of_records(examples) == "scored" else _ranked
        loss, batches = prepare(self, encoder, examples, job)
        plan = epochs_of(batches, self.epochs, self.max_steps)
        if not plan:
            raise UserError(
                f"finetune: {len(examples)} examples make no batch of two rows with different positives; give more varied pairs"
            )
        fitted = fit(
            encoder, loss, plan, [Group(trainable(encoder), self.learning_rate)], job,
            label=f"finetune {self.loss}", unit="examples", how=self.optimisation(),
        )  # fmt: skip
        job.counts.update(examples=len(examples), **vars(fitted))
        return Encoder(save_encoder(encoder, job.out / "model"))


def _ranked(stage: Finetune, encoder, examples, job: Job):
    """Loss and batches for pairs and triplets: every text of a batch is encoded once, its ties masked."""
    import numpy as np
    import torch

    from adapt.engine.batches import gathered, without_repeats
    from adapt.engine.encoder import forward, token_ids
    from adapt.losses.embeddings import multiple_negatives, triplet
    from adapt.search.known import positives_by_anchor
    from adapt.text.clean import normalised

    texts = list(dict.fromkeys(t for e in examples for t in (e.positive, *getattr(e, "negatives", ()))))
    number = {text: i for i, text in enumerate(texts)}
    names = [normalised(text) for text in texts]
    documents = token_ids(encoder, texts, "document", stage.max_length)
    anchors = token_ids(encoder, [e.anchor for e in examples], "query", stage.max_length)
    positives = positives_by_anchor((e.anchor, e.positive) for e in examples)
    # Two rows with the same anchor or the same positive would be each other's false negatives.
    keys = [(("a", normalised(e.anchor)), ("p", normalised(e.positive))) for e in examples]

    def negatives_of(epoch: int, row: int) -> list[str]:
        found = getattr(examples[row], "negatives", ())
        if len(found) <= stage.negatives:
            return list(found)
        return [found[i] for i in np.random.default_rng([job.seed, epoch, row]).permutation(len(found))[: stage.negatives]]

    def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
        chosen = [negatives_of(epoch, row) for row in rows]
        used = list(dict.fromkeys([number[examples[row].positive] for row in rows] + [number[t] for c in chosen for t in c]))
        column = {document: i for i, document in enumerate(used)}
        queries = forward(encoder, [anchors[row] for row in rows])
        found = forward(encoder, [documents[i] for i in used])
        target = torch.tensor([column[number[examples[row].positive]] for row in rows], device=found.device)
        if stage.loss == "triplet":
            flat = [(a, column[number[text]]) for a, some in enumerate(chosen) for text in some]
            which = torch.tensor([a for a, _ in flat], device=found.device)
            wrong = torch.tensor([j for _, j in flat], device=found.device)
            return triplet(queries[which], found[target[which]], found[wrong], stage.margin)
        own = [positives[normalised(examples[row].anchor)] for row in rows]
        allowed = torch.tensor([[names[i] not in mine for i in used] for mine in own], device=found.device)
        return multiple_negatives(queries, found, target, allowed, stage.scale)

    if stage.batching == "gathered":
        right = [normalised(e.positive) for e in examples]
        wrong = [[normalised(text) for text in getattr(e, "negatives", ())] for e in examples]
        return loss, lambda epoch: gathered(right, wrong, stage.batch_size, job.seed, epoch)
    return loss, lambda epoch: without_repeats(keys, stage.batch_size, job.seed, epoch)


def _scored(stage: Finetune, encoder, examples, job: Job):
    """Loss and batches for scored pairs."""
    import torch

    from adapt.engine.batches import by_like_length
    from adapt.engine.encoder import forward, token_ids
    from adapt.losses.embeddings import cosent, cosine_mse

    first = token_ids(encoder, [e.sentence1 for e in examples], max_length=stage.max_length)
    second = token_ids(encoder, [e.sentence2 for e in examples], max_length=stage.max_length)
    scores = torch.tensor([e.score for e in examples])
    lengths = [max(len(a), len(b)) for a, b in zip(first, second, strict=True)]

    def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
        found = forward(encoder, [first[i] for i in rows] + [second[i] for i in rows])
        wanted = scores[rows].to(found.device)
        left, right = found[: len(rows)], found[len(rows) :]
        return cosent(left, right, wanted, stage.scale) if stage.loss == "cosent" else cosine_mse(left, right, wanted)

    return loss, lambda epoch: by_like_length(lengths, stage.batch_size, job.seed, epoch)
