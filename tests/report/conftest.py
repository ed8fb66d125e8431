"""A run folder written by hand, with every piece that a report shows; what its texts say is up to the test."""

import csv
import json
from pathlib import Path

import pytest

DELTA = {"delta": 0.085, "low": 0.062, "high": 0.109, "p": 0.0002, "verdict": "better"}
LOST = {"delta": -0.02, "low": -0.03, "high": -0.01, "p": 0.01, "verdict": "worse"}


def write_json(file: Path, value) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))  # with \u escapes, so that lone surrogates can be written


def write_csv(file: Path, columns, rows) -> None:
    with open(file, "w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([columns, *rows])


def done(name, stage, key, seconds, counts) -> dict:
    return {"step": name, "stage": stage, "key": 16 * key, "status": "done", "seconds": seconds, "counts": counts}


def results(say) -> dict:
    """What `results.json` holds, with everything that a run may add."""
    values = {"base": (0.5, 0.7), "finetune": (0.585, 0.66), "gate-finetune": (0.56, 0.68)}
    changes = {
        "base": {}, "finetune": {"retrieval.ndcg@10": {**DELTA, "holm": 0.0006}},
        "gate-finetune": {"retrieval.ndcg@10": {**DELTA, "delta": 0.06}, "sts.spearman": LOST},
    }  # fmt: skip
    dev = [
        {
            "after": name,
            "kind": "encoder",
            "deltas": changes[name],
            "metrics": {"retrieval": {"ndcg@10": own}, "sts": {"spearman": sts}},
        }
        for name, (own, sts) in values.items()
    ]
    dev.append({"after": "labeller", "kind": "cross-encoder", "deltas": {}, "metrics": {"sts": {"spearman": 0.8}}})
    counts = {"read": 20, "repeats": 1, "held_out_exact": 2, "held_out_near_duplicate": 3, "rows": 14}
    tried = [{"share": s, "word": "forgetting", "sentence": say(1), "passes": False} for s in (1.0, 0.5)]
    return {
        "recipe": say(2), "description": say(3), "model": "all-MiniLM-L6-v2", "seed": 13, "final": "0" * 16,
        "steps": [
            done("data-texts", "data", "a", 0.5, counts),
            done("silver", "silver", "b", 30.0, {"candidates": 40, "rows": 9}),
            done("mine", "mine", "c", 7.0, {"pairs": 9, "suspected_positives": 2, "rows": 9}),
            done("finetune", "finetune", "d", 60.0, {"examples": 9, "rows": 18, "note": say(4)}),
            {**done("gate-finetune", "gate", "e", 0.0, {}), "share": 0.5, "tried": tried, "word": "better", "sentence": say(5),
             "action": "blended: 0.5 of the change kept"},
        ],
        "dev": dev,
        "test": [
            {"metric": "retrieval.ndcg@10", "role": "target", "base": 0.5, "final": 0.585, **DELTA},
            {"metric": "retrieval.map", "role": "target", "base": 0.4, "final": 0.45, **DELTA},
            {"metric": "sts.spearman", "role": "guard", "base": 0.7, "final": 0.68, **LOST},
        ],
        "speed": {"latency_ms_p50": 8.0, "texts_per_second": 90.5, "device": say(6)},
        "verdict": {"word": "better", "sentence": say(7), "p": 0.0002, "seeds": [13, 14], "leaks": 5, "allowed_leaks": 0},
        "roles": {"retrieval": "target", "sts": "guard"}, "main": {"retrieval": "ndcg@10", "sts": "spearman"}, "seconds": 372.0,
        "lock": {"name": say(2), "model": "all-MiniLM-L6-v2", "seed": 13, "data": {"texts": {"rows": 14, "key": "a" * 16}},
                 "steps": [{"id": "finetune", "stage": "finetune", "key": "d" * 16, "settings": {"loss": say(8)}}],
                 "gate": {"target": "retrieval.ndcg@10", "guard": {"sts.spearman": -0.01}}, "versions": {"torch": "2.13"}},
        "sweep": [{"settings": {"finetune.loss": say(9)}, "metric": "retrieval.ndcg@10", "value": 0.6, "chosen": True, **DELTA}],
        "cohorts": [{"metric": "retrieval.ndcg@10", "topic": say(n), "items": 30, **row} for n, row in ((10, DELTA), (11, LOST))],
        "smallest_gain": {"retrieval.ndcg@10": 0.031},
        "leaks": [{"step": "data-texts", "mode": say(12), "exact": 2, "near_duplicate": 3}],
        "health": {"base": {"effective_rank": 80.0, "cosines": {"random": 0.1}}, "finetune": {"effective_rank": 95.5}},
        "warnings": [say(13)], "synthetic": ["sts"],
        "branches": [{"step": "silver", "after": "finetune", "word": "same", "p": 0.4, "sentence": say(14), "action": "left out"}],
    }  # fmt: skip


def evidence(say, items: int = 12) -> dict:
    """What `evidence.json` holds: gains falling evenly from +1 to -1."""
    gains = [1 - 2 * i / (items - 1) for i in range(items)]
    rows = [{"texts": [say(20 + i % 9)], "before": 0.5, "after": 0.5, "gain": gain} for i, gain in enumerate(gains)]
    hits = [{"id": say(30), "text": say(31 + i), "right": i == 1, "cosine": 0.9 - 0.1 * i} for i in range(5)]
    right = [{"id": "p", "text": say(37), "base": 7, "final": None}]
    changes = ["gained"] * 4 + ["unchanged"] * 3 + ["lost"] * 3
    one = {"query": say(38), "before": 0.1, "after": 0.9, "base": hits, "final": hits, "right": right}
    counts = {"positives": [0, 2, 6, 2], "random": [5, 5, 0, 0]}
    side = {"counts": counts, "means": {"positives": 0.5, "random": 0.0}, "overlap": {"random": 0.2}}
    check = {
        "kind": "retrieval", "metric": "ndcg@10", "items": items,
        "gains": {"counts": {"better": 6, "same": 0, "worse": 6}, "rows": rows},
        "neighbours": [{**one, "change": change} for change in changes],
        "cosines": {"from": -1.0, "to": 1.0, "bins": 4, "series": ["positives", "random"], "before": side, "after": side},
    }  # fmt: skip
    return {"checks": {"retrieval": check}}


@pytest.fixture
def make_run(tmp_path):
    """make_run(say, items): the folder of a run whose n-th text is `say(n)`."""

    def make(say=lambda n: f"text number {n}", items: int = 12, name: str = "run") -> Path:
        run = tmp_path / name
        write_json(run / "results.json", results(say))
        write_json(run / "evidence.json", evidence(say, items))
        spread = {"metric": "retrieval.ndcg@10", "role": "target", "deltas": {"13": 0.085, "14": 0.075}, "mean": 0.08, "sd": 0.007}
        write_json(run / "seeds.json", [spread])
        texts, silver, mine, tuned = (
            run / f"{n}-{k * 16}" for n, k in zip(("data-texts", "silver", "mine", "finetune"), "abcd", strict=True)
        )
        for folder in (texts, silver, mine, tuned):
            write_json(folder / "receipt.json", {"peak_memory_mb": 1024.5})
        # What is read and written as data holds no lone surrogates: reading refuses them.
        lines = [json.dumps({"id": str(n), "text": say(40 + n).encode(errors="replace").decode()}) for n in range(5)]
        (texts / "texts.jsonl").write_text("\n".join(lines) + "\n")
        histograms = {"gold": [3, 1, 1, 3], "silver": [0, 4, 4, 0], "candidates": [0, 9, 1, 0]}
        write_json(silver / "summary.json", {"pairs": 8, "histogram": histograms, "agreement": {"spearman": 0.7, "by": say(45)}})
        series = {"positives": [0, 0, 4, 4], "negatives": [0, 2, 6, 0], "random": [4, 4, 0, 0]}
        write_json(mine / "analysis.json", {"histograms": series, "overlap_with_positives": {"negatives": 0.5}})
        for table, third in (("hardest", "negative"), ("suspected", "suspect")):
            columns = ("anchor", "positive", third, "score", "positive_score", "found")
            three = [[say(50 + 3 * n + side).encode(errors="replace").decode() for side in range(3)] for n in range(3)]
            write_csv(mine / f"{table}.csv", columns, [[*row, "0.6", "0.5", "bm25@1"] for row in three])
        write_json(tuned / "training.json", {"losses": [3.0, 2.0, 1.0], "held_out": [[1, 3.1], [3, 1.5]]})
        return run

    return make
