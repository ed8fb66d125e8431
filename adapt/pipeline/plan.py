"""What a recipe would do: every step's key, known before any work, and whether it is done already and why not."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapt.errors import UserError
from adapt.files import count_rows, reading, regular_file
from adapt.models import lookup, model_folder
from adapt.pipeline import compatibility
from adapt.recipe import Recipe, Step, variants, without
from adapt.recipe.wiring import DATA_KINDS, Scope
from adapt.records import CrossEncoder, Encoder
from adapt.storage.digests import file_digest, files_digest, is_hidden, text_digest
from adapt.storage.store import Store, cache_key

READING = 3  # raised when the same files would be read into other records


@dataclass(frozen=True)
class Planned:
    """One line of a plan: the artifact it makes (`name`, `entry`), and what is known of it beforehand."""

    name: str
    entry: Mapping[str, Any]
    kind: str
    cached: bool
    rows: int | None
    why: str
    step: Step | None = None
    inputs: Mapping[str, tuple[str, ...]] | None = None  # parameter → keys of planned artifacts
    before: str | None = None  # a gate: key of the model that the step started from
    again: bool = False  # done already, but asked for afresh

    @property
    def key(self) -> str:
        return cache_key(self.entry)


@dataclass(frozen=True)
class Plan:
    """A recipe's work in order: data, steps and their gates; `base` is the key of the model it starts from."""

    lines: Sequence[Planned]
    base: str
    folder: Path
    others: Mapping[str, Encoder | CrossEncoder] = field(default_factory=dict)  # key → a further model that a step names


def source_digest(source: Any) -> str:
    """A hash of what a data source holds: of a file, of a folder's files, of a mapping's parts, or of a hub address."""
    if isinstance(source, Mapping):
        return cache_key({name: source_digest(part) for name, part in source.items()})
    path = Path(str(source))
    if not path.exists():
        return text_digest(str(source))
    if not path.is_dir():
        regular_file(path)  # a device has no end
        return file_digest(path)
    found = sorted(file for file in path.rglob("*") if file.is_file() and not is_hidden(file, path))
    return files_digest(found, path)


def check_digests(recipe: Recipe) -> dict[str, dict[str, str]]:
    """{check: {split: hash of kind, data and, where bad rows are skipped, how the data are read}}."""
    options = recipe.read_options()
    # Figures of what is left of a file must not be taken from the cache by a recipe that refuses its bad rows.
    read = {"reading": options.model_dump(mode="json", exclude_defaults=True)} if options.on_bad_row == "skip" else {}
    return {
        name: {
            split: cache_key({"kind": spec.kind, "split": split, "data": source_digest(source), **read})
            for split in ("dev", "test")
            if (source := getattr(spec, split)) is not None
        }
        for name, spec in recipe.checks.items()
    }


def make(recipe: Recipe, store: Store, until: str | None = None, fresh: Sequence[str] = (), download: bool = False) -> Plan:
    """The plan of a recipe. `until`: the last step to do; `fresh`: steps to do again. Raises UserError for unknown steps."""
    ids = [step.id for step in recipe.steps]
    for option, name in [("--until", until), *(("--fresh", f) for f in fresh)]:
        if name is not None and name not in ids:
            raise UserError(f"{option} {name}: the recipe has no such step. Its steps: {', '.join(ids)}")
    folder = lookup.find_model(recipe.model, recipe.file.parent, download)
    model_folder.require_valid(folder)
    base = cache_key({"weights": lookup.weights_digest(folder)})
    named = compatibility.named_models(recipe, download)
    compatibility.refuse_misfits(recipe, folder, named)
    others = {name: cache_key({"weights": lookup.weights_digest(model.path)}) for name, model in named.items()}
    digests = check_digests(recipe)
    lines, problems = [], []
    for name in recipe.data:
        try:
            lines.append(_data_line(recipe, name, store, digests))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(problems)
    scope = Scope({name: line.key for name, line in zip(recipe.data, lines, strict=True)}, base)
    counts = {line.key: line.rows for line in lines}
    again: set[str] = set()
    for step in recipe.steps[: ids.index(until) + 1 if until else None]:
        inputs = {param: tuple(scope[n] if n in scope else others[n] for n in names) for param, names in step.inputs.items()}
        entry = {
            "stage": step.stage.name(),
            "version": step.stage.version,
            "settings": step.stage.model_dump(mode="json"),
            "seed": recipe.seed,
            "inputs": {param: list(keys) for param, keys in inputs.items()},
        }
        if step.stage.output_kind() in DATA_KINDS.values():
            entry |= _held_out(recipe, digests)
        key = cache_key(entry)
        due = step.id in fresh or bool(again & {k for keys in inputs.values() for k in keys})
        line = _line(step.id, entry, step.stage.output_kind(), store, _rows(step, inputs, counts), due)
        line = replace(line, step=step, inputs=inputs)
        lines.append(line)
        counts[key] = line.rows
        if due:
            again.add(key)
        before = scope["model"]
        scope.define(step.id, type(step.stage), key)
        if line.kind == "encoder" and recipe.gate is not None and step.id not in recipe.gate.later:
            gate_entry = _gate_entry(recipe, key, before, base, digests)
            gate = _line(f"gate-{step.id}", gate_entry, "encoder", store, None, due)
            lines.append(replace(gate, inputs={"model": (key,)}, before=before))
            scope.replace_model(gate.key)
            if due:
                again.add(gate.key)
    return Plan(lines, base, folder, {others[name]: model for name, model in named.items()})


