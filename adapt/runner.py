"""Carry out a recipe: do what is not done yet, check after every encoder, let the gate decide, compare at the end."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adapt import checks, crew, files, gate, models, results
from adapt import plan as planning
from adapt.checks import Measurement, leakage, speed
from adapt.checks.statistics import compare
from adapt.errors import UserError, WorkFailed
from adapt.job import Event, Job, silent
from adapt.measure import Measures, OnDisk, scores_pairs
from adapt.plan import Plan, Planned
from adapt.recipe import Recipe, variants
from adapt.records import CrossEncoder, Encoder, Joined
from adapt.store import Store, write_json

FILES = {
    "texts": "texts.jsonl", "pairs": "pairs.jsonl", "scored": "scored.csv", "triplets": "triplets.jsonl",
    "labelled": "labelled.csv", "parallel": "parallel.jsonl",
}  # fmt: skip
Tell = Callable[[Event], None]


def run(recipe: Recipe, out: Path, *, until: str | None = None, fresh: Sequence[str] = (), tell: Tell = silent) -> dict[str, Any]:
    """Carry out `recipe` in the folder `out` and return what `results.json` holds.

    Finished steps are not done again. Raises UserError for wrong input, WorkFailed when training diverges or a gate stops.
    """
    store = Store(out, crew.of_this_process())
    with store.locked():
        began = time.monotonic()
        recipe, table = _sweep(recipe, store, tell) if recipe.sweep and until is None else (variants(recipe)[0][1], [])
        plan = planning.make(recipe, store, until, fresh, download=True)
        store.crew.wait()
        tell(Event("plan", data={"plan": plan}))
        return _Running(recipe, store, plan, tell, until).go(began, table)


def run_seeds(recipe: Recipe, out: Path, count: int, tell: Tell = silent) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Carry out a recipe with `count` seeds, the recipe's own and those after it: (its results, rows of the spread).

    The recipe's own seed has its place in `out`, the others in `out/seeds/<seed>`; the rows are kept in `out/seeds.json`.
    """
    found = {}
    for seed in range(recipe.seed, recipe.seed + count):
        found[seed] = run(replace(recipe, seed=seed), out if seed == recipe.seed else out / "seeds" / str(seed), tell=tell)
    rows = results.spread({seed: done["test"] for seed, done in found.items()})
    write_json(out / "seeds.json", rows)
    return found[recipe.seed], rows


def _sweep(recipe: Recipe, store: Store, tell: Tell) -> tuple[Recipe, list[dict[str, Any]]]:
    """The variant with the highest target on dev data, and a row for each; what variants share is made once.

    Test data is not touched. A tie goes to the variant that is written first.
    """
    assert recipe.gate is not None and recipe.gate.target is not None
    check, _, metric = recipe.gate.target.partition(".")
    rows, measured = [], []
    for settings, variant in variants(recipe):
        words = ", ".join(f"{name} {value}" for name, value in settings.items())
        tell(Event("step", f"sweep: {words}", {"cached": False, "why": ""}))
        running = _Running(variant, store, planning.make(variant, store, download=True), tell, None)
        measured.append(running.measured[running.carry_out()][check])
        delta = compare(metric, measured[0], measured[-1], recipe.seed)
        value = measured[-1].metrics[metric]
        rows.append({"settings": settings, "metric": recipe.gate.target, "value": value, "chosen": False, **results.as_row(delta)})
    best = max(range(len(rows)), key=lambda number: (rows[number]["value"], -number))
    rows[best]["chosen"] = True
    return variants(recipe)[best][1], rows


