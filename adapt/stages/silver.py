"""Find candidate pairs among texts and have a cross-encoder score them."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import CrossEncoderFolder, EncoderFolder, Scored, ScoredPair, Texts
from adapt.stages import PositiveInt, Stage

Sampler = Literal["bm25", "dense", "random"]


class Silver(Stage):
    """Find candidate pairs among texts and have a cross-encoder score them.

    Augmented SBERT's silver data (Thakur et al. 2021, https://arxiv.org/abs/2010.08240). Pairs that stand in gold, in either
    order, are left out, and so are repeats; every row says which sampler found it and at which rank.
    """

    product: ClassVar[str] = "silver"
    stand_ins: ClassVar = {"texts": ("corpus",)}
    example: ClassVar[str] = (
        "adapt silver --texts passages.jsonl --cross-encoder labeller --out silver.csv --sampling bm25 --pairs 300"
    )

    sampling: tuple[Sampler, ...] = Field(
        ("bm25", "dense"), description="how candidates are found; several share the number equally"
    )
    pairs: PositiveInt = Field(2_000, description="silver pairs to make, as far as the texts allow")
    top_k: PositiveInt = Field(5, description="nearest neighbours of each text that become candidates")
    unit: Literal["sentence", "text"] = Field("sentence", description="what is paired: sentences of the texts, or whole texts")
    min_words: PositiveInt = Field(5, description="shorter units are left out")
    max_words: PositiveInt = Field(60, description="longer units are left out")
    max_length: PositiveInt = Field(192, description="tokens per pair that the cross-encoder reads")

    def problems(self, kinds) -> list[str]:
        if "dense" in self.sampling and "model" not in kinds:
            return ["sampling 'dense' needs an encoder: give model, or use sampling 'bm25'"]
        return []

    def run(
        self,
        texts: Texts,
        cross_encoder: CrossEncoderFolder,
        job: Job,
        gold: Scored | None = None,
        model: EncoderFolder | None = None,
    ) -> Scored:
        """Scored pairs, each with its origin `silver:<sampler>@<rank>`. Raises UserError where the texts give no pair."""
        from adapt.engine.cross_encoder import predict
        from adapt.errors import UserError

        units = self._units(texts, gold or ())
        chosen = self._candidates(units, gold or (), model, job)
        if not chosen:
            raise UserError(
                f"silver: {len(units)} units of text gave no candidate pair; give more texts, or widen min_words, max_words"
            )
        scores = predict(cross_encoder.path, [(units[i], units[j]) for i, j, _ in chosen], job, self.max_length, label="silver")
        job.counts.update(units=len(units), candidates=len(chosen), histogram=_histogram(scores))
        job.note(f"silver: {len(chosen):,} pairs; scores by fifths {_histogram(scores)}")
        return [
            ScoredPair(units[i], units[j], round(float(score), 4), f"silver:{origin}")
            for (i, j, origin), score in zip(chosen, scores, strict=True)
        ]

    def _units(self, texts: Texts, gold: Scored) -> list[str]:
        from adapt.text.clean import normalised
        from adapt.text.sentences import sentences

        found = [side for pair in gold for side in (pair.sentence1, pair.sentence2)]
        if self.unit == "sentence":
            found += [s for _, s in sentences([t.text for t in texts], self.min_words, self.max_words)]
        else:
            found += [t.text for t in texts]
        return list({normalised(text): text for text in found}.values())

    def _candidates(self, units: list[str], gold: Scored, model, job: Job) -> list[tuple[int, int, str]]:
        """(unit, unit, sampler@rank), the samplers taking turns until there are enough; the order of anchors is random."""
        import numpy as np

        from adapt.text.clean import normalised

        taken = {frozenset((normalised(p.sentence1), normalised(p.sentence2))) for p in gold}
        names = [normalised(unit) for unit in units]
        rng = np.random.default_rng(job.seed)
        # A few times the anchors that are needed, since neighbours overlap; not all, since search costs too.
        anchors = rng.permutation(len(units))[: max(50, 2 * self.pairs // len(self.sampling))]
        neighbours = {sampler: self._neighbours(sampler, units, anchors, model, rng, job) for sampler in self.sampling}
        chosen: list[tuple[int, int, str]] = []
        for rank in range(self.top_k + 1):
            for row, i in enumerate(anchors):
                for sampler in self.sampling:
                    if rank >= neighbours[sampler].shape[1]:
                        continue
                    j = int(neighbours[sampler][row, rank])
                    both = frozenset((names[i], names[j]))
                    if j >= 0 and len(both) == 2 and both not in taken:
                        taken.add(both)
                        chosen.append((int(i), j, f"{sampler}@{rank + 1}"))
                if len(chosen) >= self.pairs:
                    return chosen[: self.pairs]
        return chosen

    def _neighbours(self, sampler: str, units: list[str], anchors, model, rng, job: Job):
        """Unit numbers [anchors, k], best first; -1 where a neighbour shares no word."""
        import numpy as np

        from adapt.search import bm25, dense

        k = self.top_k + 1  # the nearest neighbour of a text is itself
        if sampler == "bm25":
            found, scores = bm25.top(units, [units[i] for i in anchors], k)
            return np.where(scores > 0, found, -1)
        if sampler == "dense":
            from adapt.engine.encoder import embed

            vectors = embed(model.path, units, job, label="silver candidates")
            return dense.top(vectors[anchors], vectors, k)[0]
        return rng.integers(0, len(units), (len(anchors), k))


def _histogram(scores) -> list[int]:
    import numpy as np

    return np.histogram(scores, bins=5, range=(0, 1))[0].tolist()
