"""Find hard negatives: passages that are similar to a query but not relevant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.models import int8
from adapt.records import CrossEncoder, CrossEncoderFolder, Encoder, EncoderFolder, Pairs, Texts, Triplet, Triplets
from adapt.runtime.precision import InferencePrecision
from adapt.stages import NonNegativeFloat, PositiveInt, Share, Stage
from adapt.text.stems import Language

if TYPE_CHECKING:
    import numpy as np

    from adapt.retrieval.hits import Hits
    from adapt.retrieval.mining_report import SuspectedPositives

Retriever = Literal["bm25", "dense"]


class Mine(Stage):
    """Find hard negatives: passages that are similar to a query but not relevant.

    Never a negative: the query itself, anything connected to it by pairs (in either direction, transitively), near-duplicates
    of these, passages of the same group or document. Positive-aware filter as in NV-Retriever
    (https://arxiv.org/abs/2407.15831, TopK-PercPos): a hit that scores above (1 - `relative_margin`) · the positive's score may be
    an unlabelled positive and is skipped; a cross_encoder applies the same bounds, on calibrated scores, to the remaining hits.
    A `miner` replaces the model in search and filter. Pairs without negatives get a random one. Written beside the triplets:
    suspected.csv (hits to review), analysis.json and hardest.csv.
    """

    version: ClassVar[int] = 5
    output_name: ClassVar[str] = "triplets"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"corpus": ("texts",)}
    # Explicit: a labeller may not be trained for queries and passages, and another model needs another encoding of the corpus.
    explicit_inputs: ClassVar[tuple[str, ...]] = ("cross_encoder", "miner")
    example: ClassVar[str] = "adapt mine --pairs pairs.jsonl --corpus passages.jsonl --model all-MiniLM-L6-v2 --out triplets.jsonl"

    retrievers: tuple[Retriever, ...] = Field(("bm25", "dense"), min_length=1, description="retrievers of the hits: bm25, dense")
    fusion: Literal["rrf", "quota"] = Field("rrf", description="combine retrievers by reciprocal rank, or by a quota for each")
    quotas: tuple[PositiveInt, ...] = Field((), description="fusion quota: negatives of each retriever; equal where not set")
    negatives: PositiveInt = Field(4, description="hard negatives for each pair")
    range_min: int = Field(0, ge=0, description="skip the best hits of each retriever, before any filter")
    range_max: PositiveInt = Field(50, description="depth of each retriever's search, before any filter")
    relative_margin: Share | None = Field(
        0.05, description="skip hits above (1 - margin) · the positive's similarity; null keeps all"
    )
    absolute_margin: NonNegativeFloat | None = Field(
        None, description="skip hits above the positive's similarity minus this margin"
    )
    max_score: float | None = Field(None, description="skip hits with a higher cosine similarity")
    min_score: float | None = Field(None, description="skip hits with a lower cosine similarity (too easy)")
    max_cross_encoder_score: Share | None = Field(
        0.5, description="skip hits with a higher cross-encoder score (likely positives); null keeps all"
    )
    within_group: bool = Field(
        False, description="allow negatives of the pair's own group (where each query has one relevant passage)"
    )
    sampling_strategy: Literal["top", "random"] = Field(
        "top", description="take the best of the remaining hits, or a random sample"
    )
    precision: InferencePrecision = Field(
        "auto",
        description="precision of encoding; int8 is 2 to 3 times faster on a CPU (extra int8)",
    )
    language: Language = Field("english", description="language of the bm25 stemmer")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        found = []
        if self.range_min >= self.range_max:
            found.append(f"range_min {self.range_min} leaves nothing up to range_max {self.range_max}; raise range_max")
        if self.min_score is not None and self.max_score is not None and self.min_score > self.max_score:
            found.append(f"min_score {self.min_score:g} is more than max_score {self.max_score:g}; no hit would be left")
        if len(set(self.retrievers)) < len(self.retrievers):
            found.append("retrievers has duplicates; name each once")
        if self.quotas and self.fusion != "quota":
            found.append("quotas are for fusion 'quota'; with 'rrf' leave them out")
        elif self.quotas and (len(self.quotas) != len(self.retrievers) or sum(self.quotas) != self.negatives):
            found.append(
                f"quotas {list(self.quotas)}: give one for each of {len(self.retrievers)} retrievers, {self.negatives} in all"
            )
        if self.precision == "int8" and int8.missing_packages():
            found.append(int8.missing_packages())
        if (
            "cross_encoder" in kinds
            and self.max_cross_encoder_score is None
            and self.relative_margin is None
            and self.absolute_margin is None
        ):
            found.append("cross_encoder has no score bound; set max_cross_encoder_score, relative_margin or absolute_margin")
        return found

    def run(
        self,
        pairs: Pairs,
        model: EncoderFolder,
        job: Job,
        corpus: Texts = (),
        cross_encoder: CrossEncoderFolder | None = None,
        miner: EncoderFolder | None = None,
    ) -> Triplets:
        """A triplet for every pair; those without an eligible hit get a random passage, and are counted. Raises UserError."""
        from adapt.errors import UserError
        from adapt.retrieval import mining_report

        wrong = self.problems({"cross_encoder": "cross-encoder"} if cross_encoder else {})
        if wrong:
            raise UserError(wrong)
        hits, suspects = self._search(pairs, corpus, miner or model, job), mining_report.SuspectedPositives()
        lists = [self._within_bounds(hits, pair, suspects, job.seed) for pair in range(len(pairs))]
        chosen, scored = self._chosen(hits, lists, cross_encoder, suspects, job)
        origins = [[hits.origin(pair, index) for index in own] for pair, own in enumerate(chosen)]
        short, random = sum(0 < len(own) < self.negatives for own in chosen), 0
        for pair, own in enumerate(chosen):
            if not own:
                own += self._random(hits, pair, scored, job)
                origins[pair] += ["random"] * len(own)
                random += len(own)
        triplets = [
            Triplet(pair.anchor, pair.positive, tuple(hits.pool[index] for index in own), " ".join(found))
            for pair, own, found in zip(pairs, chosen, origins, strict=True)
            if own
        ]
        if not triplets:
            raise UserError(f"mine: all {len(hits.pool)} passages are excluded for every query; give a corpus with other passages")
        report = mining_report.write(job.out, hits, chosen, origins, suspects, scored, job.seed)
        job.counts.update(
            pairs=len(pairs), pool=len(hits.pool), near_copies=hits.exclusions.near_copies, suspected_positives=len(suspects),
            short=short, random=random, left_out=len(pairs) - len(triplets), overlap=report.overlap_with_positives["negatives"],
        )  # fmt: skip
        job.note(
            f"mine: {len(triplets):,} triplets from a pool of {len(hits.pool):,}; {len(suspects):,} hits skipped as possible "
            f"positives (see suspected.csv); {short:,} pairs have fewer than {self.negatives} negatives, {random:,} a random one"
        )
        return triplets

    def _search(self, pairs: Pairs, corpus: Texts, miner: Encoder, job: Job) -> Hits:
        """The hits of each retriever up to rank `range_max`. The pool is the corpus and all positives, without duplicates."""
        import numpy as np

        from adapt.inference.encoding import embed
        from adapt.retrieval import bm25, dense
        from adapt.retrieval.exclusions import Exclusions
        from adapt.retrieval.hits import Hits
        from adapt.text.clean import normalised

        pool = list({normalised(text): text for text in [*(t.text for t in corpus), *(p.positive for p in pairs)]}.values())
        anchors = {text: row for row, text in enumerate(dict.fromkeys(pair.anchor for pair in pairs))}
        exclusions = Exclusions(pairs, corpus, pool, self.within_group)
        vectors = embed(miner.path, pool, job, role="document", label="encoding the mining pool", precision=self.precision)
        queries = embed(miner.path, list(anchors), job, role="query", label="mining queries", precision=self.precision)
        job.note(f"mine: searching {len(pool):,} passages for {len(anchors):,} queries with {' and '.join(self.retrievers)}")
        ranked: dict[str, np.ndarray] = {}
        for retriever in self.retrievers:
            if retriever == "dense":
                ranked[retriever] = dense.top(queries, vectors, self.range_max)[0]
            else:
                neighbours, scores = bm25.top(pool, list(anchors), self.range_max, self.language)
                ranked[retriever] = np.where(scores > 0, neighbours, -1)  # a hit has a word of the query
        return Hits(pairs, pool, exclusions, [anchors[pair.anchor] for pair in pairs], queries, vectors, ranked, self.range_min)

    def _bound(self, positive: float, most: float | None) -> float:
        """The maximum score of a negative for a positive of this score, at most `most`; valid for negative scores, too."""
        relative = float("inf") if self.relative_margin is None else positive - self.relative_margin * abs(positive)
        absolute = float("inf") if self.absolute_margin is None else positive - self.absolute_margin
        return min(relative, absolute, float("inf") if most is None else most)

    def _within_bounds(self, hits: Hits, pair: int, suspects: SuspectedPositives, seed: int) -> list[np.ndarray]:
        """The hits whose cosine is within bounds, in the order of choice: one list for each quota."""
        import numpy as np

        from adapt.retrieval.fusion import reciprocal_rank

        positive = float(hits.cosines(pair, [hits.positive(pair)])[0])
        highest = self._bound(positive, self.max_score)
        lowest = -float("inf") if self.min_score is None else self.min_score
        ranked: list[tuple[np.ndarray, np.ndarray]] = []
        high: dict[int, float] = {}
        for retriever in self.retrievers:
            indices, ranks = hits.candidates(pair, retriever)
            cosines = hits.cosines(pair, indices)
            high.update(zip(indices[cosines > highest].tolist(), cosines[cosines > highest].tolist(), strict=True))
            within = (cosines <= highest) & (cosines >= lowest)
            ranked.append((indices[within], ranks[within]))
        suspects.add(pair, np.array(list(high)), np.array(list(high.values())), positive, "cosine")
        lists = [reciprocal_rank(ranked)] if self.fusion == "rrf" else [own for own, _ in ranked]
        if self.sampling_strategy == "random":
            lists = [own[np.random.default_rng([seed, pair, i]).permutation(len(own))] for i, own in enumerate(lists)]
        return lists

    def _chosen(
        self, hits: Hits, lists: list[list[np.ndarray]], cross_encoder: CrossEncoder | None, suspects: SuspectedPositives, job: Job
    ) -> tuple[list[list[int]], dict[tuple[int, int], float]]:
        """Each pair's negatives, and the cross-encoder's scores of (query, index)."""
        from adapt.retrieval.false_negatives import filtered
        from adapt.retrieval.fusion import by_quota

        each, more = divmod(self.negatives, len(lists[0]))
        quotas = self.quotas or [each + (number < more) for number in range(len(lists[0]))]
        if cross_encoder is None:
            return [by_quota(own, quotas) for own in lists], {}
        from adapt.inference.scoring import Truncation, predict

        truncation = Truncation()

        def score(texts: list[tuple[str, str]]) -> np.ndarray:
            return predict(cross_encoder.path, texts, job, label="mining filter", calibrated=True, truncation=truncation)

        found = filtered(hits, lists, quotas, score, lambda positive: self._bound(positive, self.max_cross_encoder_score), suspects)
        truncation.report(job, "mining filter")
        return found

    def _random(self, hits: Hits, pair: int, scored: dict[tuple[int, int], float], job: Job) -> list[int]:
        """A random passage for a pair without hits, if possible one that no filter has skipped; [] if none is eligible."""
        import numpy as np

        eligible = hits.eligible(pair)
        bound = self._bound(float(hits.cosines(pair, [hits.positive(pair)])[0]), self.max_score)
        within = eligible[hits.cosines(pair, eligible) <= bound]
        within = within[[(hits.rows[pair], index) not in scored for index in within.tolist()]]
        choices = within if len(within) else eligible
        return [int(np.random.default_rng([job.seed, pair]).choice(choices))] if len(choices) else []
