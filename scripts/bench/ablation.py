#!/usr/bin/env python3
"""Ablation: every arm of ablation.yaml against the base, on test data, over several seeds.

scripts/bench/ablation.py DATA OUT [--only medquad|ehr-rel] [--seeds 13,14,15]

DATA is a folder with `medquad/`, `trials/`, `pubmedqa/`, `stsb/` and `ehr-rel/`. Texts are cut to 48 words and 1,000 question
pairs are trained on, so that an arm fits in minutes on a core. Writes OUT/<study>.json and OUT/<study>.md. Killed, it goes on
where it was; run it once for each core with other seeds, and once more for the tables.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import yaml

import adapt
from adapt.checks import Measurement
from adapt.checks.statistics import compare
from adapt.files import read, rows
from adapt.job import Job
from adapt.models import lookup
from adapt.pipeline import plan
from adapt.pipeline.measurements import Measurements
from adapt.records import Encoder

ARMS = Path(__file__).with_suffix(".yaml")
WORDS, PAIRS, OTHERS = 48, 1_000, 700  # words of a text, training pairs, passages searched beside the judged ones
GOLD = 1_200  # rated pairs to train on


def cut(text: str) -> str:
    return " ".join(text.split()[:WORDS])


def write_jsonl(path: Path, table: list[dict]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table), encoding="utf-8")


def write_csv(path: Path, table: list[tuple]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("sentence1", "sentence2", "score"), *table])


def beir(folder: Path, corpus: dict[str, str], queries: dict[str, str], relevant: dict[str, str]) -> None:
    """A BEIR folder with one relevant passage for each query."""
    write_jsonl(folder / "corpus.jsonl", [{"_id": name, "title": "", "text": cut(text)} for name, text in corpus.items()])
    write_jsonl(folder / "queries.jsonl", [{"_id": name, "text": text} for name, text in queries.items()])
    (folder / "qrels").mkdir(exist_ok=True)
    judged = "".join(f"{query}\t{passage}\t1\n" for query, passage in relevant.items())
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged)


def prepare_medquad(data: Path, folder: Path) -> None:
    """Training pairs and raw text of MedQuAD's train split, its test questions, PubMedQA, STSb dev."""
    rng = np.random.default_rng(0)
    train = [row for _, row in rows(data / "medquad" / "train.jsonl.gz")]
    chosen = [train[i] for i in rng.permutation(len(train))[:PAIRS]]
    write_jsonl(
        folder / "pairs.jsonl", [{"anchor": r["anchor"], "positive": cut(r["positive"]), "group": r["focus"]} for r in chosen]
    )
    trials = [row["text"] for _, row in rows(data / "trials" / "abstracts.jsonl.gz")]
    drawn = [trials[i] for i in rng.permutation(len(trials))[:PAIRS]]
    answers = [train[i]["positive"] for i in rng.permutation(len(train))[:PAIRS]]
    write_jsonl(folder / "texts.jsonl", [{"text": " ".join(t.split()[:120])} for t in drawn] + [{"text": cut(t)} for t in answers])
    # A cross-encoder that scores answers: a question's own answer against that of another.
    others = rng.permutation(PAIRS)
    judged = [(r["anchor"], cut(r["positive"]), 1) for r in chosen[:500]]
    judged += [
        (r["anchor"], cut(chosen[j]["positive"]), 0) for r, j in zip(chosen[:500], others, strict=False) if chosen[j] is not r
    ]
    write_csv(folder / "judged.csv", judged)
    corpus = {row["_id"]: row["text"] for _, row in rows(data / "medquad" / "corpus.jsonl.gz")}
    queries = {row["_id"]: row["text"] for _, row in rows(data / "medquad" / "queries.test.jsonl.gz")}
    relevant = {r["query-id"]: r["corpus-id"] for _, r in rows(data / "medquad" / "qrels.test.tsv")}
    needed = set(relevant.values())
    other_passages = [name for name in corpus if name not in needed]
    kept = needed | {other_passages[i] for i in rng.permutation(len(other_passages))[:OTHERS]}
    beir(folder / "retrieval", {name: text for name, text in corpus.items() if name in kept}, queries, relevant)
    pubmed = [row for _, row in rows(data / "pubmedqa" / "questions.jsonl.gz")]
    names = {r["id"]: r["id"] for r in pubmed}
    beir(folder / "pubmedqa", {r["id"]: r["abstract"] for r in pubmed}, {r["id"] + "q": r["question"] for r in pubmed},
         {f"{name}q": name for name in names})  # fmt: skip
    (folder / "stsb-dev.csv").write_bytes((data / "stsb" / "dev.csv").read_bytes())


