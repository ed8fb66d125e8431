"""Teach an encoder the domain's words by having it restore deleted ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.models import model_folder
from adapt.records import Encoder, EncoderFolder, Texts
from adapt.stages import Length, NonNegativeFloat, PositiveFloat, PositiveInt, Share, TrainingStage

if TYPE_CHECKING:
    import torch

    from adapt.training.denoising_data import NoisyTexts

Objective = Callable[[int, list[int]], tuple["torch.Tensor", int]]  # (epoch, rows) → (mean loss, over how many things)
Lesson = tuple["torch.nn.Module", Objective]
FITTED_ON = 20_000  # texts; a linear map gains nothing from more

# Architectures that transformers can give a decoder with cross-attention (tried with 5.23), and those that only a run can show.
DENOISED = (
    "bert", "bert-generation", "big_bird", "camembert", "data2vec-text", "electra", "ernie", "megatron-bert", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "xlm-roberta", "xlm-roberta-xl", "xmod",
)  # fmt: skip
UNTRIED = ("bart", "mbart", "mvp", "gpt2", "reformer")


class Tsdae(TrainingStage):
    """Teach an encoder the domain's words by having it restore deleted ones.

    On a plain language model this follows Wang, Reimers & Gurevych (2021): encoder and decoder tied, CLS vector. A base that
    is an embedder already is treated gently, since the paper's way ruins it: a decoder of its own learns to read the frozen
    encoder first, then both move, the encoder slowly and held near the base's vectors of the undamaged texts.

    Encoders that no decoder can be built for learn from the same sentences with `objective: mlm` (name the masked words) or
    `objective: simcse` (find the same sentence, read with other dropout).

    `objective: vectors` is for a base that is an embedder, and leaves its words alone: what is restored is the vector. A linear
    map from the base's vectors of damaged texts to those of the clean ones is found in closed form (after Chen et al. 2012), and
    the encoder learns to give for a damaged text what base and map together give for it. Its architecture stays as it was.
    """

    version: ClassVar[int] = 6
    output_name: ClassVar[str] = "tsdae"
    default_inputs: ClassVar = {"texts": ("corpus",)}
    example: ClassVar[str] = "adapt tsdae --model all-MiniLM-L6-v2 --texts passages.jsonl --out speaks-medical --max-steps 20"

    objective: Literal["denoise", "vectors", "mlm", "simcse"] = Field(
        "denoise",
        description="restore deleted words (TSDAE) or the vector of the undamaged text, name masked words, or distinguish "
        "each text from all others",
    )
    unit: Literal["sentence", "text"] | None = Field(
        None, description="what is read at a time: a sentence or a whole text; where not set: text for vectors, else sentence"
    )
    start: Literal["auto", "raw", "tuned"] = Field(
        "auto", description="how the base is treated: raw (a language model), tuned (an embedder), auto finds out"
    )
    tied: bool | None = Field(None, description="encoder and decoder share weights; where not set: yes when raw, no when tuned")
    pooling: Literal["base", "cls", "mean", "max"] = Field(
        "base", description="how token vectors become one; base: as the base has it, CLS for a raw language model"
    )
    deletion_ratio: Share = Field(0.6, description="share of words deleted from each text (denoise, vectors)")
    ridge: PositiveFloat = Field(
        1.0,
        description="how strongly the map is held at changing nothing, in mean variances of the vectors; stronger where there are "
        "fewer than ten texts to each of a vector's numbers (vectors)",
    )
    masked: Share = Field(0.15, description="share of words masked in each sentence (mlm)")
    scale: PositiveFloat = Field(20.0, description="factor on cosines, one over the temperature (simcse)")
    learning_rate: PositiveFloat | None = Field(  # type: ignore[assignment]
        None, description="of the encoder; 3e-5 when raw, 1e-5 when tuned, 1e-4 for vectors"
    )
    decoder_learning_rate: PositiveFloat = Field(2e-4, description="of an untied decoder, and of a new head (mlm, tuned)")
    frozen: Share = Field(0.35, description="share of the steps in which only the decoder or head learns (tuned)")
    retain: NonNegativeFloat | None = Field(
        None,
        description="weight of the pull towards the base's vectors of the clean texts; 1 when tuned, 0 when raw or for vectors",
    )
    decoder_layers: PositiveInt | None = Field(None, description="layers that an untied decoder keeps; all where not set")
    dropout: Share | None = Field(None, description="dropout while training; 0.1 for simcse, which lives by it, else 0")  # type: ignore[assignment]
    min_words: PositiveInt = Field(5, description="shorter sentences or texts are left out")
    max_words: PositiveInt = Field(100, description="longer sentences are left out")
    max_length: Length = Field(128, description="tokens per sentence or text; the rest is cut")
    held_out: Share = Field(0.0, description="share of the rows kept apart to stop early by their loss; 0 trains to the end")
    patience: PositiveInt = Field(3, description="answers in a row without gain after which training stops; asked 20 times in all")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        found = []
        if self.objective == "simcse" and self.held_out:
            found.append("held_out needs another objective than simcse: without dropout simcse's two views are the same")
        if self.objective == "vectors" and self.start == "raw":
            found.append(
                "objective vectors learns from the base's own vectors, and those of a raw language model say little; use denoise"
            )
        if self.objective == "simcse" and self.dropout == 0:
            found.append("objective simcse needs dropout above 0: it is all that its two views differ by")
        if self.held_out > 0.5:
            found.append(f"held_out {self.held_out}: more than half of the rows would teach nothing")
        if self.min_words > self.max_words:
            found.append(f"min_words {self.min_words} is more than max_words {self.max_words}; no sentence would be left")
        return found

    def model_problems(self, config: Mapping[str, Any], tuned: bool) -> list[str]:
        architecture = str(config.get("model_type") or "")
        if not architecture:
            return []
        if self.objective == "denoise" and architecture not in (*DENOISED, *UNTRIED):
            return [
                f"objective: denoise needs a decoder with cross-attention, and '{architecture}' has none; use objective: "
                f"{'vectors, ' if tuned else ''}simcse or, for encoders with a masked-language head, mlm"
            ]
        if self.objective == "mlm" and architecture not in DENOISED:
            from adapt.losses.masked import has_head

            if not has_head(architecture):
                return [f"objective: mlm needs a masked-language head, and '{architecture}' has none; use objective: simcse"]
        if self.objective == "vectors" and self.start == "auto" and not tuned:
            return ["objective: vectors learns from the base's own vectors, and the base is no embedder; use objective: denoise"]
        return []

    def dimension_problems(self, widths: Mapping[str, int]) -> list[str]:
        width, inside = widths.get("model"), widths.get("hidden")
        if self.objective != "denoise" or not width or not inside or width == inside:
            return []
        return [
            f"the base gives vectors of {width} dimensions (by modules after the transformer, or truncate_dim), and its "
            f"decoder reads {inside}; use objective vectors, mlm or simcse, or another base"
        ]

    def keeps_dimension(self) -> bool:
        return self.pooling == "base"

    def run(self, model: EncoderFolder, texts: Texts, job: Job) -> EncoderFolder:
        """The encoder after training, in `job.out / "model"`. Raises UserError if nothing is left to read."""
        from adapt.errors import UserError
        from adapt.models.bi_encoder import load_encoder, save_encoder, set_pooling
        from adapt.training.denoising_data import noisy_texts

        tuned = self.start == "tuned" or (self.start == "auto" and model_folder.is_sentence_transformer(model.path))
        if self.objective == "vectors" and not tuned:
            raise UserError(
                f"tsdae: objective vectors learns from the base's own vectors, and {model.path} is a plain language model, "
                "whose vectors say little; use objective denoise, or a base that is an embedder"
            )
        encoder = load_encoder(model.path)
        if self.pooling != "base":
            set_pooling(encoder, self.pooling)
        self._fits(encoder, model)
        rows = self._rows(texts, job)
        job.note(f"tsdae: {len(rows):,} {self._unit()}s; the base is treated as {'tuned' if tuned else 'raw'}")
        fitted = self._train(encoder, model, noisy_texts(encoder, rows, self.max_length), tuned, job)
        job.counts.update({f"{self._unit()}s": len(rows)}, treated_as="tuned" if tuned else "raw", **vars(fitted))
        return Encoder(save_encoder(encoder, job.out / "model"))

    def _fits(self, encoder, model: Encoder) -> None:
        """Raise UserError for an encoder that the objective can't train."""
        from adapt.errors import UserError

        body = getattr(encoder[0], "auto_model", None)
        if body is None:
            raise UserError(f"tsdae: {model.path} has static embeddings, and TSDAE is for transformers; try: adapt finetune")
        widths = {"model": encoder.get_embedding_dimension(), "hidden": body.config.hidden_size}
        if wrong := self.dimension_problems(widths):
            raise UserError([f"tsdae: {model.path}: {problem}" for problem in wrong])

    def _unit(self) -> str:
        return self.unit or ("text" if self.objective == "vectors" else "sentence")

    def _rows(self, texts: Texts, job: Job) -> list[str]:
        """What is read: sentences or whole texts, long enough, without near-duplicates."""
        from adapt.errors import UserError
        from adapt.training.denoising_data import worth_reading

        kept, repeats = worth_reading(texts, self._unit() == "sentence", self.min_words, self.max_words)
        job.counts.update(duplicates=repeats)
        if len(kept) < 2:
            lengths, remedy = f"texts of {self.min_words} words or more", "lower min_words"
            if self._unit() == "sentence":
                lengths, remedy = f"sentences of {self.min_words} to {self.max_words} words", "widen min_words and max_words"
            raise UserError(f"tsdae: the texts hold {len(kept)} {lengths}; give more text, or {remedy}")
        return kept

    def _train(self, encoder, model: Encoder, read: NoisyTexts, tuned: bool, job: Job):
        import numpy as np

        from adapt.inference.batching import length_bucketed_batches
        from adapt.inference.encoding import forward
        from adapt.losses.retention import Retention
        from adapt.models.dropout import set_dropout
        from adapt.runtime import collectives
        from adapt.training.loop import Group, epochs_of, fit, trainable

        lessons = {"denoise": self._denoise, "vectors": self._restore_vectors, "mlm": self._mask, "simcse": self._distinguish}
        module, objective = lessons[self.objective](encoder, model, read, tuned, job)
        set_dropout(module, self.dropout if self.dropout is not None else 0.1 if self.objective == "simcse" else 0.0)
        apart, rows = np.split(np.random.default_rng(job.seed).permutation(len(read.ids)), [round(self.held_out * len(read.ids))])
        lengths = [len(read.ids[i]) for i in rows]
        plan = epochs_of(
            lambda epoch: [rows[b].tolist() for b in length_bucketed_batches(lengths, self.batch_size, job.seed, epoch)],
            self.epochs,
            self.max_steps,
        )
        body = trainable(encoder)
        inside = {id(p) for _, p in body}
        rest = [(n, p) for n, p in trainable(module) if id(p) not in inside]
        frozen = self.frozen if tuned and rest else 0.0
        gentle = tuned and self.objective != "vectors"
        retained = Retention(model.path, self.retain if self.retain is not None else float(gentle), precision=self.precision)

        def loss(epoch: int, batch: list[int], done: float) -> tuple[torch.Tensor, int]:
            if frozen:
                module.encoder_frozen = done < frozen  # type: ignore[assignment]
            value, weight = objective(epoch, batch)
            if retained.weight and done >= frozen:
                clean = read.clean(batch)
                # A mean over texts beside one over tokens: scaled so that several processes add both up right.
                texts, tokens = len(batch) / collectives.all_reduce(len(batch)), weight / collectives.all_reduce(weight)
                value = value + retained(clean, forward(encoder, clean)) * (texts / tokens if collectives.world_size() > 1 else 1.0)
            return value, weight

        rate = self.learning_rate or (1e-4 if self.objective == "vectors" else 1e-5 if tuned else 3e-5)
        groups = [Group(body, rate, frozen), Group(rest, self.decoder_learning_rate if tuned else rate)]
        return fit(
            module, loss, plan, groups, job,
            label="tsdae", unit=f"{self._unit()}s", how=self.optimisation(), splits=self.objective != "simcse",
            held_out=self._held_out(objective, apart.tolist(), len(plan)),
        )  # fmt: skip

    def _held_out(self, objective: Objective, apart: list[int], steps: int):
        """The objective on sentences that are not trained on; their noise is that of epoch 0, each time the same."""
        from adapt.training.loop import HeldOut

        if not apart:
            return None

        def mean_loss() -> float:
            total = weights = 0.0
            for start in range(0, len(apart), self.batch_size):
                value, weight = objective(0, apart[start : start + self.batch_size])
                total, weights = total + float(value) * weight, weights + weight
            return total / weights

        return HeldOut(mean_loss, every=max(1, steps // 20), patience=self.patience)

    def _denoise(self, encoder, model: Encoder, read: NoisyTexts, tuned: bool, job: Job) -> Lesson:
        from adapt.losses.denoising import Denoising

        tied = self.tied if self.tied is not None else not tuned
        module = Denoising(encoder, model.path, tied=tied, seed=job.seed, decoder_layers=self.decoder_layers)
        module.check_that_it_sees_its_input(read.clean(range(min(4, len(read.ids)))))

        def objective(epoch: int, batch: list[int]) -> tuple[torch.Tensor, int]:
            noisy = read.damaged(batch, self.deletion_ratio, job.seed, epoch)
            return module(noisy, read.clean(batch)), sum(len(read.ids[i]) - 1 for i in batch)

        return module, objective

    def _restore_vectors(self, encoder, model: Encoder, read: NoisyTexts, tuned: bool, job: Job) -> Lesson:
        import numpy as np

        from adapt.inference.encoding import forward
        from adapt.losses.linear_denoiser import DenoisedBase
        from adapt.losses.retention import cosine_distance

        rows = np.random.default_rng(job.seed).permutation(len(read.ids))[:FITTED_ON]
        damaged = read.damaged(rows, self.deletion_ratio, job.seed, 0)
        goal = DenoisedBase(model.path, damaged, read.clean(rows), self.ridge, self.precision, job)

        def objective(epoch: int, batch: list[int]) -> tuple[torch.Tensor, int]:
            noisy = read.damaged(batch, self.deletion_ratio, job.seed, epoch)
            return cosine_distance(forward(encoder, noisy), goal(noisy)), len(batch)

        return encoder, objective

    def _mask(self, encoder, model: Encoder, read: NoisyTexts, tuned: bool, job: Job) -> Lesson:
        import numpy as np

        from adapt.losses.masked import Masked

        module = Masked(encoder, model.path, seed=job.seed)
        mask = encoder.tokenizer.mask_token_id
        ordinary = np.setdiff1d(np.arange(len(encoder.tokenizer)), encoder.tokenizer.all_special_ids)

        def objective(epoch: int, batch: list[int]) -> tuple[torch.Tensor, int]:
            noisy, chosen = read.masked(batch, self.masked, mask, ordinary, job.seed, epoch)
            return module(noisy, read.clean(batch), chosen), int(sum(c.sum() for c in chosen))

        return module, objective

    def _distinguish(self, encoder, model: Encoder, read: NoisyTexts, tuned: bool, job: Job) -> Lesson:
        from adapt.inference.encoding import forward
        from adapt.losses.simcse import simcse

        def objective(epoch: int, batch: list[int]) -> tuple[torch.Tensor, int]:
            first, second = forward(encoder, read.clean(batch) * 2).chunk(2)
            return simcse(first, second, self.scale), len(batch)

        return encoder, objective
