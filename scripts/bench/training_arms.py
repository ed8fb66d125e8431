"""Training: TSDAE, in-batch negatives with a hard one each, a cross-encoder; each against sentence-transformers' Trainer.

What counts of ours: tokenising all texts, and the training loop that the stage runs. Of stock's: the Trainer from
its first step to its last, in which it tokenises. Loading, the Trainer's setup and saving count on neither side.
"""

import contextlib
import io
import logging
import random
import tempfile
from collections.abc import Callable
from typing import Any

import flop
import texts
import torch
from clock import Arm, now, timed
from datasets import Dataset
from transformers import TrainerCallback

from adapt.inference.encoding import forward
from adapt.job import Job
from adapt.models import lookup
from adapt.models.bi_encoder import load_encoder, pad_batch, quiet_libraries, token_ids
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.models.mixed_precision import set_precision
from adapt.records import Encoder
from adapt.runtime.device import device
from adapt.runtime.precision import fast_bfloat16
from adapt.stages.cross_encoder import CrossEncoderStage
from adapt.stages.finetune import Finetune
from adapt.stages.tsdae import Tsdae
from adapt.training import loop
from adapt.training.denoising_data import tokenize

BASE = lookup.find_model("all-MiniLM-L6-v2")
BATCH = 32
BEST = "dropout 0" + (", bf16=True" if fast_bfloat16() else "")


class StepTimer(TrainerCallback):
    """The time from the first step to the end of the last."""

    began = seconds = 0.0

    def on_train_begin(self, *args, **kwargs):
        self.began = now()

    def on_train_end(self, *args, **kwargs):
        self.seconds = now() - self.began


def trainer_seconds(kind: str, model: Any, rows: Dataset, loss: Any, seed: int, best: bool, rate: float = 2e-5) -> float:
    """How long stock's Trainer takes for one epoch over the rows, its own defaults but for batch size and learning rate."""
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
    from sentence_transformers.cross_encoder import CrossEncoderTrainer, CrossEncoderTrainingArguments

    trainer_type, argument_type = {
        "sentence": (SentenceTransformerTrainer, SentenceTransformerTrainingArguments),
        "cross": (CrossEncoderTrainer, CrossEncoderTrainingArguments),
    }[kind]
    watch = StepTimer()
    logging.getLogger("sentence_transformers").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()), quiet_libraries():
        arguments = argument_type(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=BATCH, seed=seed, report_to=[], disable_tqdm=True,
            save_strategy="no", logging_strategy="no", use_cpu=device().type == "cpu", bf16=best and fast_bfloat16(),
            warmup_ratio=0.1, learning_rate=rate,
        )  # fmt: skip
        trainer = trainer_type(model=model, args=arguments, train_dataset=rows, loss=loss, callbacks=[watch])
        trainer.train()
    return watch.seconds


def stage_seconds(run: Callable[[], Any], tokenise: Callable[[], Any]) -> float:
    """How long a stage trains: its loop, by a clock put around it, and tokenising, which stock does inside of its own."""
    took: list[float] = []

    def clocked(*args: Any, **kwargs: Any) -> Any:
        began = now()
        found = fit(*args, **kwargs)
        took.append(now() - began)
        return found

    fit, loop.fit = loop.fit, clocked
    try:
        run()
    finally:
        loop.fit = fit
    return sum(took) + timed(tokenise)


def stock_encoder(best: bool, pooling: str | None = None) -> Any:
    """The base as sentence-transformers opens it; `best`: without dropout, which stock's user can switch off."""
    from sentence_transformers import SentenceTransformer

    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if best else {}
    with quiet_libraries():
        model = SentenceTransformer(str(BASE), device=str(device()), config_kwargs=settings)
    if pooling:
        from adapt.models.bi_encoder import set_pooling

        set_pooling(model, pooling)
    return model


def each_time(side: Callable[[int], float]) -> Callable[[], float]:
    """A side that trains with the next seed each time it is called."""
    calls = iter(range(10_000))
    return lambda: side(next(calls))


