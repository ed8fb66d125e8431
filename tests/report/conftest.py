"""A run folder with every piece that a report shows; its texts are given by the test."""

import csv
import json
from pathlib import Path

import pytest

from adapt.recipe import GateSpec
from adapt.results import (
    CheckInfo,
    Comparison,
    DeferredDecision,
    DevMeasurement,
    Difference,
    GateDecision,
    GateTrial,
    LeakCounts,
    Lock,
    LockedData,
    LockedStep,
    RunResult,
    SeedSpread,
    Speed,
    StepResult,
    SweepTrial,
    TopicComparison,
    Verdict,
)  # fmt: skip
from adapt.run_details import (
    CheckComparison,
    CosineComparison,
    CosineDistribution,
    Gains,
    Hit,
    ItemChange,
    MiningReport,
    PerExampleComparison,
    QueryNeighbours,
    RelevantPassage,
    SilverSummary,
    TrainingCurve,
)  # fmt: skip
from adapt.storage import digests

BETTER = {"delta": 0.085, "low": 0.062, "high": 0.109, "p": 0.0002, "outcome": "better"}
WORSE = {"delta": -0.02, "low": -0.03, "high": -0.01, "p": 0.01, "outcome": "worse"}


def write_json(file: Path, value) -> None:
    """With \\u escapes, so that lone surrogates can be written."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value.model_dump(mode="json")))


def write_verified(file: Path, value) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(digests.add_digest(value.model_dump(mode="json"))))


def write_csv(file: Path, columns, rows) -> None:
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([columns, *rows])


def step(name, stage, key, seconds, counts, leaks=None) -> StepResult:
    return StepResult(
        id=name, stage=stage, key=16 * key, folder=f"{name}-{16 * key}", cached=False, reason="new", seconds=seconds,
        peak_memory_mb=1024.5, counts=counts, leaks=leaks,
    )  # fmt: skip


def trial(alpha, outcome, explanation) -> GateTrial:
    passes = outcome in ("better", "same")
    return GateTrial(alpha=alpha, outcome=outcome, explanation=explanation, passes=passes, gain=0.06, guard_loss=0.02, p=0.4)


def run_result(say=lambda n: f"text number {n}") -> RunResult:
    """A result with everything that a run may add."""
    values = {(None, False): (0.5, 0.7), ("finetune", False): (0.585, 0.66), ("finetune", True): (0.56, 0.68)}
    differences = {
        (None, False): {}, ("finetune", False): {"retrieval.ndcg@10": Difference(**BETTER, p_corrected=0.0006)},
        ("finetune", True): {"retrieval.ndcg@10": Difference(**{**BETTER, "delta": 0.06}), "sts.spearman": Difference(**WORSE)},
    }  # fmt: skip
    dev = [
        DevMeasurement(
            after=after,
            gated=gated,
            metrics={"retrieval": {"ndcg@10": own}, "sts": {"spearman": sts}},
            differences=differences[after, gated],
        )
        for (after, gated), (own, sts) in values.items()
    ]
    dev.append(DevMeasurement(after="labeller", model="cross-encoder", metrics={"sts": {"spearman": 0.8}}))
    return RunResult(
        recipe=say(2), description=say(3), model="all-MiniLM-L6-v2", seed=13, final="0" * 16, changed=True,
        verdict=Verdict(outcome="better", sentence=say(7), target="retrieval.ndcg@10"),
        warnings=(say(13),),
        test=(
            Comparison(metric="retrieval.ndcg@10", role="target", base=0.5, final=0.585, **BETTER),
            Comparison(metric="retrieval.map", role="target", base=0.4, final=0.45, **BETTER),
            Comparison(metric="sts.spearman", role="guard", base=0.7, final=0.68, **WORSE),
        ),
        topics=tuple(
            TopicComparison(metric="retrieval.ndcg@10", topic=say(n), items=30, **row) for n, row in ((10, BETTER), (11, WORSE))
        ),
        seeds=(SeedSpread(metric="retrieval.ndcg@10", role="target", deltas={13: 0.085, 14: 0.075}, mean=0.08, sd=0.007),),
        dev=tuple(dev),
        gates=(
            GateDecision(
                step="finetune", key=16 * "e", cached=False, alpha=0.5,
                trials=(trial(1.0, "forgetting", say(1)), trial(0.5, "better", say(5))),
            ),
        ),
        deferred=(DeferredDecision(step="silver", after="finetune", kept=False, trial=trial(1.0, "same", say(14))),),
        sweep=(SweepTrial(settings={"finetune.loss": say(9)}, metric="retrieval.ndcg@10", value=0.6, chosen=True, **BETTER),),
        steps=(
            step(
                "data-texts", None, "a", 0.5, {"read": 20, "repeats": 1, "rows": 14},
                LeakCounts(action="removed", counts={"exact": 2, "near_duplicate": 3}),
            ),
            step("silver", "silver", "b", 30.0, {"candidates": 40, "rows": 9}),
            step("mine", "mine", "c", 7.0, {"pairs": 9, "suspected_positives": 2, "rows": 9}),
            step("finetune", "finetune", "d", 60.0, {"examples": 9, "rows": 18, "note": say(4)}),
        ),
        checks={
            "retrieval": CheckInfo(kind="retrieval", role="target", metric="ndcg@10"),
            "sts": CheckInfo(kind="sts", role="guard", metric="spearman", synthetic=True),
        },
        minimum_detectable_effect={"retrieval.ndcg@10": 0.031},
        health={"base": {"effective_rank": 80.0, "random_mean": 0.1}, "finetune": {"effective_rank": 95.5}},
        speed=Speed(
            latency_ms_p50=8.0, latency_ms_p95=9.0, texts_per_second=90.5, dimensions=384, device=say(6), megabytes=90.9,
            parameters=22_713_216,
        ),
        environment={"cpu": say(15), "threads": 2},
        lock=Lock(
            name=say(2), model="all-MiniLM-L6-v2", model_key="m" * 16, seed=13, data={"texts": LockedData(rows=14, key="a" * 16)},
            steps=(LockedStep(id="finetune", stage="finetune", key="d" * 16, settings={"loss": say(8)}),),
            gate=GateSpec(target="retrieval.ndcg@10", guard={"sts.spearman": -0.01}), versions={"torch": "2.13"},
        ),
        seconds=372.0,
    )  # fmt: skip


def per_example(say, items: int = 12) -> PerExampleComparison:
    """Gains that fall evenly from +1 to -1, ten queries with neighbours, and two series of cosines."""
    gains = [1 - 2 * i / (items - 1) for i in range(items)]
    rows = tuple(ItemChange(texts=(say(20 + i % 9),), base=0.5, final=0.5, gain=gain) for i, gain in enumerate(gains))
    hits = tuple(Hit(id=say(30), text=say(31 + i), relevant=i == 1, cosine=0.9 - 0.1 * i) for i in range(5))
    relevant = (RelevantPassage(id="p", text=say(37), base_rank=7, final_rank=None),)
    neighbours = tuple(
        QueryNeighbours(
            query=say(38), change=change, base=0.1, final=0.9, base_hits=hits, final_hits=hits, relevant=relevant
        )
        for change in ["gained"] * 4 + ["unchanged"] * 3 + ["lost"] * 3
    )  # fmt: skip
    counts = {"positives": (0, 2, 6, 2), "random": (5, 5, 0, 0)}
    side = CosineDistribution(counts=counts, means={"positives": 0.5, "random": 0.0}, overlap={"random": 0.2})
    check = CheckComparison(
        kind="retrieval", metric="ndcg@10", items=items, gains=Gains(better=6, same=0, worse=6, items=rows), neighbours=neighbours,
        cosines=CosineComparison(series=("positives", "random"), base=side, final=side),
    )  # fmt: skip
    return PerExampleComparison(checks={"retrieval": check})


@pytest.fixture
def make_run(tmp_path):
    """make_run(say, items): the folder of a run whose n-th text is `say(n)`."""

    def make(say=lambda n: f"text number {n}", items: int = 12, name: str = "run") -> Path:
        run = tmp_path / name
        write_verified(run / "results.json", run_result(say))
        write_verified(run / "per_example.json", per_example(say, items))
        texts, silver, mine, tuned = (
            run / f"{n}-{k * 16}" for n, k in zip(("data-texts", "silver", "mine", "finetune"), "abcd", strict=True)
        )
        texts.mkdir()
        # Data holds no lone surrogates: reading refuses them.
        lines = [json.dumps({"id": str(n), "text": say(40 + n).encode(errors="replace").decode()}) for n in range(5)]
        (texts / "texts.jsonl").write_text("\n".join(lines) + "\n")
        scores = {"gold": (3, 1, 1, 3), "silver": (0, 4, 4, 0), "candidates": (0, 9, 1, 0)}
        write_json(
            silver / "summary.json",
            SilverSummary(
                histogram=scores,
                pairs=8,
                agreement={"rows": 40, "spearman": 0.7, "spearman_interval": (0.5, 0.8)},
                units=77,
                labeller=say(46),
            ),
        )
        cosines = {"positives": (0, 0, 4, 4), "negatives": (0, 2, 6, 0), "random": (4, 4, 0, 0)}
        write_json(
            mine / "analysis.json",
            MiningReport(
                histograms=cosines,
                overlap_with_positives={"negatives": 0.5},
                cross_encoder_positive_rate={"negatives": 0.25, "candidates_scored": 0.4},
            ),
        )
        for table, third in (("hardest", "negative"), ("suspected", "suspect")):
            columns = ("anchor", "positive", third, "score", "positive_score", "found")
            three = [[say(50 + 3 * n + side).encode(errors="replace").decode() for side in range(3)] for n in range(3)]
            write_csv(mine / f"{table}.csv", columns, [[*row, "0.6", "0.5", "bm25@1"] for row in three])
        write_json(tuned / "training.json", TrainingCurve(losses=(3.0, 2.0, 1.0), held_out=((1, 3.1), (3, 1.5))))
        return run

    return make
