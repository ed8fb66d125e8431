"""Teach an encoder the domain's words by having it restore deleted ones."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import Encoder, EncoderFolder, Texts
from adapt.stages import NonNegativeFloat, PositiveFloat, PositiveInt, Share, TrainingStage


class Tsdae(TrainingStage):
    """Teach an encoder the domain's words by having it restore deleted ones.

    On a plain language model this follows Wang, Reimers & Gurevych (2021): encoder and decoder tied, CLS vector. A base that
    is an embedder already is treated gently, since the paper's way ruins it: a decoder of its own learns to read the frozen
    encoder first, then both move, the encoder slowly and held near the base's vectors of the undamaged texts.
    """

    product: ClassVar[str] = "tsdae"
    stand_ins: ClassVar = {"texts": ("corpus",)}
    example: ClassVar[str] = "adapt tsdae --model all-MiniLM-L6-v2 --texts passages.jsonl --out speaks-medical --max-steps 20"

    start: Literal["auto", "raw", "tuned"] = Field(
        "auto", description="how the base is treated: raw (a language model), tuned (an embedder), auto finds out"
    )
    deletion_ratio: Share = Field(0.6, description="share of words deleted from each sentence")
    learning_rate: PositiveFloat | None = Field(None, description="of the encoder; 3e-5 when raw, 1e-5 when tuned")  # type: ignore[assignment]
    decoder_learning_rate: PositiveFloat = Field(2e-4, description="of the decoder, where it has weights of its own (tuned)")
    frozen: Share = Field(0.35, description="share of the steps in which only the decoder learns (tuned)")
    anchor: NonNegativeFloat = Field(1.0, description="weight of the pull towards the base's vector of the clean text (tuned)")
    decoder_layers: PositiveInt | None = Field(None, description="layers that the decoder keeps (tuned); all where not set")
    min_words: PositiveInt = Field(5, description="shorter sentences are left out")
    max_words: PositiveInt = Field(100, description="longer sentences are left out")
    max_length: PositiveInt = Field(128, description="tokens per sentence; the rest is cut")

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`, pooling as the base. Raises UserError if nothing is left to read."""
        from adapt.engine.encoder import is_tuned, open_encoder, save_encoder

        sentences = self._sentences(texts, job)
        tuned = self.start == "tuned" or (self.start == "auto" and is_tuned(model.path))
        job.note(f"tsdae: {len(sentences):,} sentences; the base is treated as {'tuned' if tuned else 'raw'}")
        encoder = open_encoder(model.path)
        fitted = self._train(encoder, model, sentences, tuned, job)
        job.counts.update(sentences=len(sentences), treated_as="tuned" if tuned else "raw", **vars(fitted))
        return Encoder(save_encoder(encoder, job.out / "model"))

    def _sentences(self, texts: Texts, job: Job) -> list[str]:
        from adapt.errors import UserError
        from adapt.text.near import first_of_each
        from adapt.text.sentences import sentences

        found = [s for _, s in sentences([t.text for t in texts], self.min_words, self.max_words)]
        kept = [found[i] for i in first_of_each(found)]
        job.counts.update(duplicates=len(found) - len(kept))
        if len(kept) < 2:
            raise UserError(
                f"tsdae: the texts hold {len(kept)} sentences of {self.min_words} to {self.max_words} words; "
                "give more text, or widen min_words and max_words"
            )
        return kept

    def _train(self, encoder, model: Encoder, sentences: list[str], tuned: bool, job: Job):
        import numpy as np
        import torch

        from adapt.engine.batches import by_like_length
        from adapt.engine.encoder import embed, forward, token_ids
        from adapt.engine.training import Group, epochs_of, fit, set_dropout, trainable
        from adapt.errors import UserError
        from adapt.losses.denoising import WORKS, Denoising
        from adapt.text.noise import delete_words, word_units

        module = Denoising(encoder, model.path, tied=not tuned, seed=job.seed, decoder_layers=self.decoder_layers)
        originals = token_ids(encoder, sentences, max_length=self.max_length)
        if not module.sees_its_input(originals[:4]):
            raise UserError(
                f"{model.path}: the decoder does not see the sentence vector, so denoising would teach nothing. TSDAE works with "
                f"{WORKS}."
            )
        encoded = encoder.tokenizer(sentences, truncation=True, max_length=self.max_length)
        units = [_fitted(word_units(encoded.word_ids(i)), len(ids)) for i, ids in enumerate(originals)]
        set_dropout(module, self.dropout)
        plan = epochs_of(
            lambda epoch: by_like_length([len(ids) for ids in originals], self.batch_size, job.seed, epoch),
            self.epochs,
            self.max_steps,
        )
        anchored = tuned and self.anchor > 0
        used = sorted({row for _, rows in plan for row in rows})
        base = (
            dict(zip(used, embed(model.path, [sentences[i] for i in used], job, label="anchors"), strict=True)) if anchored else {}
        )

        def loss(epoch: int, rows: list[int], done: float) -> torch.Tensor:
            module.encoder_frozen = tuned and done < self.frozen
            noisy = [
                delete_words(np.asarray(originals[i]), units[i], self.deletion_ratio, job.seed, epoch, i).tolist() for i in rows
            ]
            clean = [originals[i] for i in rows]
            value = module(noisy, clean)
            if anchored and not module.encoder_frozen:
                wanted = torch.from_numpy(np.stack([base[i] for i in rows])).to(value.device)
                value = value + self.anchor * (1 - torch.cosine_similarity(forward(encoder, clean), wanted)).mean()
            return value

        body = trainable(encoder)
        inside = {id(p) for _, p in body}
        rest = [(n, p) for n, p in trainable(module) if id(p) not in inside]
        rate = self.learning_rate or (1e-5 if tuned else 3e-5)
        groups = [Group(body, rate, self.frozen if tuned else 0.0), Group(rest, self.decoder_learning_rate if tuned else rate)]
        return fit(
            module, loss, plan, groups, job,
            label="tsdae", unit="sentences", how=self.optimisation(),
        )  # fmt: skip


def _fitted(units, count: int):
    """Word units for exactly `count` tokens: a prompt's tokens come first and are never deleted."""
    import numpy as np

    return np.concatenate([np.full(max(0, count - len(units)), -1), units])[:count]