class _Running:
    """One run: what has been made so far, and what was measured of it."""

    def __init__(self, recipe: Recipe, store: Store, plan: Plan, tell: Tell, until: str | None):
        self.recipe, self.store, self.plan, self.tell, self.until = recipe, store, plan, tell, until
        self.job = Job(recipe.seed, store.root, store.root, tell, vectors=store.root / "vectors")
        self.measures = Measures(self.job, store.root / "measurements")
        self.made: dict[str, Any] = {plan.base: Encoder(plan.folder)}
        self.digests = planning.check_digests(recipe)
        self.measured: dict[str, dict[str, Measurement]] = {}
        self.steps: list[dict[str, Any]] = []
        self.stopped: str | None = None

    def carry_out(self) -> str:
        """Do every line of the plan; the key of the model as the last step left it."""
        if any(not line.cached for line in self.plan.lines):
            models.verify(self.plan.folder)
        self._make_data()
        self._check("base", self.plan.base)
        final = self.plan.base
        for line in self.plan.lines:
            if line.key in self.made:
                continue
            self._announce(line)
            if line.before is not None:
                self._gate(line)
            else:
                self._make(line)
            if line.kind == "encoder":
                final = line.key
            if self.stopped:
                break
        return final

    def go(self, began: float, sweep: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
        """Carry out the plan, compare base and final on test data, hand the model over; what `results.json` holds."""
        final = self.carry_out()
        found = {**self._results(final, began), "sweep": list(sweep)}
        if self.store.crew.leads:
            self._hand_over(self.made[final].path, found)
            write_json(self.store.root / "results.json", found)
        self.store.crew.wait()
        self.tell(Event("done", data={"results": found}))
        if self.stopped:
            raise WorkFailed(self.stopped)
        return found

    # ------------------------------------------------------------------------------------------ making

    def _make_data(self) -> None:
        """All data before any work, so that the problems of every file are told together."""
        problems: list[str] = []
        for line in self.plan.lines:
            if "data" in line.entry:
                self._announce(line)
                try:
                    self._make(line)
                except UserError as error:
                    problems += error.problems
        if problems:
            raise UserError(dict.fromkeys(problems))

    def _announce(self, line: Planned) -> None:
        self.tell(Event("step", line.name, {"cached": line.cached, "why": line.why}))

    def _make(self, line: Planned) -> None:
        begun = time.monotonic()
        receipt = self.store.make(line.name, line.entry, lambda out, work: self._work(line, out, work), line.again)
        folder = self.store.folder(line.name, line.entry)
        if line.kind in ("encoder", "cross-encoder"):
            self.made[line.key] = (Encoder if line.kind == "encoder" else CrossEncoder)(folder / "model")
            self._check(line.name, line.key)
        else:
            self.made[line.key] = folder / FILES[line.kind]
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
            inputs = {name: self._input(keys) for name, keys in (line.inputs or {}).items()}
            made = line.step.stage.run(**inputs, job=job)
            if line.kind == "pairs":
                # A long text may hold a short held-out passage and still be unlike it; a pair cut out of it is not.
                clean = leakage.without_held_out(made, self._held_out())
                made = clean.kept
                job.counts.update(held_out_exact=clean.exact, held_out_nearly=clean.nearly)
        if line.kind in FILES:
            files.write(made, out / FILES[line.kind])
            job.counts["rows"] = len(made)
        return {"seconds": time.monotonic() - begun, "peak_memory_mb": _peak_memory(), "counts": job.counts}

    def _input(self, keys: Sequence[str]) -> Any:
        """An input as its stage takes it: read back from the store, several joined."""
        found = [self.made[key] for key in keys]
        if not isinstance(found[0], Path):
            return found[0]
        return Joined([files.read(path, next(k for k, file in FILES.items() if file == path.name)) for path in found])

    def _data(self, name: str, job: Job) -> list[Any]:
        """One of the recipe's data: read, limited, without repeats and without what the checks hold out."""
        import numpy as np

        left_out: Counter[str] = Counter()
        found = files.read(self.recipe.data[name], planning.DATA[name], left_out)
        read = len(found)
        job.counts.update(left_out)
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
        """Everything that is known at the end; test data is touched here and nowhere else, and only when the recipe is done."""
        base = self.plan.base
        whole = self.until is None and not self.stopped
        tests = (self._measure(base, "test"), self._measure(final, "test")) if whole else ({}, {})
        keys = [("base", base), *((line.name, line.key) for line in self.plan.lines if line.key in self.measured)]
        shown = [(name, isinstance(self.made[key], Encoder), self.measured[key]) for name, key in keys]
        roles = {name: spec.role for name, spec in self.recipe.checks.items()}
        rows = results.compared(*tests, roles, self.recipe.seed)
        return {
            "recipe": self.recipe.name,
            "description": self.recipe.description,
            "model": self.recipe.model,
            "seed": self.recipe.seed,
            "final": final,
            "steps": self.steps,
            "dev": results.dev_rows(self.recipe, shown),
            "test": rows,
            "speed": self._speed(final),
            "verdict": results.verdict(self.recipe, rows),
            "roles": roles,
            "main": {name: checks.find(spec.kind).main for name, spec in self.recipe.checks.items()},
            "seconds": time.monotonic() - began,
            "lock": planning.lock(self.recipe, self.plan),
        }

    def _speed(self, final: str, count: int = 64) -> dict[str, Any]:
        """Encoding speed of the model handed over, on the recipe's own texts; measured once for each model."""
        import json

        file = self.store.root / "measurements" / f"speed-{final}.json"
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
        line = next(line for line in self.plan.lines if "data" in line.entry)
        found = [side for record in files.read(self.made[line.key], line.kind) for side in leakage.sides(record)]
        texts = list(dict.fromkeys(found))[:count]
        model = OnDisk(self.made[final].path, Job(self.recipe.seed))
        measured = {**speed.measure(model.embed, [" ".join(t.split()[:12]) for t in texts[:16]], texts), "device": model.device()}
        write_json(file, measured)
        return measured

    def _hand_over(self, folder: Path, found: Mapping[str, Any]) -> None:
        """Put the final model in `model/`, with its card, and the lock beside it."""
        import yaml

        from adapt.report import model_card

        target, aside, mark = (self.store.root / name for name in ("model", ".model.making", ".model.key"))
        if not target.is_dir() or not mark.is_file() or mark.read_text() != found["final"]:
            shutil.rmtree(aside, ignore_errors=True)
            if (folder / "modules.json").is_file():
                shutil.copytree(folder, aside, ignore=shutil.ignore_patterns("README.md", "__pycache__", ".gitattributes", "*.bin"))
            else:  # every step of a plain language model was set back: it still leaves as an embedder
                from adapt.engine.encoder import open_encoder, save_encoder

                save_encoder(open_encoder(folder), aside)
            shutil.rmtree(target, ignore_errors=True)
            os.replace(aside, target)
            mark.write_text(found["final"])
        (target / "README.md").write_text(model_card(found), encoding="utf-8")
        text = yaml.safe_dump(found["lock"], sort_keys=False, allow_unicode=True)
        (self.store.root / "recipe.lock.yaml").write_text(text, encoding="utf-8")


def _peak_memory() -> float:
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / (1024 if sys.platform == "darwin" else 1)
