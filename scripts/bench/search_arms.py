"""Search: dense and lexical mining, and a retrieval check, on given embeddings and texts; against stock."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import texts
import torch
from clock import Arm, timed

from adapt.checks.kinds.retrieval import Retrieval, RetrievalData
from adapt.records import Text
from adapt.retrieval import bm25, dense, topk
from adapt.runtime.device import device

K = 50


def vectors(count: int, seed: int, width: int = 384) -> np.ndarray:
    found = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def mine(size: float) -> Arm:
    """Against the search of `mine_hard_negatives`: similarity and torch.topk of `faiss_batch_size` queries at a time."""
    from sentence_transformers.util import cos_sim

    count = round(10_000 * size)
    queries, corpus = vectors(count, 1), vectors(10 * count, 2)

    def stock(chunk: int) -> np.ndarray:
        here, there = torch.from_numpy(queries).to(device()), torch.from_numpy(corpus).to(device())
        found = [torch.topk(cos_sim(here[i : i + chunk], there), K, dim=1)[1].cpu() for i in range(0, len(here), chunk)]
        return torch.cat(found).numpy()

    def gate() -> dict[str, tuple[float, bool]]:
        ours, theirs = dense.top(queries, corpus, K)[0], stock(512)
        shared = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]))
        return {f"shared of the {K} nearest": (shared, shared > 0.9999)}

    return Arm(
        "mine", "queries", count, lambda: timed(lambda: dense.top(queries, corpus, K)), lambda: timed(lambda: stock(16_384)),
        lambda: timed(lambda: stock(512)), gate, "faiss_batch_size 512", 2.0 * 384 * count * 10 * count,
    )  # fmt: skip


def lexical(size: float) -> Arm:
    """Search alone, of given tokens in a finished index: bm25s with numpy, and with numba."""
    import bm25s

    from adapt.text.stems import stems

    passages = texts.of_words(round(14_000 * size), 20, 160, seed=4, typical=70)
    queries = texts.of_words(round(2_000 * size), 4, 20, seed=5)
    tokens = [stems(text) or [""] for text in queries]
    mine_ = bm25.Index(passages)
    stocks = {}
    for backend in ("numpy", "numba"):
        stocks[backend] = bm25s.BM25(backend=backend)
        stocks[backend].index([stems(text) or [""] for text in passages], show_progress=False)

    def stock(backend: str) -> SimpleNamespace:
        threads = topk.threads() if backend == "numba" and topk.threads() > 1 else 0  # 0, its default: one
        return stocks[backend].retrieve(tokens, k=K, show_progress=False, n_threads=threads)

    def gate() -> dict[str, tuple[float, bool]]:
        ours, theirs = mine_.top(tokens, K)[1], stock("numpy").scores
        apart = float(np.abs(np.sort(ours, 1) - np.sort(theirs, 1)).max())
        return {f"a score of the {K} best differs by at most": (apart, apart < 1e-4)}

    return Arm(
        "bm25", "queries", len(queries), lambda: timed(lambda: mine_.top(tokens, K)), lambda: timed(lambda: stock("numpy")),
        lambda: timed(lambda: stock("numba")), gate, "backend numba, all threads",
    )  # fmt: skip


def check(size: float) -> Arm:
    """nDCG, MRR, recall, MAP and precision: against InformationRetrievalEvaluator with the same metrics."""
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    query_count, stored = round(1_000 * size), round(50_000 * size)
    queries, corpus = vectors(query_count, 6), vectors(stored, 7)
    rng = np.random.default_rng(8)
    queries = 0.5 * queries + 0.5 * corpus[rng.permutation(stored)[:query_count]]  # so that there is something to find
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    right = [{int(i) for i in rng.choice(stored, 2)} | {int(np.argmax(corpus @ query))} for query in queries]
    judged = RetrievalData(
        [Text(f"q{i}", f"q{i}") for i in range(query_count)], [Text(f"p{i}", f"p{i}") for i in range(stored)],
        {f"q{i}": {f"p{j}": 1.0 for j in some} for i, some in enumerate(right)},
    )  # fmt: skip
    model = SimpleNamespace(embed=lambda some, role="": queries if role == "query" else corpus)

    def stock(chunk: int) -> Any:
        evaluator = InformationRetrievalEvaluator(
            {q.id: q.text for q in judged.queries}, {t.id: t.text for t in judged.corpus},
            {name: set(grades) for name, grades in judged.relevant.items()}, corpus_chunk_size=chunk, mrr_at_k=[10],
            ndcg_at_k=[10], accuracy_at_k=[10], precision_recall_at_k=[10, 100], map_at_k=[1_000], write_csv=False,
            score_functions={"cosine": lambda a, b: a @ b.T},
        )  # fmt: skip
        there = torch.from_numpy(corpus).to(device())
        given = SimpleNamespace(
            encode_query=lambda some, **kwargs: torch.from_numpy(queries).to(device()),
            encode_document=lambda some, **kwargs: there[[int(text[1:]) for text in some]],
        )
        found: Any = evaluator.compute_all_metrics(given)  # type: ignore[arg-type]
        return found["cosine"]

    def gate() -> dict[str, tuple[float, bool]]:
        ours, theirs = Retrieval().measure(judged, model).metrics, stock(50_000)
        pairs = {"ndcg@10": theirs["ndcg@k"][10], "mrr@10": theirs["mrr@k"][10], "map": theirs["map@k"][1_000]}
        apart = max(abs(ours[name] - value) for name, value in pairs.items())
        return {"nDCG, MRR and MAP differ by at most": (apart, apart < 1e-6)}

    return Arm(
        "check", "queries", query_count, lambda: timed(lambda: Retrieval().measure(judged, model)),
        lambda: timed(lambda: stock(50_000)), lambda: timed(lambda: stock(10_000)), gate, "corpus_chunk_size 10,000",
    )  # fmt: skip
