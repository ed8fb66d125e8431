"""What a run found out, as rows for tables and files: dev after every step, test at the end, one verdict."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from adapt import checks
from adapt.checks import Measurement
from adapt.checks.leakage import KINDS
from adapt.checks.statistics import LEVEL, Delta, holm
from adapt.pipeline.gate import Verdict, difference, value
from adapt.pipeline.measurements import deltas
from adapt.pipeline.plan import Planned
from adapt.recipe import Recipe

SMALLEST_COHORT = 5  # items of a topic below which its difference says nothing


def dev_rows(recipe: Recipe, models: Sequence[tuple[str, bool, Mapping[str, Measurement]]]) -> list[dict[str, Any]]:
    """A row for each (name, is it an encoder, measurements), with its change against the encoder that its step started from.

    The target's change after each step also carries `holm`: its p corrected for the number of steps.
    """
    rows: list[dict[str, Any]] = []
    before = models[0][2]
    for number, (name, encoder, measured) in enumerate(models):
        row: dict[str, Any] = {"after": name, "kind": "encoder" if encoder else "cross-encoder", "deltas": {}}
        row["metrics"] = {check: dict(m.metrics) for check, m in measured.items()}
        if number and encoder:
            found = deltas(before, measured, recipe.seed, lambda metric: is_shown(recipe, metric))
            row["deltas"] = {metric: as_row(delta) for metric, delta in found.items()}
        deferred = recipe.gate is not None and name in recipe.gate.later
        if name.startswith("gate-") or (encoder and (recipe.gate is None or deferred)):
            before = measured
        rows.append(row)
    target = recipe.gate.target if recipe.gate else None
    judged = [row["deltas"][target] for row in rows if target in row["deltas"] and not row["after"].startswith("gate-")]
    judged = [delta for delta in judged if delta["verdict"] != "unmeasured"]
    for delta, p in zip(judged, holm([delta["p"] for delta in judged]), strict=True):
        delta["holm"] = p
    return rows


def compared(
    base: Mapping[str, Measurement], final: Mapping[str, Measurement], roles: Mapping[str, str], seed: int = 0
) -> list[dict[str, Any]]:
    """A row for each metric of each check: both values and the paired difference with its interval."""
    return [
        {
            "metric": metric,
            "role": roles.get(metric.partition(".")[0], ""),
            "base": value(base, metric),
            "final": value(final, metric),
            **as_row(delta),
        }
        for metric, delta in deltas(base, final, seed).items()
    ]


def is_shown(recipe: Recipe, metric: str) -> bool:
    """Whether a metric is its check's main one, or one that the gate decides by."""
    check, _, name = metric.partition(".")
    gated = recipe.gate is not None and metric in recipe.gate.metrics()
    return gated or name == checks.find(recipe.checks[check].kind).main_metric


def tried(share: float, verdict: Verdict) -> dict[str, Any]:
    """What a gate found at one share of a step's change, as JSON holds it."""
    row = {"share": share, "word": verdict.word, "sentence": verdict.sentence, "passes": verdict.passes}
    p = verdict.delta.p if verdict.delta else None
    return {**row, "gained": verdict.gained, "lost": verdict.lost, "p": p}


