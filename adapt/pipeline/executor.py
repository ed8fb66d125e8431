"""Carry out the steps of one recipe: make what is not made yet, check every model, let the gate decide."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from adapt import checks, files
from adapt.checks import Measurement, leakage
from adapt.checks.statistics import minimum_detectable_effect
from adapt.errors import UserError
from adapt.inference import embedding_cache, memory
from adapt.job import Event, Job, Listener
from adapt.models import lookup
from adapt.pipeline import gate, input_report, results, stage_runner
from adapt.pipeline import plan as planning
from adapt.pipeline.measurements import Measures, scores_pairs
from adapt.pipeline.plan import Plan, Planned
from adapt.recipe import Recipe
from adapt.recipe.wiring import DATA_KINDS
from adapt.records import ConcatSequence, CrossEncoder, Encoder
from adapt.runtime.precision import resolve
from adapt.storage.store import Store

FILES = {
    "texts": "texts.jsonl", "pairs": "pairs.jsonl", "scored": "scored.csv", "triplets": "triplets.jsonl",
    "labelled": "labelled.csv", "parallel": "parallel.jsonl",
}  # fmt: skip


class Steps:
    """The steps of one recipe in one run folder: what has been made so far, and what was measured of it."""

    def __init__(self, recipe: Recipe, store: Store, plan: Plan, listener: Listener):
        self.recipe, self.store, self.plan, self.listener = recipe, store, plan, listener
        self.job = Job(recipe.seed, store.root, store.root, listener, embedding_cache=store.root / "vectors" / resolve())
        self.measures = Measures(self.job, store.root / "measurements", options=recipe.read_options())
        self.made: dict[str, Any] = {**plan.others, plan.base: Encoder(plan.folder)}
        self.digests = planning.check_digests(recipe)
        self.measured: dict[str, dict[str, Measurement]] = {}
        self.health: dict[str, dict[str, float]] = {}
        self.steps: list[dict[str, Any]] = []
        self.inputs: list[dict[str, Any]] = []  # of each source: what its reading noted, how the base model covers it
        self.stopped: str | None = None

    def carry_out(self) -> str:
        """Do every line of the plan; the key of the model as the last step left it."""
        if any(not line.cached for line in self.plan.lines):
            for model in (Encoder(self.plan.folder), *self.plan.others.values()):
                lookup.verify_weights(model.path)
            stage_runner.base(self.plan.folder, self.recipe, self.job)
        self._make_data()
        self._survey()
        self._check("base", self.plan.base)
        self._before_any_step()
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

    # ------------------------------------------------------------------------------------------ making

    def _make_data(self) -> None:
        """All data before any work, so that the problems of every file are reported together."""
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

    def _survey(self) -> None:
        """Look at all texts with the base model's tokenizer, before any work, and warn of what is beyond its bounds."""
        self.inputs = input_report.of_run(self.recipe, self.plan, self.store, self.made, self.measures, self.digests, self.job.note)
        for warning in (*input_report.warnings(self.inputs), *input_report.decided_and_judged(self.recipe)):
            self.job.note(f"WARNING: {warning}")

    def _announce(self, line: Planned) -> None:
        self.listener(Event("step", line.name, {"cached": line.cached, "why": line.why}))

    def _make(self, line: Planned) -> None:
        begun = time.monotonic()
        receipt = self.store.make(line.name, line.entry, lambda out, work: self._work(line, out, work), line.again)
        folder = self.store.folder(line.name, line.entry)
        if line.kind in ("encoder", "cross-encoder"):
            self.made[line.key] = (Encoder if line.kind == "encoder" else CrossEncoder)(folder / "model")
            self._check(line.name, line.key)
        else:
            self.made[line.key] = folder / FILES[line.kind]
        embedding_cache.report_problems(self.job)
        self.steps.append(
            {
                "step": line.name,
                "stage": line.step.stage.name() if line.step else "data",
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
        job = Job(self.recipe.seed, out, work, self.listener, embedding_cache=self.job.embedding_cache)
        read: dict[str, Any] = {}
        if line.step is None:
            made: Any = self._data(line.entry["data"], job, read)
        else:
            inputs = {name: self._input(keys) for name, keys in (line.inputs or {}).items()}
            made = stage_runner.run(line.step.stage, inputs, job, line.name)
            asked = getattr(line.step.stage, "precision", None)
            if asked is not None:
                job.counts.setdefault("precision", asked if asked == "int8" else resolve(asked))
                memory.release()
            if line.kind in FILES:
                # A long text may hold a short held-out passage and still be unlike it; a pair cut out of it is not.
                made = self._clean(made, line.name, job, mode="allow" if self.recipe.leaks == "allow" else "remove")
        if line.kind in FILES:
            files.write(made, out / FILES[line.kind])
            job.counts["rows"] = len(made)
        return {"seconds": time.monotonic() - begun, "peak_memory_mb": memory.peak_mb(), "counts": job.counts, **read}

    def _input(self, keys: Sequence[str]) -> Any:
        """An input as its stage takes it: read back from the store, several joined."""
        found = [self.made[key] for key in keys]
        if not isinstance(found[0], Path):
            return found[0]
        return ConcatSequence([files.read(path, next(k for k, file in FILES.items() if file == path.name)) for path in found])

    def _data(self, name: str, job: Job, said: dict[str, Any]) -> Sequence[Any]:
        """One of the recipe's data: read, limited, without repeats and without what the checks hold out.

        `said` takes what the receipt keeps of the reading: `notes`, and the number of rows `skipped`.
        """
        import numpy as np

        left_out: Counter[str] = Counter()
        with files.reading(self.recipe.read_options(name)) as log:
            found = files.read(self.recipe.data[name], DATA_KINDS[name], left_out)
        log.write_rejected(job.out / "rejected.jsonl")
        said |= {"notes": log.notes, "skipped": log.rejections}
        for text in log.notes:
            job.note(text)
        read = len(found)
        if log.rejections:
            job.counts["bad_rows_skipped"] = log.rejections
        job.counts.update(left_out)
        for reason, count in left_out.items():
            job.note(f"{self.recipe.data[name]}: {count:,} left out: {reason}")
        number = {leakage.sides(record): row for row, record in enumerate(found, 1)}
        found = list({leakage.sides(record): record for record in found}.values())
        repeats = read - len(found)
        if self.recipe.limit and len(found) > self.recipe.limit:
            drawn = np.random.default_rng(self.recipe.seed).permutation(len(found))[: self.recipe.limit]
            found = [found[i] for i in sorted(drawn)]
        numbers = [number[leakage.sides(record)] for record in found]
        job.counts.update(read=read, repeats=repeats)
        kept = self._clean(found, str(self.recipe.data[name]), job, self.recipe.leaks, numbers)
        job.note(f"{name}: {read:,} rows read, {len(kept):,} kept; {repeats:,} repeats")
        if not kept:
            raise UserError(f"{self.recipe.data[name]}: every row is in dev or test data too; give other rows to train on")
        return kept

    def _clean(
        self, records: Sequence[Any], source: str, job: Job, mode: leakage.Mode, numbers: Sequence[int] | None = None
    ) -> Sequence[Any]:
        """The records that may be trained on; what leaked is counted and noted."""
        clean = leakage.clean(records, self.held_out, mode, source, numbers, job)
        job.counts.update(clean.counts())
        if sum(clean.found.values()):
            job.note(f"{source}: {clean.said()}")
            return clean.kept
        return records  # as they are: made on demand, they need not be held in memory

    @cached_property
    def held_out(self) -> leakage.ProtectedTexts:
        """All that dev and test data of every check hold; raises UserError with the problems of every file."""
        return leakage.gather(self.measures.read_all(self.recipe.checks))

    # ------------------------------------------------------------------------------------------ checking

    def measure(self, key: str, split: str, only: Callable[[str], bool] = lambda name: True) -> dict[str, Measurement]:
        model = self.made[key]
        return {
            name: self.measures.of(model, spec.kind, getattr(spec, split), split, self.digests[name][split])
            for name, spec in self.recipe.checks.items()
            if getattr(spec, split) is not None
            and spec.role != "golden"
            and only(name)
            and (isinstance(model, Encoder) or scores_pairs(spec.kind))
        }

    def _check(self, name: str, key: str) -> None:
        """Measure a model on dev data and say how it did."""
        if key in self.measured:
            return
        # A cross-encoder is judged on the target's own pairs: guards watch the encoder that is handed over.
        labeller = isinstance(self.made[key], CrossEncoder)
        found = self.measure(key, "dev", lambda n: not labeller or self.recipe.checks[n].role == "target")
        self.measured[key] = found
        if not labeller:
            self._examine(name, key)
        embedding_cache.report_problems(self.job)
        self.listener(Event("check", name, {"measured": found}))

    def _examine(self, name: str, key: str) -> None:
        """Keep the health of the model's space, on the dev data of the gate's target (without one, of the first target)."""
        target = self.recipe.gate.target if self.recipe.gate else None
        targets = [n for n, spec in self.recipe.checks.items() if spec.dev is not None and spec.role == "target"]
        check = (target or "").partition(".")[0] or next(iter(targets), "")
        if check:
            spec = self.recipe.checks[check]
            self.health[name] = self.measures.health(self.made[key], spec.kind, spec.dev, "dev", self.digests[check]["dev"])

    def _before_any_step(self) -> None:
        """Say what gain the dev data can show. Raises UserError with every metric of the gate that is missing or undefined."""
        spec, base = self.recipe.gate, self.measured[self.plan.base]
        if problems := gate.problems(spec, base, self.recipe.file) if spec else []:
            raise UserError(problems)
        for name, measured in base.items():
            metric = checks.find(self.recipe.checks[name].kind).main_metric
            gain = minimum_detectable_effect(measured, metric)
            if self.recipe.checks[name].role == "target" and gain == gain:
                self.job.note(
                    f"{name}: with {measured.rows:,} dev rows, a gain of {100 * gain:.1f} points of {metric} shows "
                    "as significant in four runs of five"
                )

    def _gate(self, line: Planned) -> None:
        """Let the gate choose among the step's model, blends, and the model before; measurements are cached, verdicts are not."""
        spec = self.recipe.gate
        assert spec is not None and line.inputs is not None and line.before is not None
        after, before = line.inputs["model"][0], line.before
        folder = self.store.folder(line.name, line.entry)

        def at(share: float, where: Path) -> gate.Verdict:
            measured = self.measured[after] if share else self.measured[before]
            if 0 < share < 1:
                from adapt.models.interpolation import interpolate

                interpolate(self.made[before].path, self.made[after].path, share, where / f"blend-{share:g}")
                self.made["blend"] = Encoder(where / f"blend-{share:g}")
                measured = self.measure("blend", "dev")
                self.listener(Event("check", f"{line.name} at {share:g}", {"measured": measured}))
            return gate.judge(spec, self.measured[self.plan.base], self.measured[before], measured, self.recipe.seed)

        def decide(out: Path, work: Path) -> Mapping[str, Any]:
            share, tried = gate.choose(spec, partial(at, where=work))
            if 0 < share < 1:
                shutil.move(work / f"blend-{share:g}", out / "model")
            return {"share": share, "tried": [results.tried(s, v) for s, v in tried], "seconds": 0.0, "counts": {}}

        receipt = self.store.make(line.name, line.entry, decide, line.again)
        share = receipt["share"]
        self.made[line.key] = Encoder(folder / "model") if 0 < share < 1 else self.made[after] if share == 1 else self.made[before]
        self.measured[line.key] = (
            self.measure(line.key, "dev") if 0 < share < 1 else self.measured[after] if share == 1 else self.measured[before]
        )
        row = results.gate_row(line, share, receipt["tried"])
        self.steps.append(row)
        self.listener(Event("verdict", line.name, {name: row[name] for name in ("word", "sentence", "action")}))
        if spec.action == "stop" and not receipt["tried"][0]["passes"]:
            self.stopped = f"{line.name}: {row['word']}: {row['sentence']}"
