"""Train a cross-encoder on gold pairs; it can then label other pairs."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from adapt.job import Job
from adapt.records import CrossEncoder, CrossEncoderFolder, EncoderFolder, Scored, ScoredPair
from adapt.settings import PairLength, PositiveFloat, PositiveInt, Share
from adapt.stages import TrainingStage, too_long
from adapt.storage import atomic, digests

if TYPE_CHECKING:
    from adapt.models.calibration import Agreement

FITTED = "fitted.json"  # written beside a trained labeller


class CrossEncoderStage(TrainingStage):
    """Train a cross-encoder on gold pairs; it can then label other pairs.

    The labeller of Augmented SBERT (Thakur et al. 2021, https://arxiv.org/abs/2010.08240): both texts are one input; the loss is
    binary cross-entropy on the score. A fraction of the pairs is held out to measure the agreement with gold and to calibrate the
    scores; `calibration.json` beside the weights holds both. Gold of the domain is best. Gold of another domain works, too: name it
    `scored` in a recipe, so that `silver` does not use it as gold of the domain.
    """

    version: ClassVar[int] = 6
    output_name: ClassVar[str] = "cross-encoder"
    default_inputs: ClassVar[Mapping[str, tuple[str, ...]]] = {"pairs": ("gold", "scored")}
    example: ClassVar[str] = "adapt cross-encoder --model all-MiniLM-L6-v2 --pairs gold.csv --out labeller --epochs 1"

    epochs: PositiveInt = Field(3, description="passes over the pairs, the two texts in random order")
    batch_size: PositiveInt = Field(16, description="pairs per step")
    head_learning_rate: PositiveFloat = Field(1e-3, description="peak learning rate of the classification head")
    held_out: Share = Field(0.1, description="fraction of the pairs held out for evaluation and calibration")
    patience: PositiveInt | None = Field(
        None, description="half epochs without a lower held-out loss before stopping; null disables early stopping"
    )
    seeds: PositiveInt = Field(
        1, description="train this many models and keep the best on held-out pairs: less variance with little gold"
    )
    calibration: Literal["auto", "none", "isotonic", "platt"] = Field(
        "auto", description="auto is isotonic from 1,000 held-out pairs, platt from 10, else none"
    )
    max_length: PairLength = Field(192, description="tokens per pair")
    dropout: Share = Field(0.1, description="dropout while training")

    def problems(self, kinds: Mapping[str, str]) -> list[str]:
        if self.held_out == 1:
            return ["held_out 1 leaves no pair to train on; the default is 0.1"]
        if self.held_out == 0 and (self.seeds > 1 or self.patience):
            return ["seeds and patience need held-out pairs, and held_out is 0; try held_out 0.1"]
        return []

    def model_problems(self, config: Mapping[str, Any], is_embedder: bool) -> list[str]:
        # The default is reduced to the model's positions; an explicit value is not.
        return too_long(self.max_length, config) if self.max_length != type(self).model_fields["max_length"].default else []

    def run(self, model: EncoderFolder, pairs: Scored, job: Job) -> CrossEncoderFolder:
        """The trained cross-encoder, in `job.out / "model"`; sentence-transformers' CrossEncoder loads it."""
        import numpy as np

        from adapt.inference.scoring import Truncation, predict
        from adapt.models import calibration

        train, held_out = _split(pairs, self.held_out, job.seed)
        text_pairs, gold = [(p.sentence1, p.sentence2) for p in held_out], [p.score for p in held_out]
        trained = []
        for seed in range(job.seed, job.seed + self.seeds):
            place = job.work / f"seed-{seed}"
            if not _finished(place):  # finished before an interruption otherwise
                self._train(model.path, train, held_out, seed, place, job)
            truncation = Truncation()  # of the held-out pairs, the same for every seed
            scores = np.zeros(0)
            if held_out:
                scores = predict(place / "model", text_pairs, job, self.max_length, label="held-out gold", truncation=truncation)
            trained.append((seed, place, scores, calibration.agreement(scores, gold, job.seed)))
        # The best of several models is biased upwards on the held-out pairs; the standard deviation shows by how much.
        seed, place, scores, agreed = max(trained, key=lambda one: one[3].get("spearman", -1.0))
        folder = job.out / "model"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / "model", folder)
        shutil.copy(place / "training.json", job.out)
        curve = calibration.fit(scores, gold, self.calibration)
        calibration.save(folder, curve, agreed)
        job.counts.update(pairs=len(train), held_out=len(held_out), calibration=curve.kind)
        job.counts.update((digests.read_verified(place / FITTED) or {})["counts"])
        truncation.report(job, "cross-encoder, held-out pairs")
        job.counts.update({f"held_out_{name}": value for name, value in agreed.items() if name != "rows"})
        if self.seeds > 1:
            each = [one[3].get("spearman", float("nan")) for one in trained]
            job.counts.update(kept_seed=seed, spearman_by_seed=each, spearman_sd=float(np.std(each, ddof=1)))
            shown = ", ".join(f"{value:.3f}" for value in each)
            job.note(f"cross-encoder: Spearman by seed {shown}; seed {seed} is kept")
        if agreed:
            job.note(f"cross-encoder: {_sentence(agreed)} on {len(held_out)} gold pairs held out; calibration: {curve.kind}")
        return CrossEncoder(folder)

    def _train(self, base: Path, train: Sequence[ScoredPair], held: Sequence[ScoredPair], seed: int, place: Path, job: Job) -> None:
        """Train one labeller into `place / "model"`; `fitted.json` is written when it is finished."""
        from adapt.inference.scoring import Truncation
        from adapt.losses.pair_scoring import PairScoring
        from adapt.models.cross_encoder import CrossEncoderModel
        from adapt.models.dropout import set_dropout
        from adapt.training import checkpoint, objective

        atomic.remove(place / FITTED)
        place.mkdir(exist_ok=True)
        part = Job(seed, place, place, job.listener)
        model = CrossEncoderModel(base, new_head_seed=seed)
        set_dropout(model, self.dropout)
        scoring = PairScoring(
            model, train, held if self.patience else (), seed,
            label="cross-encoder" if self.seeds == 1 else f"cross-encoder, seed {seed}", max_length=self.max_length,
            learning_rate=self.learning_rate, head_learning_rate=self.head_learning_rate,
            interval=max(1, len(train) // self.batch_size // 2),
        )  # fmt: skip
        limit = model.limit(self.max_length)
        Truncation(len(train), scoring.truncated, limit).report(part, "cross-encoder, training pairs")
        report = objective.train(scoring, self.training(), part)
        model.save(place / "model")
        checkpoint.clear(place)
        counts = {**part.counts, **asdict(report)}
        digests.write_verified(place / FITTED, {"counts": counts, "files": digests.manifest(place)})


def _finished(place: Path) -> bool:
    """Whether `place` has a trained labeller with unchanged files."""
    found = digests.read_verified(place / FITTED)
    return found is not None and not digests.find_damage(place, found["files"])


def _split(pairs: Sequence[ScoredPair], share: float, seed: int) -> tuple[list[ScoredPair], list[ScoredPair]]:
    """(training pairs, held-out pairs), at random; a pair, its reverse and its duplicates are in the same part."""
    import numpy as np

    from adapt.text.clean import normalised

    by_texts: dict[frozenset[str], list[ScoredPair]] = {}
    for pair in pairs:
        by_texts.setdefault(frozenset((normalised(pair.sentence1), normalised(pair.sentence2))), []).append(pair)
    groups = list(by_texts.values())
    order = np.random.default_rng(seed).permutation(len(groups))
    count = round(share * len(groups))
    return [p for i in order[count:] for p in groups[i]], [p for i in order[:count] for p in groups[i]]


def _sentence(agreed: Agreement) -> str:
    measured = []
    if "spearman" in agreed:
        measured.append(("Spearman", agreed["spearman"], agreed["spearman_interval"]))
    if "ap" in agreed:
        measured.append(("average precision", agreed["ap"], agreed["ap_interval"]))
    return ", ".join(f"{name} {value:.3f} ({low:.3f} to {high:.3f})" for name, value, (low, high) in measured)
