"""The whole medical recipe against a script that does the same with stock sentence-transformers, step by step as its docs show.

Both sides denoise, train a cross-encoder on gold, label silver pairs, train on both, mine hard negatives, train on them, and
check the model on dev after each of the three trainings (retrieval and similarity, in the domain and outside). Ours
besides looks at the health of the space, gates every step, measures test data and writes its report: all of it counts.
"""

import contextlib
import io
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import texts
import torch
from clock import Arm, timed
from datasets import Dataset
from training_arms import BASE, BATCH, BEST, stock_encoder, trainer_seconds

import adapt
from adapt.files import read
from adapt.models.bi_encoder import quiet_libraries, set_pooling
from adapt.pipeline.measurements import measure_all
from adapt.runtime.device import device

CORPORA = texts.MEDICAL.parent
POOL = 200  # passages searched beside the judged ones: enough to rank, and the clock is for the stages more than for checks
NOISE = 0.02  # the standard deviation of dev nDCG@10 over seeds is about a point on 360 questions


def ours(seed: int, limit: int, folder: Path) -> None:
    searched = [f"checks.retrieval.{split}={{folder: {CORPORA}/medical/{split}, pool: {POOL}}}" for split in ("dev", "test")]
    recipe = adapt.load_recipe("medical-recipe", [f"seed={seed}", f"data.limit={limit}", *searched])
    adapt.run(recipe, folder)


def _checks() -> list[Any]:
    """Stock's evaluators of the recipe's four checks on dev."""
    from sentence_transformers.sentence_transformer.evaluation import EmbeddingSimilarityEvaluator, InformationRetrievalEvaluator

    from adapt.checks.kinds.retrieval import Retrieval

    found: list[Any] = []
    for source in ({"folder": str(CORPORA / "medical" / "dev"), "pool": POOL}, str(CORPORA / "general" / "retrieval")):
        judged = Retrieval().read(source, "dev")
        found.append(
            InformationRetrievalEvaluator(
                {q.id: q.text for q in judged.queries}, {t.id: t.text for t in judged.corpus},
                {name: set(grades) for name, grades in judged.relevant.items()}, write_csv=False,
            )
        )  # fmt: skip
    for file in (CORPORA / "medical" / "sts-dev.csv", CORPORA / "general" / "sts-dev.csv"):
        rows = read(str(file), "scored")
        found.append(
            EmbeddingSimilarityEvaluator(
                [r.sentence1 for r in rows], [r.sentence2 for r in rows], [r.score for r in rows], write_csv=False
            )
        )
    return found