def all_lines(recipe: Recipe, store: Store, until: str | None = None, fresh: Sequence[str] = ()) -> list[Planned]:
    """Every line of the plan; with a sweep or steps that are judged later, of the plans of all variants, each line once."""
    found: dict[tuple[str, str], Planned] = {}
    for _, variant in variants(recipe):
        later = recipe.gate.later if recipe.gate and until is None else {}
        for branch in (variant, *(without(variant, step)[0] for step in later)):
            found.update({(line.name, line.key): line for line in make(branch, store, until, fresh).lines})
    return list(found.values())


def _data_line(recipe: Recipe, name: str, store: Store, digests: Mapping[str, Mapping[str, str]]) -> Planned:
    entry = {
        "data": name,
        "kind": DATA_KINDS[name],
        "file": source_digest(recipe.data[name]),
        "limit": recipe.limit,
        "seed": recipe.seed if recipe.limit else None,
        "version": READING,
        **_held_out(recipe, digests),
    }
    if read := recipe.read_options(name).model_dump(mode="json", exclude_defaults=True):
        entry["reading"] = read
    with reading(recipe.read_options(name)):
        rows = count_rows(recipe.data[name])
    rows = min(rows, recipe.limit) if rows is not None and recipe.limit else rows
    return _line(f"data-{name}", entry, DATA_KINDS[name], store, rows, False)


def _held_out(recipe: Recipe, digests: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """What keeps rows out of training, or lets them in."""
    found = {"held_out": sorted(digest for splits in digests.values() for digest in splits.values())}
    return found if recipe.leaks == "remove" else {**found, "leaks": recipe.leaks}


def _gate_entry(recipe: Recipe, after: str, before: str, base: str, digests: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    assert recipe.gate is not None
    watched = {metric.partition(".")[0] for metric in recipe.gate.metrics()}
    return {
        "gate": recipe.gate.model_dump(mode="json", exclude={"later"}),
        "inputs": {"model": [after], "before": [before], "base": [base]},
        "checks": {name: digests[name]["dev"] for name in sorted(watched)},
        "seed": recipe.seed,
        "version": 3,
    }


def _line(name: str, entry: Mapping[str, Any], kind: str, store: Store, rows: int | None, due: bool) -> Planned:
    receipt = store.receipt(name, entry)
    if receipt and not due:
        return Planned(name, entry, kind, True, receipt.get("counts", {}).get("rows", rows), "cached")
    damage = "" if due else store.damage(name, entry)
    why = "to be done again" if due else f"damaged: {damage}" if damage else _why(entry, store.earlier(name))
    return Planned(name, entry, kind, False, rows, why, again=due)


def _why(entry: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> str:
    """What differs from the newest artifact of the same name, in a few words."""
    if earlier is None:
        return "new"
    changed = []
    for part in ("settings", "gate"):
        now, then = entry.get(part, {}), earlier.get(part, {})
        changed += [f"{k} {then.get(k)} → {now.get(k)}" for k in now if now.get(k) != then.get(k)]
    now, then = entry.get("inputs", {}), earlier.get("inputs", {})
    changed += [f"{k} changed" for k in now if now.get(k) != then.get(k)]
    changed += [
        f"{k} changed"
        for k in ("file", "limit", "seed", "held_out", "leaks", "checks", "reading", "version")
        if entry.get(k) != earlier.get(k)
    ]
    return "; ".join(changed) or "missing"


def _rows(step: Step, inputs: Mapping[str, tuple[str, ...]], counts: Mapping[str, int | None]) -> int | None:
    """Rows of a step's main input (the first that is data), as far as they are known beforehand."""
    for want in step.stage.inputs():
        if want.kinds[0] not in ("encoder", "cross-encoder") and want.name in inputs:
            found = [counts.get(key) for key in inputs[want.name]]
            return sum(n for n in found if n is not None) if None not in found else None
    return None


def lock(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """What `recipe.lock.yaml` holds: the recipe with every default filled in, keys, and the versions it ran with."""
    packages = ("torch", "sentence-transformers", "transformers", "numpy", "bm25s", "nltk")
    return {
        "name": recipe.name,
        "model": recipe.model,
        "model_key": plan.base,
        "seed": recipe.seed,
        "data": {line.entry["data"]: {"rows": line.rows, "key": line.key} for line in plan.lines if "data" in line.entry},
        "steps": [
            {"id": line.step.id, "stage": line.step.stage.name(), "key": line.key, "settings": dict(line.entry["settings"])}
            for line in plan.lines
            if line.step
        ],
        "gate": recipe.gate.model_dump(mode="json") if recipe.gate else None,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
