"""Reading with a trained model: encoding texts of all lengths, scoring pairs; against `encode` and `predict`."""

from collections.abc import Callable

import flop
import numpy as np
import texts
from clock import Arm, timed

from adapt import models
from adapt.engine.cross_encoder import Reader, predict
from adapt.engine.device import device
from adapt.engine.encoder import TOKENS_PER_BATCH, by_length, embed, open_encoder, quiet, token_ids
from adapt.job import Job

BASE = models.locate("all-MiniLM-L6-v2")
SIZES = (16, 32, 64, 128)


def quickest(work: Callable[[int], object]) -> int:
    """The batch size with which stock is quickest here, by one try of each."""
    return min(SIZES, key=lambda size: timed(lambda: work(size)))


def real_share(lengths: list[int]) -> float:
    groups = by_length(lengths, TOKENS_PER_BATCH)
    return sum(lengths) / sum(len(group) * max(lengths[i] for i in group) for group in groups)


def encode(size: float) -> Arm:
    from sentence_transformers import SentenceTransformer

    rows = texts.of_words(round(400 * size), 5, 180, seed=2, typical=45)
    ours_model, stock_model = open_encoder(BASE), SentenceTransformer(str(BASE), device=str(device()))

    def stock(batch: int, some: list[str] = rows) -> np.ndarray:
        return stock_model.encode(some, batch_size=batch, normalize_embeddings=True, show_progress_bar=False)

    embed(BASE, rows[:64], Job())
    best = quickest(lambda batch: stock(batch, rows[:256]))

    def gate() -> dict[str, tuple[float, bool]]:
        cosine = float((embed(BASE, rows, Job()) * stock(32)).sum(1).min())
        return {"least cosine with stock": (cosine, cosine >= 0.999)}

    lengths = [len(ids) for ids in token_ids(ours_model, rows)]
    ours = lambda: timed(lambda: embed(BASE, rows, Job()))  # noqa: E731
    return Arm(
        "encode", "texts", len(rows), ours, lambda: timed(lambda: stock(32)), lambda: timed(lambda: stock(best)), gate,
        f"batch_size {best}", flop.forward(ours_model[0].auto_model.config, lengths), sum(lengths), real_share(lengths),
        lambda: 1 - timed(lambda: token_ids(ours_model, rows)) / ours(),
    )  # fmt: skip


def label(size: float) -> Arm:
    from scipy.stats import spearmanr
    from sentence_transformers import CrossEncoder

    job = Job()
    folder = job.out / "labeller"
    Reader(BASE, new_head_seed=0).save(folder)  # weights as they are: what a score costs does not depend on its worth
    rows = texts.pairs(round(300 * size), seed=3)
    turned = [(b, a) for a, b in rows]
    reader = Reader(folder)
    with quiet():
        stock_model = CrossEncoder(str(folder), device=str(device()), max_length=256)

    def stock(batch: int, some: int = len(rows)) -> np.ndarray:
        """The mean over both orders, as ours."""
        found = stock_model.predict(rows[:some] + turned[:some], batch_size=batch, show_progress_bar=False)
        return np.asarray(found, dtype=np.float64).reshape(2, -1).mean(0)

    predict(folder, rows[:64], job)
    best = quickest(lambda batch: stock(batch, 128))

    def gate() -> dict[str, tuple[float, bool]]:
        found = float(spearmanr(predict(folder, rows, job), stock(32)).statistic)
        return {"Spearman with stock": (found, found >= 0.9999)}

    orders = [[a for a, _ in pairs] for pairs in (rows, turned)], [[b for _, b in pairs] for pairs in (rows, turned)]
    lengths = [[len(ids) for ids, _ in reader.ids(first, second, 256)] for first, second in zip(*orders, strict=True)]
    ours = lambda: timed(lambda: predict(folder, rows, job))  # noqa: E731
    return Arm(
        "label", "pairs, both orders", len(rows), ours, lambda: timed(lambda: stock(32)), lambda: timed(lambda: stock(best)), gate,
        f"batch_size {best}", sum(flop.forward(reader.model.config, some) for some in lengths), sum(map(sum, lengths)),
        real_share(lengths[0]),
        lambda: 1 - timed(lambda: [reader.ids(a, b, 256) for a, b in zip(*orders, strict=True)]) / ours(),
    )  # fmt: skip