def same(ours: torch.Tensor, theirs: torch.Tensor, left: Any, right: Any) -> dict[str, tuple[float, bool]]:
    """Gate: two losses, and the gradients that they give, the largest difference of each."""
    ours.backward()
    theirs.backward()
    gradients = dict(right.named_parameters())
    found = [(p.grad - gradients[name].grad).abs().max().item() for name, p in left.named_parameters() if p.grad is not None]
    loss, gradient = abs(ours.item() - theirs.item()), max(found)
    return {"loss differs by": (loss, loss < 1e-5), "a gradient differs by at most": (gradient, gradient < 1e-5)}


# ------------------------------------------------------------------------------------------------------------ TSDAE


def tsdae(size: float) -> Arm:
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    from adapt.losses.denoising import Denoising
    from adapt.text.noise import delete_words
    from adapt.text.sentences import sentences

    count = BATCH * max(2, round(2 * size))
    # Split by the stage's sentence splitter on both sides.
    drawn = [text.replace(".", ",") for text in texts.of_words(2 * count, 8, 60, seed=1)]
    rows = [sentence for _, sentence in sentences(drawn, 8, 60)][:count]
    stage = Tsdae(base_type="language-model", pooling="cls", batch_size=BATCH, max_words=1_000)
    encoder = load_encoder(BASE)
    read = tokenize(encoder, rows, stage.max_length)
    noisy = [delete_words(ids, units, 0.6, 13, 0, i) for i, (ids, units) in enumerate(zip(read.ids, read.units, strict=True))]

    def ours(seed: int) -> float:
        run = lambda: stage.run(Encoder(BASE), texts_of(rows), Job(seed))  # noqa: E731
        return stage_seconds(run, lambda: tokenize(encoder, rows, stage.max_length))

    def stock(seed: int, best: bool = False) -> float:
        rng = random.Random(seed)

        def damage(batch: dict[str, list[str]]) -> dict[str, list[str]]:
            kept = [[word for word in text.split() if rng.random() >= 0.6] or text.split()[:1] for text in batch["text"]]
            return {"noisy": [" ".join(words) for words in kept], "text": batch["text"]}

        data = Dataset.from_dict({"text": rows})
        data.set_transform(damage, columns=["text"], output_all_columns=True)
        model = stock_encoder(best, "cls")
        with quiet_libraries():
            loss = DenoisingAutoEncoderLoss(model, tie_encoder_decoder=True)
        if best:
            for part in loss.decoder.modules():
                if isinstance(part, torch.nn.Dropout):
                    part.p = 0.0
        return trainer_seconds("sentence", model, data, loss, seed, best)

    def gate() -> dict[str, tuple[float, bool]]:
        from adapt.models.bi_encoder import set_pooling

        mine, twin = load_encoder(BASE, "fp32"), stock_encoder(True, "cls")
        set_pooling(mine, "cls")
        module = Denoising(mine, BASE, tied=True, seed=0).eval()
        set_precision(module, "fp32")
        with quiet_libraries():
            theirs = DenoisingAutoEncoderLoss(twin, tie_encoder_decoder=True).eval()
        theirs.decoder.load_state_dict(module.decoder.state_dict())
        some, whole = [ids.tolist() for ids in noisy[:4]], read.clean(range(4))
        other = theirs([pad_batch(some, 0, device()), pad_batch(whole, 0, device())], None)
        return same(module(some, whole), other, mine[0].auto_model, twin[0].auto_model)

    lengths = [len(ids) for ids in read.ids]
    return Arm(
        "tsdae", "sentences", count, each_time(ours), each_time(stock), each_time(lambda seed: stock(seed, True)), gate, BEST,
        flop.denoising(flop.config_of(encoder), [len(ids) for ids in noisy], lengths), sum(lengths),
    )  # fmt: skip


def texts_of(rows: list[str]) -> Any:
    from adapt.records import Text

    return [Text(str(i), row) for i, row in enumerate(rows)]


# ------------------------------------------------------------------------------------- multiple negatives ranking