def prepare_ehr_rel(data: Path, folder: Path) -> None:
    """Doctors' ratings of term pairs; the terms of the training pairs are the raw text."""
    gold = read(data / "ehr-rel" / "train.csv", "scored")
    drawn = [gold[i] for i in np.random.default_rng(0).permutation(len(gold))[:GOLD]]
    write_csv(folder / "gold.csv", [(p.sentence1, p.sentence2, p.score) for p in drawn])
    write_jsonl(folder / "terms.jsonl", [{"text": t} for t in dict.fromkeys(t for p in gold for t in (p.sentence1, p.sentence2))])
    for source, target in (
        ("ehr-rel/train.csv", "gold.csv"),
        ("ehr-rel/test.csv", "ehr-test.csv"),
        ("stsb/dev.csv", "stsb-dev.csv"),
    ):
        (folder / target).write_bytes((data / source).read_bytes())


PREPARE = {"medquad": prepare_medquad, "ehr-rel": prepare_ehr_rel}


def run_arm(study: str, arm: str | None, seed: int, folder: Path) -> dict[str, Measurement]:
    """Run an arm (None: the base alone) and return its measurements on test data."""
    spec = yaml.safe_load(ARMS.read_text())[study]
    stages = spec["arms"][arm] if arm else [{"blend": {"share": 0.0}}]
    file = folder / f"recipe-{seed}-{list(spec['arms']).index(arm) if arm else 'base'}.yaml"
    file.write_text(yaml.safe_dump({"name": arm or "base", "seed": seed, **spec["base"], "stages": stages}, sort_keys=False))
    recipe = adapt.load_recipe(str(file))
    out = folder / f"seed-{seed}"
    began = time.monotonic()
    result = adapt.run(recipe, out)
    print(f"{study} / {arm or 'base'} / seed {seed}: {time.monotonic() - began:.0f} s", flush=True)
    measures = Measurements(Job(seed, embedding_cache=out / "vectors"), out / "measurements")
    digests = plan.check_digests(recipe)
    model = Encoder(lookup.find_model(spec["base"]["model"]) if arm is None else out / "model")
    assert result.test
    return {
        name: measures.measure(model, check.kind, check.test, "test", digests[name]["test"])
        for name, check in recipe.checks.items()
        if check.test is not None
    }


def mean_of(found: list[Measurement]) -> Measurement:
    """The value of each example averaged over seeds, so that the interval is one of the method and not of one seed."""
    metrics = {name: float(np.mean([m.metrics[name] for m in found])) for name in found[0].metrics}
    items = {name: np.mean([m.items[name] for m in found], axis=0).tolist() for name in found[0].items}
    return Measurement(metrics, items, found[0].rows)


def table(study: str, base: dict[str, Measurement], arms: dict[str, dict[int, dict[str, Measurement]]]) -> tuple[str, dict]:
    """Markdown and JSON: each arm's main metrics, their change against the base, the interval, the seeds' spread."""
    main = {name: "ndcg@10" if "ndcg@10" in m.metrics else "spearman" for name, m in base.items()}
    head = " | ".join(f"{name} {metric}" for name, metric in main.items())
    lines = [f"| arm | {head} |", "|---" * (len(main) + 1) + "|"]
    lines.append("| base | " + " | ".join(f"{base[name].metrics[metric]:.4f}" for name, metric in main.items()) + " |")
    kept: dict = {"base": {name: base[name].metrics[metric] for name, metric in main.items()}, "arms": {}}
    for arm, by_seed in arms.items():
        cells, kept["arms"][arm] = [], {}
        for name, metric in main.items():
            found = [by_seed[seed][name] for seed in by_seed]
            changes = [m.metrics[metric] - base[name].metrics[metric] for m in found]
            delta = compare(metric, base[name], mean_of(found))
            cells.append(
                f"{np.mean([m.metrics[metric] for m in found]):.4f} ({100 * np.mean(changes):+.1f}; "
                f"{100 * delta.low:+.1f} to {100 * delta.high:+.1f})"
            )
            kept["arms"][arm][name] = {"changes": dict(zip(by_seed, changes, strict=True)), "low": delta.low, "high": delta.high}
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n", kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=tuple(PREPARE))
    parser.add_argument("--arms", help="only arms whose name contains this")
    parser.add_argument("--seeds", default="13,14,15")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    for study in [given.only] if given.only else list(PREPARE):
        folder = given.out / study
        if not (folder / "ready").exists():
            folder.mkdir(parents=True, exist_ok=True)
            PREPARE[study](given.data, folder)
            (folder / "ready").touch()
        base = run_arm(study, None, seeds[0], folder)
        names = [name for name in yaml.safe_load(ARMS.read_text())[study]["arms"] if not given.arms or given.arms in name]
        found: dict[str, dict[int, dict[str, Measurement]]] = {name: {} for name in names}
        for seed in seeds:
            for name in names:
                found[name][seed] = run_arm(study, name, seed, folder)
        text, kept = table(study, base, found)
        (given.out / f"{study}.md").write_text(text, encoding="utf-8")
        (given.out / f"{study}.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
