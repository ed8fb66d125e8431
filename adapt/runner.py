"""Carry out a recipe: do what is not done yet, check after every encoder, let the gate decide, compare at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adapt import checks, gate, models, records
from adapt import plan as planning
from adapt.checks import Measurement, leakage, speed
from adapt.checks.statistics import Delta
from adapt.errors import UserError, WorkFailed
from adapt.job import Event, Job, silent
from adapt.measure import Measures, OnDisk, deltas, scores_pairs
from adapt.plan import Plan, Planned
from adapt.recipe import Recipe
from adapt.records import CrossEncoder, Encoder
from adapt.store import Store, write_json

FILES = {"texts": "texts.jsonl", "pairs": "pairs.jsonl", "scored": "scored.csv", "triplets": "triplets.jsonl"}
Tell = Callable[[Event], None]


def run(recipe: Recipe, out: Path, *, until: str | None = None, fresh: Sequence[str] = (), tell: Tell = silent) -> dict[str, Any]:
    """Carry out `recipe` in the folder `out` and return what `results.json` holds.

    Finished steps are not done again. Raises UserError for wrong input, WorkFailed when training diverges or a gate stops.
    """
    store = Store(out)
    with store.locked():
        began = time.monotonic()
        plan = planning.make(recipe, store, until, fresh, download=True)
        tell(Event("plan", data={"plan": plan}))
        return _Running(recipe, store, plan, tell).go(began)


class _Running:
    """One run: what has been made so far, and what was measured of it."""

    def __init__(self, recipe: Recipe, store: Store, plan: Plan, tell: Tell):
        self.recipe, self.store, self.plan, self.tell = recipe, store, plan, tell
        self.job = Job(recipe.seed, store.root, store.root, tell, vectors=store.root / "vectors")
        self.measures = Measures(self.job, store.root / "measurements")
        self.made: dict[str, Any] = {plan.base: Encoder(plan.folder)}
        self.digests = planning.check_digests(recipe)
        self.measured: dict[str, dict[str, Measurement]] = {}
        self.steps: list[dict[str, Any]] = []
        self.stopped: str | None = None

    def go(self, began: float) -> dict[str, Any]:
        if any(not line.cached for line in self.plan.lines):
            models.verify(self.plan.folder)
        self._check("base", self.plan.base)
        final = self.plan.base
        for line in self.plan.lines:
            self.tell(Event("step", line.name, {"cached": line.cached, "why": line.why}))
            if line.before is not None:
                self._gate(line)
            else:
                self._make(line)
            if line.kind == "encoder":
                final = line.key
            if self.stopped:
                break
        results = self._results(final, began)
        self._hand_over(self.made[final].path, results)
        write_json(self.store.root / "results.json", results)
        self.tell(Event("done", data={"results": results}))
        if self.stopped:
            raise WorkFailed(self.stopped)
        return results

    # ------------------------------------------------------------------------------------------ making

    def _make(self, line: Planned) -> None:
        begun = time.monotonic()
        receipt = self.store.make(line.name, line.entry, lambda out, work: self._work(line, out, work), line.again)
        folder = self.store.folder(line.name, line.entry)
        if line.kind in ("encoder", "cross-encoder"):
            self.made[line.key] = (Encoder if line.kind == "encoder" else CrossEncoder)(folder / "model")
        else:
            self.made[line.key] = folder / FILES[line.kind]
        if line.kind in ("encoder", "cross-encoder"):
            self._check(line.name, line.key)
        self.steps.append(
            {
                "step": line.name,
                "stage": line.step.stage.word() if line.step else "data",
                "key": line.key,
                "status": "cached" if line.cached else "done",
                "why": line.why,
                "seconds": receipt["seconds"],
                "counts": receipt["counts"],
                "wall": time.monotonic() - begun,
            }
        )

    def _work(self, line: Planned, out: Path, work: Path) -> Mapping[str, Any]:
        begun = time.monotonic()
        job = Job(self.recipe.seed, out, work, self.tell, vectors=self.job.vectors)
        if line.step is None:
            made: Any = self._data(line.entry["data"], job)
        else:
            kinds = {want.name: want.kinds for want in line.step.stage.inputs()}
            inputs = {name: self._input(keys, kinds[name]) for name, keys in (line.inputs or {}).items()}
            made = line.step.stage.run(**inputs, job=job)
        if line.kind in FILES:
            records.write(made, out / FILES[line.kind])
            job.counts["rows"] = len(made)
        return {"seconds": time.monotonic() - begun, "peak_memory_mb": _peak_memory(), "counts": job.counts}

    def _input(self, keys: Sequence[str], kinds: tuple[str, ...]) -> Any:
        """An input as its stage takes it: read back from the store, several joined."""
        found = [self.made[key] for key in keys]
        if not isinstance(found[0], Path):
            return found[0]
        kind = next(k for k, file in FILES.items() if file == found[0].name)
        return [record for path in found for record in records.read(path, kind)]

    def _data(self, name: str, job: Job) -> list[Any]:
        """One of the recipe's data: read, limited, without repeats and without what the checks hold out."""
        import numpy as np

        found = records.read(self.recipe.data[name], planning.DATA[name])
        read = len(found)
        found = list({leakage.sides(record): record for record in found}.values())
        repeats = read - len(found)
        if self.recipe.limit and len(found) > self.recipe.limit:
            drawn = np.random.default_rng(self.recipe.seed).permutation(len(found))[: self.recipe.limit]
            found = [found[i] for i in sorted(drawn)]
        clean = leakage.without_held_out(found, self._held_out())
        job.counts.update(read=read, repeats=repeats, held_out_exact=clean.exact, held_out_nearly=clean.nearly)
        removed = clean.exact + clean.nearly
        job.note(
            f"{name}: {read:,} rows read, {len(clean.kept):,} kept; {repeats:,} repeats, {removed:,} too like dev or test data"
        )
        if not clean.kept:
            raise UserError(f"{self.recipe.data[name]}: every row stands in dev or test data too; give other rows to train on")
        return clean.kept

    def _held_out(self) -> list[str]:
        found: dict[str, None] = {}
        for spec in self.recipe.checks.values():
            for split in ("dev", "test"):
                if (source := getattr(spec, split)) is not None:
                    found.update(dict.fromkeys(checks.find(spec.kind).held_out(self.measures.read(spec.kind, source, split))))
        return list(found)

    # ------------------------------------------------------------------------------------------ checking

    def _measure(self, key: str, split: str, only: Callable[[str], bool] = lambda name: True) -> dict[str, Measurement]:
        model = self.made[key]
        return {
            name: self.measures.of(model, spec.kind, getattr(spec, split), split, self.digests[name][split])
            for name, spec in self.recipe.checks.items()
            if getattr(spec, split) is not None and only(name) and (isinstance(model, Encoder) or scores_pairs(spec.kind))
        }

    def _check(self, name: str, key: str) -> None:
        """Measure a model on dev data and say how it did."""
        if key in self.measured:
            return
        # A cross-encoder is judged on the target's own pairs: guards watch the encoder that is handed over.
        labeller = isinstance(self.made[key], CrossEncoder)
        found = self._measure(key, "dev", lambda n: not labeller or self.recipe.checks[n].role == "target")
        self.measured[key] = found
        self.tell(Event("check", name, {"measured": found}))

    def _gate(self, line: Planned) -> None:
        """Let the gate choose among the step's model, blends, and the model before; measurements are cached, verdicts are not."""
        from functools import partial

        spec = self.recipe.gate
        assert spec is not None and line.inputs is not None and line.before is not None
        after, before = line.inputs["model"][0], line.before
        folder = self.store.folder(line.name, line.entry)

        def at(share: float, where: Path) -> gate.Verdict:
            measured = self.measured[after]
            if share < 1:
                from adapt.engine.blend import blend

                blend(self.made[before].path, self.made[after].path, share, where / f"blend-{share:g}")
                self.made["blend"] = Encoder(where / f"blend-{share:g}")
                measured = self._measure("blend", "dev")
                self.tell(Event("check", f"{line.name} at {share:g}", {"measured": measured}))
            return gate.judge(spec, self.measured[self.plan.base], self.measured[before], measured, self.recipe.seed)

        def decide(out: Path, work: Path) -> Mapping[str, Any]:
            share, tried = gate.choose(spec, partial(at, where=work))
            if 0 < share < 1:
                shutil.move(work / f"blend-{share:g}", out / "model")
            words = [{"share": s, "word": v.word, "sentence": v.sentence, "passes": v.passes} for s, v in tried]
            return {"share": share, "tried": words, "seconds": 0.0, "counts": {}}

        receipt = self.store.make(line.name, line.entry, decide, line.again)
        share = receipt["share"]
        self.made[line.key] = Encoder(folder / "model") if 0 < share < 1 else self.made[after] if share == 1 else self.made[before]
        self.measured[line.key] = (
            self._measure(line.key, "dev") if 0 < share < 1 else self.measured[after] if share == 1 else self.measured[before]
        )
        verdict = receipt["tried"][-1] if share else receipt["tried"][0]
        action = {1.0: "kept", 0.0: "set back to the model before"}.get(share, f"blended: {share:g} of the change kept")
        self.steps.append(
            {
                "step": line.name, "stage": "gate", "key": line.key, "status": "cached" if line.cached else "done",
                "why": line.why, "seconds": 0.0, "counts": {}, "share": share, "tried": receipt["tried"],
                "word": verdict["word"], "sentence": verdict["sentence"], "action": action,
            }
        )  # fmt: skip
        self.tell(Event("verdict", line.name, {"word": verdict["word"], "sentence": verdict["sentence"], "action": action}))
        if spec.action == "stop" and not verdict["passes"]:
            self.stopped = f"{line.name}: {verdict['word']}: {verdict['sentence']}"

    # ------------------------------------------------------------------------------------------ the end

    def _results(self, final: str, began: float) -> dict[str, Any]:
        """Everything that is known at the end; test data is touched here and nowhere else."""
        base = self.plan.base
        tests = {base: self._measure(base, "test"), final: self._measure(final, "test")}
        order = [("base", base), *((line.name, line.key) for line in self.plan.lines if line.key in self.measured)]
        dev, before = [], base
        for name, key in order:
            row = {"after": name, "metrics": {c: dict(m.metrics) for c, m in self.measured[key].items()}, "deltas": {}}
            if key != base and isinstance(self.made[key], Encoder):
                row["deltas"] = {
                    metric: _delta(d)
                    for metric, d in deltas(self.measured[before], self.measured[key], self.recipe.seed, self._shown).items()
                }
            if name.startswith("gate-") or (self.recipe.gate is None and isinstance(self.made[key], Encoder)):
                before = key
            row["kind"] = "encoder" if isinstance(self.made[key], Encoder) else "cross-encoder"
            dev.append(row)
        test = [
            {
                "metric": metric,
                "role": self.recipe.checks[metric.partition(".")[0]].role,
                "base": _value(tests[base], metric),
                "final": _value(tests[final], metric),
                **_delta(delta),
            }
            for metric, delta in deltas(tests[base], tests[final], self.recipe.seed).items()
        ]
        return {
            "recipe": self.recipe.name,
            "description": self.recipe.description,
            "model": self.recipe.model,
            "seed": self.recipe.seed,
            "final": final,
            "steps": self.steps,
            "dev": dev,
            "test": test,
            "speed": self._speed(final),
            "verdict": self._verdict(test),
            "roles": {name: spec.role for name, spec in self.recipe.checks.items()},
            "main": {name: checks.find(spec.kind).main for name, spec in self.recipe.checks.items()},
            "seconds": time.monotonic() - began,
            "lock": planning.lock(self.recipe, self.plan),
        }

    def _shown(self, metric: str) -> bool:
        check, _, name = metric.partition(".")
        gated = self.recipe.gate and metric in (self.recipe.gate.target, *self.recipe.gate.guard)
        return bool(gated) or name == checks.find(self.recipe.checks[check].kind).main

    def _verdict(self, test: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        target = self.recipe.gate.target if self.recipe.gate else None
        row = next((r for r in test if r["metric"] == target), None) or next(
            (r for r in test if r["role"] == "target" and self._shown(r["metric"])), None
        )
        if row is None:
            return {"word": "unmeasured", "sentence": "The recipe has no target check with test data."}
        guards = [r for r in test if r["role"] == "guard" and self._shown(r["metric"])]
        losses = [f"{r['metric']} {100 * r['delta']:+.1f} points" for r in guards]
        sentence = (
            f"{row['metric']} on test data went from {100 * row['base']:.1f} to {100 * row['final']:.1f}: "
            f"{100 * row['delta']:+.1f} points, 95 % interval {100 * row['low']:+.1f} to {100 * row['high']:+.1f}"
            + (f"; guards: {', '.join(losses)}" if losses else "")
            + "."
        )
        return {"word": row["verdict"], "sentence": sentence}

    def _speed(self, final: str) -> dict[str, float]:
        """Encoding speed of the model handed over, on the recipe's own texts; measured once for each model."""
        import json

        file = self.store.root / "measurements" / f"speed-{final}.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
        texts = self._sample()
        model = OnDisk(self.made[final].path, Job(self.recipe.seed))
        found = speed.measure(model.embed, [" ".join(t.split()[:12]) for t in texts[:16]], texts)
        write_json(file, found)
        return found

    def _sample(self, count: int = 64) -> list[str]:
        for line in self.plan.lines:
            if "data" in line.entry and line.key in self.made:
                found = [side for r in records.read(self.made[line.key], line.kind) for side in leakage.sides(r)]
                return list(dict.fromkeys(found))[:count]
        return []

    def _hand_over(self, folder: Path, results: Mapping[str, Any]) -> None:
        """Copy the final model to `model/`, with its card and the lock; by one rename each."""
        import yaml

        from adapt.report import model_card

        target, aside = self.store.root / "model", self.store.root / ".model.making"
        shutil.rmtree(aside, ignore_errors=True)
        if not target.is_dir() or models.weights_digest(target) != models.weights_digest(folder):
            shutil.copytree(folder, aside, ignore=shutil.ignore_patterns("README.md", "__pycache__", ".gitattributes", "*.bin"))
            (aside / "README.md").write_text(model_card(results), encoding="utf-8")
            shutil.rmtree(target, ignore_errors=True)
            os.replace(aside, target)
        text = yaml.safe_dump(results["lock"], sort_keys=False, allow_unicode=True)
        (self.store.root / "recipe.lock.yaml").write_text(text, encoding="utf-8")


def _delta(delta: Delta) -> dict[str, Any]:
    return {"delta": delta.value, "low": delta.low, "high": delta.high, "p": delta.p, "verdict": delta.verdict()}


def _value(measured: Mapping[str, Measurement], metric: str) -> float:
    check, _, name = metric.partition(".")
    return measured[check].metrics[name]


def _peak_memory() -> float:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)