def gate_row(line: Planned, share: float, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The row of a gate: what it tried, what it kept, and the verdict on what it kept (on the whole step where nothing was)."""
    chosen = next((row for row in found if row["share"] == share), found[0])
    action = {1.0: "kept", 0.0: "set back to the model before"}.get(share, f"blended: {share:g} of the change kept")
    return {
        "step": line.name, "stage": "gate", "key": line.key, "status": "cached" if line.cached else "done", "why": line.why,
        "seconds": 0.0, "counts": {}, "share": share, "tried": list(found), "word": chosen["word"],
        "sentence": chosen["sentence"], "action": action,
    }  # fmt: skip


def cohorts(recipe: Recipe, base: Mapping[str, Measurement], final: Mapping[str, Measurement]) -> list[dict[str, Any]]:
    """A row for each topic of each check's main metric: its items and the paired difference, p corrected for the topics (Holm).

    Topics of fewer than 5 items are left out. `verdict` is by the corrected p: one of many topics falls by chance.
    """
    rows = []
    for name, measured in final.items():
        metric = f"{name}.{checks.find(recipe.checks[name].kind).main_metric}"
        counts = Counter(topic for topic in measured.topics if topic)
        found = []
        for topic in sorted(topic for topic, count in counts.items() if count >= SMALLEST_COHORT):
            delta = difference(base, final, f"{metric}[{topic}]", recipe.seed)
            found.append({"metric": metric, "topic": topic, "items": counts[topic], **as_row(delta)})
        known = [row for row in found if row["verdict"] != "unmeasured"]
        rows += [{**row, "holm": row["p"]} for row in found if row["verdict"] == "unmeasured"]
        for row, p in zip(known, holm([row["p"] for row in known]), strict=True):
            word = "same" if p > 1 - LEVEL else "better" if row["delta"] > 0 else "worse"
            rows.append({**row, "holm": p, "verdict": word})
    return rows


def synthetic(recipe: Recipe) -> list[str]:
    """The checks whose questions were cut out of the texts themselves: folders whose `card.json` says so (`adapt hold-out`)."""
    found = []
    for name, spec in recipe.checks.items():
        cards = [Path(source) / "card.json" for source in (spec.dev, spec.test) if isinstance(source, str)]
        if any(json.loads(card.read_text(encoding="utf-8")).get("synthetic") for card in cards if card.is_file()):
            found.append(name)
    return found


def warnings(recipe: Recipe, test: Sequence[Mapping[str, Any]], topics: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader should know beyond the verdict: a gate that can't see forgetting, guards that fell, topics that got worse."""
    found = []
    gate = recipe.gate
    guards = {metric: recipe.checks[metric.partition(".")[0]].kind for metric in gate.guard} if gate else {}
    if gate is None:
        found.append("The recipe has no gate: a step that harms the model is kept.")
    elif not {"retrieval", "reranking"} & set(guards.values()):
        found.append(
            "The gate has no retrieval guard: a similarity score alone does not show what is forgotten. Add a retrieval check of "
            "another field with role guard."
        )
    elif not {"sts", "pairs"} & set(guards.values()):
        found.append("The gate has no similarity guard: add an sts check of general sentences with role guard.")
    found += [
        f"Check '{name}' is synthetic: its questions were cut out of the texts, no person asked them." for name in synthetic(recipe)
    ]
    by_metric = {row["metric"]: row for row in test}
    for metric, budget in gate.guard.items() if gate else ():
        if metric in by_metric and by_metric[metric]["delta"] < budget:
            lost = -100 * by_metric[metric]["delta"]
            found.append(f"On test data {metric} fell by {lost:.1f} points; {-100 * budget:.1f} are allowed.")
    for row in topics:
        if row["verdict"] == "worse":
            found.append(
                f"{row['metric']} fell on '{row['topic']}' by {-100 * row['delta']:.1f} points ({row['items']} items, "
                f"p {p_words(row['holm'])} after Holm's correction)."
            )
    return found


def verdict(recipe: Recipe, found: Mapping[str, Any]) -> dict[str, Any]:
    """One word and one sentence on a whole run, from what else is known of it (see `adapt.pipeline.runner.run`).

    worse: a gate set every step back, so that the base itself is handed over, or the target fell on test data. unmeasured: the
    target has no value for one of the two models, or none was measured.
    """
    gates = [step for step in found["steps"] if step["stage"] == "gate"]
    failed = [step for step in gates if step["tried"][0]["word"] in ("worse", "forgetting", "unmeasured")]
    removed, let_in = leaked(found["steps"]), leaked(found["steps"], ("allowed", "transductive"))
    what = f"{removed:,} rows that stand in dev or test data were kept out of training"
    if recipe.leaks == "allow":
        what = f"{let_in:,} training rows stand in dev or test data and were allowed"
    said = {"seeds": [recipe.seed], "leaks": removed, "allowed_leaks": let_in, "guards": {}, "p": None}
    if gates and failed and not found["changed"]:
        words = "; ".join(f"{step['step'].removeprefix('gate-')}: {step['tried'][0]['sentence']}" for step in failed)
        word = "unmeasured" if all(step["tried"][0]["word"] == "unmeasured" for step in failed) else "worse"
        return {"word": word, "sentence": f"Every step was set back, and the base itself is handed over. {words}.", **said}
    target = recipe.gate.target if recipe.gate else None
    targets = [r for r in found["test"] if r["role"] == "target" and is_shown(recipe, r["metric"])]
    row = next((r for r in found["test"] if r["metric"] == target), targets[0] if targets else None)
    if row is None:
        return {"word": "unmeasured", "sentence": "No target was measured on test data.", **said}
    guards = {r["metric"]: r["delta"] for r in found["test"] if r["role"] == "guard" and is_shown(recipe, r["metric"])}
    kept = ", ".join(f"{metric} {100 * delta:+.1f} points" for metric, delta in guards.items())
    if row["verdict"] == "unmeasured":
        return {"word": "unmeasured", "sentence": f"{undefined(row)} on test data; {what}.", **said, "guards": guards}
    sentence = (
        f"{row['metric']} on test data went from {100 * row['base']:.1f} to {100 * row['final']:.1f}: {change(row)} "
        f"(seed {recipe.seed}); {what}{'; guards: ' + kept if kept else ''}."
    )
    return {"word": row["verdict"], "sentence": sentence, **said, "guards": guards, "p": row["p"]}


def verdict_over_seeds(first: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The verdict of a run's own seed, with the spread of the others; the word holds only where every seed's gain has its sign."""
    said = dict(first["verdict"])
    row = next((r for r in rows if said["sentence"].startswith(f"{r['metric']} ")), None)
    if row is None:
        return said
    seeds, deltas = list(row["deltas"]), list(row["deltas"].values())
    agreed = all(delta > 0 for delta in deltas) or all(delta < 0 for delta in deltas)
    words = ", ".join(f"{100 * delta:+.1f}" for delta in deltas)
    said["sentence"] += f" Over {len(seeds)} seeds: {100 * row['mean']:+.1f} ± {100 * row['sd']:.1f} points ({words})."
    return {**said, "word": said["word"] if agreed else "same", "seeds": seeds}


def promotion(rows: Sequence[Mapping[str, Any]], main: Mapping[str, str]) -> dict[str, Any]:
    """Whether the second of two compared models may replace the first: every check's main metric is known, and none fell
    significantly.

    `rows` as `compared` gives them; `main`: {check: main metric}.
    """
    shown = [row for row in rows if main[row["metric"].partition(".")[0]] == row["metric"].partition(".")[2]]
    unknown = [undefined(row) for row in shown if row["verdict"] == "unmeasured"]
    missing = sorted(name for name in main if name not in {row["metric"].partition(".")[0] for row in shown})
    unknown += [f"{name}.{main[name]} has no items to compare" for name in missing] if not shown else []
    if unknown:
        return {"promote": False, "sentence": f"unmeasured: {'; '.join(unknown)}; do not promote"}
    fallen = [row for row in shown if row["verdict"] == "worse"]
    risen = [row for row in shown if row["verdict"] == "better"]
    words = "; ".join(f"{row['metric']} {change(row)}" for row in fallen or risen or shown)
    sentence = f"do not promote: {words}" if fallen else f"promote: {words if risen else 'nothing fell significantly; ' + words}"
    return {"promote": not fallen, "sentence": sentence}


def undefined(row: Mapping[str, Any]) -> str:
    """Which side of a compared metric is undefined, and why that can be."""
    sides = [name for name in ("base", "final") if row[name] != row[name]]
    both = {2: "both models", 1: "the first model" if sides == ["base"] else "the second model"}[len(sides)]
    return f"{row['metric']} is undefined for {both}: gold scores or the model's own do not vary"


def change(row: Mapping[str, Any]) -> str:
    """A difference in words: points, interval, p."""
    interval = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
    return f"{100 * row['delta']:+.1f} points, 95 % interval {interval}, p {p_words(row['p'])}"


def p_words(p: float) -> str:
    """A p-value as it is printed."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def leaks(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each step that met rows of dev or test data: how many of each kind, and whether they were let in."""
    rows = []
    for step in steps:
        for word, mode in (("held_out_", "left out"), ("allowed_", "allowed"), ("transductive_", "transductive")):
            counts = {
                n.removeprefix(word): c
                for n, c in step["counts"].items()
                if n.startswith(word) and n.removeprefix(word) in KINDS and c
            }
            if counts:
                rows.append({"step": step["step"], "mode": mode, **counts})
    return rows


def leaked(steps: Sequence[Mapping[str, Any]], modes: Sequence[str] = ("left out",)) -> int:
    """Rows of dev or test data that were left out, or came to one of other `modes`."""
    return sum(c for row in leaks(steps) if row["mode"] in modes for n, c in row.items() if n not in ("step", "mode"))


def spread(tests: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """A row for each test metric: its change with every seed, the mean and the standard deviation (n - 1)."""
    rows = []
    for first in next(iter(tests.values())):
        deltas = {seed: next(r["delta"] for r in found if r["metric"] == first["metric"]) for seed, found in tests.items()}
        values = list(deltas.values())
        sd = stdev(values) if len(values) > 1 else 0.0
        rows.append({"metric": first["metric"], "role": first["role"], "deltas": deltas, "mean": mean(values), "sd": sd})
    return rows


def as_row(delta: Delta) -> dict[str, Any]:
    """A difference as JSON holds it."""
    return {"delta": delta.value, "low": delta.low, "high": delta.high, "p": delta.p, "verdict": delta.verdict()}
