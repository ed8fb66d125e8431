"""Inference with a trained model: encoding texts of all lengths, scoring pairs; against `encode` and `predict`.

In int8 the model stands before the clock starts: it is quantised once for any number of texts, in 10 to 20 seconds.
"""

from collections.abc import Callable

import flop
import numpy as np
import texts
import torch
from clock import Arm, timed
from scipy.stats import spearmanr

from adapt.inference.batching import length_groups
from adapt.inference.encoding import embed
from adapt.inference.scoring import predict, quantize_cross_encoder
from adapt.inference.token_budget import tokens_per_pass
from adapt.job import Job
from adapt.models import int8, lookup
from adapt.models.bi_encoder import load_encoder, quiet_libraries, token_ids
from adapt.models.cross_encoder import CrossEncoderModel
from adapt.records import Encoder
from adapt.runtime.device import device
from adapt.runtime.precision import InferencePrecision, fast_bfloat16
from adapt.stages.cross_encoder import CrossEncoderStage

BASE = lookup.find_model("all-MiniLM-L6-v2")
SIZES = (16, 32, 64, 128)


def quickest(work: Callable[[int], object]) -> int:
    """The batch size with which stock is fastest here, by one run of each."""
    return min(SIZES, key=lambda size: timed(lambda: work(size)))


def real_share(lengths: list[int]) -> float:
    groups = length_groups(lengths, tokens_per_pass())
    return sum(lengths) / sum(len(group) * max(lengths[i] for i in group) for group in groups)


def encode_int8(size: float) -> Arm:
    from adapt.inference import encoding

    int8.MIN_TEXTS = 0
    sample = texts.of_words(300, 5, 180, seed=77, typical=45)
    small = encoding._quantized(BASE, sample, Job())
    encoding._quantized = lambda *_: small
    return encode(size, "int8")


def encode(size: float, precision: InferencePrecision = "auto") -> Arm:
    from sentence_transformers import SentenceTransformer

    rows = texts.of_words(round(400 * size), 5, 180, seed=2, typical=45)
    ours_model, stock_model = load_encoder(BASE), SentenceTransformer(str(BASE), device=str(device()))

    def stock(batch: int, some: list[str] = rows, model: SentenceTransformer = stock_model) -> np.ndarray:
        return model.encode(some, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)

    embed(BASE, rows[:64], Job())
    half = SentenceTransformer(str(BASE), device=str(device()), model_kwargs={"dtype": torch.bfloat16}) if fast_bfloat16() else None
    best = quickest(lambda batch: stock(batch, rows[:256], half or stock_model))

    def gate() -> dict[str, tuple[float, bool]]:
        mine, theirs = embed(BASE, rows, Job(), precision=precision), stock(32)
        cosine = float((mine * theirs).sum(1).min())
        if precision == "auto":
            theirs_half = stock(32, rows, half).astype(np.float32) if half else theirs
            other = float((theirs_half * theirs).sum(1).min())  # of stock's own best settings
            return {"least cosine with stock": (cosine, cosine >= 0.9999), "stock's best with stock": (other, True)}
        upper = np.triu_indices(len(rows), 1)
        agreed = float(spearmanr((mine @ mine.T)[upper], (theirs @ theirs.T)[upper]).statistic)
        return {"Spearman of cosines with stock": (agreed, agreed >= 0.99), "least cosine": (cosine, cosine >= 0.98)}

    lengths = [len(ids) for ids in token_ids(ours_model, rows)]
    ours = lambda: timed(lambda: embed(BASE, rows, Job(), precision=precision))  # noqa: E731
    return Arm(
        "encode" if precision == "auto" else "encode-int8", "texts", len(rows), ours, lambda: timed(lambda: stock(32)),
        lambda: timed(lambda: stock(best, rows, half or stock_model)), gate,
        f"batch_size {best}" + (", weights in bf16" if half else ""),
        flop.forward(flop.config_of(ours_model), lengths), sum(lengths), real_share(lengths),
        lambda: 1 - timed(lambda: token_ids(ours_model, rows)) / ours(),
    )  # fmt: skip


def label_int8(size: float) -> Arm:
    return label(size, "int8")


def label(size: float, precision: InferencePrecision = "auto") -> Arm:
    from sentence_transformers import CrossEncoder

    job = Job()
    folder, small = job.out / "labeller", None
    CrossEncoderModel(BASE, new_head_seed=0).save(folder)  # weights as they are: what a score costs does not depend on its worth
    if precision == "int8":
        # Ranks need scores that differ, which those of a new head don't: a cross-encoder trained on some gold.
        stage = CrossEncoderStage(epochs=1, learning_rate=1e-4, dropout=0.0)
        folder = stage.run(Encoder(BASE), texts.scored(500), job).path
        int8.MIN_TEXTS = 0
        small = quantize_cross_encoder(folder, texts.pairs(int8.CALIBRATION_TEXTS + int8.VALIDATION_TEXTS, seed=99), 1, job)
    rows = texts.pairs(round(300 * size), seed=3)
    turned = [(b, a) for a, b in rows]
    reader = CrossEncoderModel(folder)
    with quiet_libraries():
        stock_model = CrossEncoder(str(folder), device=str(device()), max_length=256)
        settings = {"device": str(device()), "max_length": 256, "model_kwargs": {"dtype": torch.bfloat16}}
        half = CrossEncoder(str(folder), **settings) if fast_bfloat16() else None

    def stock(batch: int, some: int = len(rows), model: CrossEncoder = stock_model) -> np.ndarray:
        """The mean over both orders, as ours."""
        found = model.predict(rows[:some] + turned[:some], batch_size=batch, show_progress_bar=False)
        return np.asarray(found, dtype=np.float64).reshape(2, -1).mean(0)

    predict(folder, rows[:64], job)
    best = quickest(lambda batch: stock(batch, 128, half or stock_model))

    def gate() -> dict[str, tuple[float, bool]]:
        theirs = stock(32)
        found = float(spearmanr(predict(folder, rows, job, quantized=small), theirs).statistic)
        other = float(spearmanr(stock(32, model=half), theirs).statistic) if half else 1.0
        return {"Spearman with stock": (found, found >= (0.99 if small else 0.999)), "stock's best with stock": (other, True)}

    orders = [[a for a, _ in pairs] for pairs in (rows, turned)], [[b for _, b in pairs] for pairs in (rows, turned)]
    lengths = [[len(ids) for ids, _ in reader.ids(first, second, 256)] for first, second in zip(*orders, strict=True)]
    ours = lambda: timed(lambda: predict(folder, rows, job, quantized=small))  # noqa: E731
    return Arm(
        "label-int8" if small else "label", "pairs, both orders", len(rows), ours, lambda: timed(lambda: stock(32)),
        lambda: timed(lambda: stock(best, model=half or stock_model)), gate,
        f"batch_size {best}" + (", weights in bf16" if half else ""),
        sum(flop.forward(reader.model.config, some) for some in lengths), sum(map(sum, lengths)),
        real_share(lengths[0]),
        lambda: 1 - timed(lambda: [reader.ids(a, b, 256) for a, b in zip(*orders, strict=True)]) / ours(),
    )  # fmt: skip