def stock(seed: int, limit: int, folder: Path, best: bool) -> None:
    """`best`: no dropout, bf16 where it pays, one hard negative in place of three."""
    import bm25s
    from sentence_transformers import CrossEncoder
    from sentence_transformers.cross_encoder.losses import BinaryCrossEntropyLoss
    from sentence_transformers.sentence_transformer import losses
    from sentence_transformers.util import mine_hard_negatives

    rng = random.Random(seed)
    passages = [t.text for t in read(str(CORPORA / "medical" / "passages.jsonl"), "texts")][:limit]
    gold = list(read(str(CORPORA / "medical" / "gold.csv"), "scored"))[:limit]
    pairs = list(read(str(CORPORA / "medical" / "pairs.jsonl"), "pairs"))[:limit]
    checks = _checks()

    def check(model: Any) -> None:
        for evaluator in checks:
            evaluator(model)

    model = stock_encoder(best)
    check(model)

    # 30 batches of sentences, noise drawn per batch; the encoder keeps its pooling.
    from adapt.text.sentences import sentences

    spoken = [sentence for _, sentence in sentences(passages, 3, 60)]
    spoken = rng.sample(spoken, min(len(spoken), 30 * BATCH))

    def damage(batch: dict[str, list[str]]) -> dict[str, list[str]]:
        kept = [[word for word in text.split() if rng.random() >= 0.6] or text.split()[:1] for text in batch["text"]]
        return {"noisy": [" ".join(words) for words in kept], "text": batch["text"]}

    data = Dataset.from_dict({"text": spoken})
    data.set_transform(damage, columns=["text"], output_all_columns=True)
    # It harms a good embedder, so that its weights are not used afterwards: only its time counts.
    denoised = stock_encoder(best)
    set_pooling(denoised, "cls")
    with quiet_libraries():
        loss = losses.DenoisingAutoEncoderLoss(denoised, tie_encoder_decoder=True)
    trainer_seconds("sentence", denoised, data, loss, seed, best)
    check(denoised)

    settings = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if best else {}
    with quiet_libraries():
        labeller = CrossEncoder(str(BASE), num_labels=1, device=str(device()), config_kwargs=settings)
    rows = Dataset.from_dict(
        {"sentence1": [r.sentence1 for r in gold], "sentence2": [r.sentence2 for r in gold], "label": [r.score for r in gold]}
    )
    for _ in range(2):
        trainer_seconds("cross", labeller, rows, BinaryCrossEntropyLoss(labeller), seed, best, rate=1e-4)

    # Candidates: each sentence's nearest by BM25 and by cosine, 1,000 of them labelled.
    some = rng.sample(spoken, min(len(spoken), 500))
    index = bm25s.BM25()
    index.index(bm25s.tokenize(spoken, show_progress=False), show_progress=False)
    lexical = index.retrieve(bm25s.tokenize(some, show_progress=False), k=2, show_progress=False).documents[:, 1]
    vectors = model.encode(spoken, convert_to_tensor=True, show_progress_bar=False)
    own = model.encode(some, convert_to_tensor=True, show_progress_bar=False)
    dense = torch.topk(own @ vectors.T, 2, dim=1)[1][:, 1].tolist()
    candidates = [(text, spoken[int(i)]) for near in (lexical, dense) for text, i in zip(some, near, strict=True)]
    scores = labeller.predict(candidates, show_progress_bar=False).tolist()

    both = [(r.sentence1, r.sentence2, r.score) for r in gold] + [(*pair, s) for pair, s in zip(candidates, scores, strict=True)]
    rows = Dataset.from_dict({name: [row[i] for row in both] for i, name in enumerate(("sentence1", "sentence2", "label"))})
    trainer_seconds("sentence", model, rows, losses.CoSENTLoss(model), seed, best, rate=1e-5)
    check(model)

    rows = Dataset.from_dict({"anchor": [p.anchor for p in pairs], "positive": [p.positive for p in pairs]})
    with contextlib.redirect_stdout(io.StringIO()):
        mined = mine_hard_negatives(
            rows, model, corpus=passages, num_negatives=1 if best else 3, output_format="n-tuple", verbose=False
        )
    trainer_seconds("sentence", model, mined, losses.MultipleNegativesRankingLoss(model), seed, best, rate=5e-5)
    check(model)
    model.save_pretrained(str(folder / "model"))


def recipe(size: float) -> Arm:
    limit = round(600 * size)
    seeds = {side: iter(range(13, 1_000)) for side in ("ours", "stock", "best")}
    reached: dict[str, list[float]] = {side: [] for side in seeds}

    def side(name: str) -> float:
        seed = next(seeds[name])
        with tempfile.TemporaryDirectory() as place, contextlib.redirect_stderr(io.StringIO()):
            folder = Path(place)
            if name == "ours":
                took = timed(lambda: ours(seed, limit, folder))
            else:
                took = timed(lambda: stock(seed, limit, folder, name == "best"))
            found = measure_all(str(folder / "model"), {"retrieval": ("retrieval", str(CORPORA / "medical" / "dev"))}, "dev")
        reached[name].append(found["retrieval"].metrics["ndcg@10"])
        print(f"recipe, seed {seed}, {name}: {took:.0f} s, dev nDCG@10 {reached[name][-1]:.4f}", file=sys.stderr, flush=True)
        return took

    def gate() -> dict[str, tuple[float, bool]]:
        means = {name: statistics.mean(values) for name, values in reached.items()}
        return {f"dev nDCG@10 above {other}'s by": (means["ours"] - means[other], means["ours"] > means[other] - NOISE)
                for other in ("stock", "best")}  # fmt: skip

    about = BEST + ", one hard negative"
    return Arm(
        "recipe", "pairs", limit, lambda: side("ours"), lambda: side("stock"), lambda: side("best"), gate, about, warm_up=False
    )
