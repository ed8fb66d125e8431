"""Find hard negatives: passages that look right for a query but are not."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import CrossEncoderFolder, EncoderFolder, Pairs, Texts, Triplet, Triplets
from adapt.stages import PositiveInt, Share, Stage

Finder = Literal["bm25", "dense"]
RRF = 60  # Cormack, Clarke & Büttcher (2009): the constant of reciprocal rank fusion


class Mine(Stage):
    """Find hard negatives: passages that look right for a query but are not.

    Never a negative: the query itself, anything that the pairs tie to it (in either direction, through each other), and
    near-copies of these. Positive-aware filter as in NV-Retriever (https://arxiv.org/abs/2407.15831): a hit that scores above
    `max_share` of the positive's score may be an unlabelled positive and is passed over. No pair is lost for want of negatives.
    """

    product: ClassVar[str] = "triplets"
    stand_ins: ClassVar = {"corpus": ("texts",)}
    on_request: ClassVar = ("cross_encoder",)  # a filter of its own, worth naming: it may know nothing of queries and passages
    example: ClassVar[str] = "adapt mine --pairs pairs.jsonl --corpus passages.jsonl --model all-MiniLM-L6-v2 --out triplets.jsonl"

    finders: tuple[Finder, ...] = Field(("bm25", "dense"), description="who searches; several are fused by reciprocal rank")
    negatives: PositiveInt = Field(4, description="hard negatives for each pair")
    range_min: int = Field(0, ge=0, description="best-ranked hits to pass over, counted before any filter")
    range_max: PositiveInt = Field(50, description="how deep to look, counted before any filter")
    max_share: Share | None = Field(
        0.95, description="a hit above this share of the positive's similarity is passed over; null trusts the labels and keeps all"
    )
    strategy: Literal["top", "random"] = Field("top", description="take the best hits that are left, or draw among them")

    def run(
        self, pairs: Pairs, model: EncoderFolder, job: Job, corpus: Texts = (), cross_encoder: CrossEncoderFolder | None = None
    ) -> Triplets:
        """A triplet for every pair; those without a fair hit get a random passage, and are counted."""
        import numpy as np

        from adapt.engine.encoder import embed
        from adapt.search.known import Related
        from adapt.text.clean import normalised

        pool = _pool(pairs, corpus)
        place = {normalised(text): number for number, text in enumerate(pool)}
        anchors = {pair.anchor: None for pair in pairs}
        row_of = {text: number for number, text in enumerate(anchors)}
        related = Related((pair.anchor, pair.positive) for pair in pairs)
        copies = related.tie_near_copies(list(dict.fromkeys(pair.positive for pair in pairs)), pool)
        families = np.array([related.family(text) for text in pool])
        vectors = embed(model.path, pool, job, role="document", label="mining pool")
        queries = embed(model.path, list(anchors), job, role="query", label="mining queries")
        fused = self._search(pool, list(anchors), vectors, queries, job)

        suspected, hits = 0, []
        for pair in pairs:
            row, own = row_of[pair.anchor], related.family(pair.anchor)
            bound = self._bound(float(queries[row] @ vectors[place[normalised(pair.positive)]]))
            others = [(j, origin) for j, origin in fused[row] if families[j] != own]
            hits.append([(j, origin) for j, origin in others if float(queries[row] @ vectors[j]) <= bound])
            suspected += len(others) - len(hits[-1])
        if cross_encoder is not None:
            hits = self._judged(pairs, hits, pool, cross_encoder, job)

        rng = np.random.default_rng(job.seed)
        triplets, random = [], 0
        for pair, found in zip(pairs, hits, strict=True):
            if self.strategy == "random":
                found = [found[i] for i in rng.permutation(len(found))]
            chosen = found[: self.negatives]
            if not chosen:
                strangers = np.flatnonzero(families != related.family(pair.anchor))
                if not len(strangers):
                    continue
                chosen, random = [(int(rng.choice(strangers)), "random")], random + 1
            origin = " ".join(origin for _, origin in chosen)
            triplets.append(Triplet(pair.anchor, pair.positive, tuple(pool[j] for j, _ in chosen), origin))
        job.counts.update(pairs=len(pairs), pool=len(pool), near_copies=copies, suspected_positives=suspected, random=random)
        job.note(
            f"mine: {len(triplets):,} triplets from a pool of {len(pool):,}; {suspected:,} hits passed over as possible positives, "
            f"{random:,} pairs got a random negative"
        )
        return triplets

    def _bound(self, positive: float) -> float:
        """The highest similarity that a negative may have; written so that it lies below a negative similarity, too."""
        return float("inf") if self.max_share is None else positive - (1 - self.max_share) * abs(positive)

    def _search(self, pool, anchors, vectors, queries, job: Job) -> list[list[tuple[int, str]]]:
        """For each anchor (document, finder@rank), best first, ranks `range_min` to `range_max` of the fused list."""
        from adapt.search import bm25, dense

        job.note(f"mine: searching {len(pool):,} passages for {len(anchors):,} queries with {' and '.join(self.finders)}")
        found = {}
        if "bm25" in self.finders:
            found["bm25"] = bm25.top(pool, anchors, self.range_max)[0]
        if "dense" in self.finders:
            found["dense"] = dense.top(queries, vectors, self.range_max)[0]
        fused = []
        for row in range(len(anchors)):
            points: dict[int, float] = {}
            origins: dict[int, str] = {}
            for finder, hits in found.items():
                for rank, j in enumerate(hits[row].tolist(), 1):
                    points[j] = points.get(j, 0.0) + 1 / (RRF + rank)
                    origins[j] = f"{origins[j]}+{finder}@{rank}" if j in origins else f"{finder}@{rank}"
            order = sorted(points, key=lambda j: (-round(points[j], 9), j))
            fused.append([(j, origins[j]) for j in order[self.range_min : self.range_max]])
        return fused

    def _judged(
        self, pairs: Pairs, hits: list[list[tuple[int, str]]], pool, cross_encoder, job: Job
    ) -> list[list[tuple[int, str]]]:
        """The hits that a cross-encoder scores below the bound set by the positive's score; one call for all pairs."""
        from adapt.engine.cross_encoder import predict

        hits = [found[: 4 * self.negatives] for found in hits]
        asked = [
            (pair.anchor, text)
            for pair, found in zip(pairs, hits, strict=True)
            for text in (pair.positive, *(pool[j] for j, _ in found))
        ]
        scores = iter(predict(cross_encoder.path, asked, job, label="mining filter"))
        kept = []
        for found in hits:
            bound = self._bound(float(next(scores)))
            kept.append([hit for hit in found if float(next(scores)) <= bound])
        return kept


def _pool(pairs: Pairs, corpus: Texts) -> list[str]:
    """Every passage that may become a negative, each text once: the corpus and all positives."""
    from adapt.text.clean import normalised

    return list({normalised(text): text for text in [*(t.text for t in corpus), *(p.positive for p in pairs)]}.values())