def mnrl(size: float) -> Arm:
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    rows = texts.triplets(BATCH * max(2, round(2 * size)))
    stage = Finetune(loss="mnrl", batch_size=BATCH)
    encoder = load_encoder(BASE)
    columns = [[r.anchor for r in rows], [r.positive for r in rows], [r.negatives[0] for r in rows]]
    data = Dataset.from_dict(dict(zip(("anchor", "positive", "negative"), columns, strict=True)))

    def ours(seed: int) -> float:
        run = lambda: stage.run(Encoder(BASE), rows, Job(seed))  # noqa: E731
        return stage_seconds(run, lambda: [token_ids(encoder, column, max_length=stage.max_length) for column in columns])

    def stock(seed: int, best: bool = False) -> float:
        model = stock_encoder(best)
        return trainer_seconds("sentence", model, data, MultipleNegativesRankingLoss(model), seed, best)

    def gate() -> dict[str, tuple[float, bool]]:
        from adapt.losses.ranking import multiple_negatives

        mine, twin = load_encoder(BASE, "fp32"), stock_encoder(True).eval()
        ids = [token_ids(mine, column[:4]) for column in columns]
        vectors = forward(mine, [row for column in ids for row in column])
        target = torch.arange(4, device=device())
        allowed = torch.ones(4, 8, dtype=torch.bool, device=device())
        loss = multiple_negatives(vectors[:4], vectors[4:], target, allowed)
        other = MultipleNegativesRankingLoss(twin)([pad_batch(some, 0, device()) for some in ids], None)
        return same(loss, other, mine, twin)

    lengths = [len(ids) for column in columns for ids in token_ids(encoder, column, max_length=stage.max_length)]
    return Arm(
        "mnrl", "triplets", len(rows), each_time(ours), each_time(stock), each_time(lambda seed: stock(seed, True)), gate, BEST,
        flop.training(flop.config_of(encoder), lengths), sum(lengths),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- cross-encoder


def cross_encoder(size: float) -> Arm:
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss

    rows = texts.scored(BATCH * max(2, round(6 * size)))
    stage = CrossEncoderStage(epochs=1, batch_size=BATCH, held_out=0.0, dropout=0.0)
    reader = CrossEncoderModel(BASE, new_head_seed=0, precision="fp32")
    first, second = [r.sentence1 for r in rows], [r.sentence2 for r in rows]
    data = Dataset.from_dict({"sentence1": first, "sentence2": second, "label": [r.score for r in rows]})

    def ours(seed: int) -> float:
        run = lambda: stage.run(Encoder(BASE), rows, Job(seed))  # noqa: E731
        both = (first, second), (second, first)
        return stage_seconds(run, lambda: [reader.ids(*order, stage.max_length) for order in both])

    def stock(seed: int, best: bool = False) -> float:
        settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if best else {}
        with quiet_libraries():
            model = CrossEncoder(str(BASE), num_labels=1, device=str(device()), config_kwargs=settings)
        return trainer_seconds("cross", model, data, BinaryCrossEntropyLoss(model), seed, best)

    def gate() -> dict[str, tuple[float, bool]]:
        with quiet_libraries():
            twin = CrossEncoder(str(BASE), num_labels=1, device=str(device()))
        twin.model.load_state_dict(reader.model.state_dict())
        twin.eval()
        ids = reader.ids(first[:8], second[:8], stage.max_length)
        wanted = torch.tensor([r.score for r in rows[:8]], device=device())
        loss = torch.nn.functional.binary_cross_entropy_with_logits(reader(ids), wanted)
        other = BinaryCrossEntropyLoss(twin)([first[:8], second[:8]], wanted)
        reader.zero_grad()
        return same(loss, other, reader.model, twin.model)

    lengths = [len(ids) for ids, _ in reader.ids(first, second, stage.max_length)]
    return Arm(
        "cross-encoder", "pairs", len(rows), each_time(ours), each_time(stock), each_time(lambda seed: stock(seed, True)), gate,
        BEST, flop.training(reader.model.config, lengths), sum(lengths),
    )  # fmt: skip
