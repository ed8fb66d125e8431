"""Find candidate pairs among texts and score them with a cross-encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.models import int8
from adapt.records import CrossEncoderFolder, Encoder, EncoderFolder, LazySequence, Scored, SilverPair, Texts
from adapt.run_details import SilverSummary
from adapt.runtime.precision import InferencePrecision
from adapt.stages import PairLength, PositiveFloat, PositiveInt, Share, Stage, too_long
from adapt.storage import arrays
from adapt.text.stems import Language

if TYPE_CHECKING:
    from adapt.models.calibration import Agreement, Calibration

Sampler = Literal["bm25", "dense", "kde", "random"]
Correlation = Annotated[float, Field(ge=-1, le=1)]


class Silver(Stage):
    """Find candidate pairs among texts and score them with a cross-encoder.

    Augmented SBERT's silver data (Thakur et al. 2021, https://arxiv.org/abs/2010.08240). The labeller is a
    cross-encoder trained on gold of the domain, on gold of another domain, or, without any gold, a published one, by name or path.
    Gold pairs, in either order, and repeats are left out. Every row holds its sampler, its rank there, and the labeller's score
    before and after calibration; `summary.json` beside the pairs holds the histogram of the scores. A killed run resumes after
    the last scored shard.
    """

    version: ClassVar[int] = 4
    output_name: ClassVar[str] = "silver"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"texts": ("corpus",)}
    example: ClassVar[str] = (
        "adapt silver --texts passages.jsonl --cross-encoder labeller --out silver.csv --sampling bm25 --pairs 300"
    )

    sampling: tuple[Sampler, ...] = Field(
        ("bm25", "dense"), description="samplers of the candidates; kde matches the scores to the distribution of gold"
    )
    shares: tuple[PositiveFloat, ...] = Field((), description="fraction of the pairs for each sampler; equal where not set")
    pairs: PositiveInt = Field(2_000, description="number of silver pairs")
    top_k: PositiveInt = Field(5, description="nearest neighbours of each text to take as candidates")
    max_per_text: PositiveInt | None = Field(20, description="maximum pairs per text; null is no limit")
    target_distribution: Literal["none", "gold", "uniform"] = Field("none", description="match the scores to this distribution")
    oversample: PositiveInt = Field(4, description="scored candidates per pair, for kde and target_distribution")
    calibrate: bool = Field(True, description="calibrate scores, by the labeller's own calibration or by gold")
    min_spearman: Correlation | None = Field(
        None, description="stop if the labeller's Spearman on held-out gold is lower; null: never"
    )
    target_form: Literal["scored", "binary"] = Field("scored", description="scores from 0 to 1, or labels 0 and 1")
    threshold: Share = Field(0.5, description="score from which a binary label is 1")
    unit: Literal["sentence", "text"] = Field("sentence", description="pair sentences or whole texts")
    min_words: PositiveInt = Field(5, description="leave shorter sentences out")
    max_words: PositiveInt = Field(60, description="leave longer sentences out")
    language: Language = Field("english", description="language of the bm25 stemmer")
    max_length: PairLength = Field(192, description="tokens per pair for the cross-encoder")
    precision: InferencePrecision = Field(
        "auto",
        description="precision of scoring and encoding; int8 is 2 to 3 times faster on a CPU (extra int8)",
    )
    shard_size: PositiveInt = Field(10_000, description="pairs per shard; a killed run resumes after the last finished one")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        found = []
        if "dense" in self.sampling and "model" not in kinds:
            found.append("sampling 'dense' needs an encoder: give model, or use sampling 'bm25'")
        if "kde" in self.sampling and "gold" not in kinds:
            found.append("sampling 'kde' follows gold's scores: give gold, or use sampling 'bm25'")
        if self.target_distribution == "gold" and "gold" not in kinds:
            found.append("target_distribution 'gold' needs gold; give it, or use 'uniform'")
        if self.precision == "int8" and int8.missing_packages():
            found.append(int8.missing_packages())
        if len(set(self.sampling)) < max(1, len(self.sampling)):
            found.append("sampling must name one sampler or more, each once")
        if self.min_words > self.max_words:
            found.append(f"min_words {self.min_words} is more than max_words {self.max_words}; no sentence would be left")
        if self.shares and len(self.shares) != len(self.sampling):
            found.append(f"shares has {len(self.shares)} numbers for {len(self.sampling)} samplers; give one for each")
        return found

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        # The default is reduced to the model's positions; an explicit value is not.
        return too_long(self.max_length, config) if self.max_length != type(self).model_fields["max_length"].default else []

    def run(
        self,
        texts: Texts,
        cross_encoder: CrossEncoderFolder,
        job: Job,
        gold: Scored | None = None,
        model: EncoderFolder | None = None,
    ) -> Scored:
        """Scored pairs, created on access: only the texts and a few numbers per pair are in memory.

        Raises UserError if the texts give no pair or the Spearman of `min_spearman` can't be measured, and WorkFailed for a
        labeller below it (the input may be valid, but the labeller is not accurate enough).
        """
        import numpy as np

        from adapt.errors import UserError
        from adapt.models.lookup import weights_digest
        from adapt.retrieval.candidates import counts
        from adapt.retrieval.sampling import units_of

        curve, agreed = self._labeller(cross_encoder.path, gold or (), job)
        units = units_of(texts, gold or (), self.unit == "sentence", self.min_words, self.max_words)
        pool = self._pool(units, gold or (), model, job)
        if not len(pool):
            raise UserError(
                f"silver: {len(units)} units of text gave no candidate pair; give more texts, or widen min_words, max_words"
            )
        raw = self._scored(cross_encoder.path, units, pool, job)
        scores = np.round(curve(raw), 6)  # as they are written
        gold_scores = np.array([pair.score for pair in gold or ()])
        rows = self._selected(pool, scores, gold_scores, job.seed)
        chosen, hash_ = pool.take(rows), weights_digest(cross_encoder.path)[:16]
        job.counts.update(units=len(units), candidates=len(pool), **counts(chosen, self.sampling))
        self._report(scores, rows, gold_scores, {"labeller": hash_, "calibration": curve.kind, "agreement": agreed}, job)

        def make(row: int) -> SilverPair:
            score, sampler, rank = float(scores[rows[row]]), self.sampling[chosen.sampler[row]], int(chosen.rank[row])
            return SilverPair(
                units[chosen.first[row]],
                units[chosen.second[row]],
                score if self.target_form == "scored" else float(score >= self.threshold),
                f"silver:{sampler}@{rank}" if rank else f"silver:{sampler}",
                sampler,
                rank,
                round(float(raw[rows[row]]), 6),
                score,
                hash_,
            )

        return LazySequence(len(rows), make)

    # ------------------------------------------------------------------------------------------ labeller

    def _labeller(self, folder: Path, gold: Scored, job: Job) -> tuple[Calibration, Agreement]:
        """(calibration, agreement with gold) of the labeller: loaded from its folder, or measured on `gold`."""
        from adapt.errors import UserError, WorkFailed
        from adapt.inference.scoring import predict
        from adapt.models import calibration

        saved = calibration.load(folder)
        curve, agreed = saved or (calibration.Calibration(), {})
        needed = self.calibrate or self.min_spearman is not None
        if saved is None and needed and len(gold) >= calibration.MIN_ROWS:
            scores = predict(folder, [(p.sentence1, p.sentence2) for p in gold], job, self.max_length, label="labeller on gold")
            gold_scores = [p.score for p in gold]
            curve, agreed = calibration.fit(scores, gold_scores), calibration.agreement(scores, gold_scores, job.seed)
        if self.min_spearman is not None:
            if "spearman" not in agreed:
                raise UserError(
                    "silver: min_spearman is set, but the labeller's agreement with gold is unknown; train it with "
                    f"adapt cross-encoder and {calibration.MIN_ROWS} held-out pairs or more, or give a pre-trained one and gold"
                )
            if agreed["spearman"] < self.min_spearman:
                raise WorkFailed(
                    f"silver: the labeller's Spearman with gold is {agreed['spearman']:.3f} on {agreed['rows']} pairs, below "
                    f"min_spearman {self.min_spearman:g}: its labels are too noisy. Train it on more gold, for more "
                    "epochs or with several seeds, or use a pre-trained cross-encoder"
                )
        return curve if self.calibrate else calibration.Calibration(), agreed

    def _scored(self, folder: Path, units: Sequence[str], pool: Any, job: Job) -> Any:
        """Raw scores of the pool, [n]; parts that an interrupted run has scored are loaded from `job.work`."""
        import numpy as np

        from adapt.inference.scoring import Truncation, predict

        parts: list[np.ndarray] = []
        total = Truncation()
        quantized = lru_cache(lambda: self._quantized(folder, units, pool, job))  # created only if a part is not scored yet
        for start in range(0, len(pool), self.shard_size):
            number, shards = start // self.shard_size + 1, -(-len(pool) // self.shard_size)
            file = job.work / f"scores-{number:06d}.npz"
            saved = arrays.load(file, ["scores", "truncated"], job.note) or {}
            scores, truncated = saved.get("scores"), saved.get("truncated")
            if scores is None or truncated is None or len(scores) != min(self.shard_size, len(pool) - start):
                part = pool.take(np.arange(start, min(start + self.shard_size, len(pool))))
                text_pairs = [(units[i], units[j]) for i, j in zip(part.first.tolist(), part.second.tolist(), strict=True)]
                label = "silver" if shards == 1 else f"silver, part {number} of {shards}"
                truncation = Truncation()
                scores = predict(
                    folder,
                    text_pairs,
                    job,
                    self.max_length,
                    label=label,
                    quantized=quantized(),
                    precision=self.precision,
                    truncation=truncation,
                )  # fmt: skip
                truncated = np.array([truncation.truncated, truncation.limit])
                arrays.save(file, scores=scores, truncated=truncated)
            parts.append(scores)
            total.add(len(scores), *truncated.tolist())
        total.report(job, "silver")
        return np.concatenate(parts)

    def _quantized(self, folder: Path, units: Sequence[str], pool: Any, job: Job) -> Any:
        """The labeller in int8, validated on pairs of the pool; None for fp32."""
        import numpy as np

        from adapt.inference.scoring import quantize_cross_encoder

        if self.precision != "int8":
            return None
        sampled = np.random.default_rng([job.seed, 3]).permutation(len(pool))[: int8.CALIBRATION_TEXTS + int8.VALIDATION_TEXTS]
        part = pool.take(sampled)
        sample = [(units[i], units[j]) for i, j in zip(part.first.tolist(), part.second.tolist(), strict=True)]
        return quantize_cross_encoder(folder, sample, len(pool), job, self.max_length)

    # ------------------------------------------------------------------------------------------ candidates

    def _pool(self, units: Sequence[str], gold: Scored, model: Encoder | None, job: Job) -> Any:
        """The candidates to score, in the samplers' shares."""
        from adapt.retrieval import sampling

        sizes: dict[str, int] = {
            sampler: quota * (self.oversample if sampler == "kde" or self.target_distribution != "none" else 1)
            for sampler, quota in zip(self.sampling, self._quotas(), strict=True)
        }
        fill = not self.shares and "kde" not in self.sampling
        return sampling.find(
            units, gold, sizes, model, job,
            top_k=self.top_k, per_text=self.max_per_text, fill=fill, language=self.language, precision=self.precision,
        )  # fmt: skip

    # ------------------------------------------------------------------------------------------ label distribution

    def _quotas(self) -> list[int]:
        from adapt.retrieval.candidates import quotas

        return quotas(self.pairs, self.shares or [1.0] * len(self.sampling))

    def _target(self, gold: Any) -> Any:
        """The target histogram of the scores, or gold's for comparison; None without a target and gold."""
        import numpy as np

        from adapt.retrieval.matching import BINS, histogram

        return np.ones(BINS) if self.target_distribution == "uniform" else histogram(gold) if len(gold) else None

    def _selected(self, pool: Any, scores: Any, gold: Any, seed: int) -> Any:
        """The rows of the selected candidates, sorted."""
        import numpy as np

        from adapt.retrieval.matching import by_density, by_histogram

        rng = np.random.default_rng([seed, 2])
        if self.target_distribution != "none" and not self.shares:
            return by_histogram(scores, self._target(gold), self.pairs, rng)
        kept = []
        for number, quota in enumerate(self._quotas()):
            rows = np.flatnonzero(pool.sampler == number)
            if self.target_distribution != "none":
                rows = rows[by_histogram(scores[rows], self._target(gold), quota, rng)]
            elif self.sampling[number] == "kde":
                rows = rows[by_density(scores[rows], gold, quota, rng)]
            kept.append(rows)
        return np.sort(np.concatenate(kept))

    def _report(self, scores: Any, rows: Any, gold: Any, about: dict[str, Any], job: Job) -> None:
        """Counts, `summary.json`, and a note with the histogram of candidates, silver and gold."""
        import numpy as np

        from adapt.retrieval.matching import distance, format_histograms, histogram

        shown = {"candidates": histogram(scores), "silver": histogram(scores[rows])}
        if len(gold):
            shown["gold"] = histogram(gold)
        job.counts["histogram"] = shown["silver"].tolist()
        target = self._target(gold)
        sentence = ""
        if target is not None:
            to = "uniform" if self.target_distribution == "uniform" else "gold"
            before, after = (distance(shown[name], target) for name in ("candidates", "silver"))
            about["distance"] = {"to": to, "before": before, "after": after}
            job.counts.update(distance_before=before, distance_after=after)
            sentence = f"; total variation distance to {to}: candidates {before:.3f}, silver {after:.3f}"
        summary = SilverSummary.model_validate({
            "pairs": len(rows), "asked": self.pairs, **job.counts, **about, "mean": float(np.mean(scores[rows])),
            "histogram": {name: counts.tolist() for name, counts in shown.items()},
        })  # fmt: skip
        (job.out / "summary.json").write_text(summary.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8")
        for line in (f"silver: {len(rows):,} pairs of {len(scores):,} scored{sentence}", *format_histograms(shown).splitlines()):
            job.note(line)  # a line each: the terminal shows a note without its line breaks
        if len(rows) < self.pairs:
            job.note(
                f"silver: {self.pairs:,} were requested; for more, give more texts, or raise top_k, max_per_text or oversample"
            )
