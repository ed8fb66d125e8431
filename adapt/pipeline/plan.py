"""What a recipe would do: the cache key of every artifact, known before any work, and why each would be computed or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from adapt.errors import UserError
from adapt.files import count_rows, reading, regular_file
from adapt.models import lookup, model_folder
from adapt.pipeline import compatibility
from adapt.recipe import Recipe, Step, variants, without
from adapt.recipe.wiring import DATA_KINDS, Scope
from adapt.records import CrossEncoder, Encoder
from adapt.storage.digests import file_digest, files_digest, is_hidden, text_digest
from adapt.storage.store import Store, cache_key

DATA_VERSION = 4  # raised when the same files would be read into other records, or receipts of data hold something else
GATE_VERSION = 4  # raised when the same gate would decide otherwise, or its receipt holds something else
COMPARED = ("file", "limit", "seed", "held_out", "leaks", "checks", "reading", "version")  # parts of entries, see `_reason`

Entry = Mapping[str, JsonValue]  # all that an artifact depends on; its hash is the artifact's key
Digests = Mapping[str, Mapping[str, str]]  # {check: {split: digest of its data}}


@dataclass(frozen=True)
class PlannedArtifact:
    """One artifact of a plan: data, a stage's output, or the model that a gate chooses; and what is known of it beforehand."""

    id: str  # of the data or the step
    work: Literal["data", "stage", "gate"]
    entry: Entry
    kind: str  # of records or of a model
    cached: bool
    rows: int | None
    reason: str  # why it is computed; "cached" where it is not
    forced: bool = False  # computed again though it is cached
    step: Step | None = None
    inputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # {parameter: keys of artifacts}
    previous: str = ""  # of a gate: key of the model that its step started from

    @property
    def name(self) -> str:
        """What its folder's name begins with."""
        return self.id if self.work == "stage" else f"{self.work}-{self.id}"

    @property
    def key(self) -> str:
        return cache_key(self.entry)

    @property
    def is_model(self) -> bool:
        return self.kind in ("encoder", "cross-encoder")


@dataclass(frozen=True)
class Plan:
    """A recipe's artifacts in order: data, outputs of steps, choices of gates; `base` is the key of the base model."""

    artifacts: Sequence[PlannedArtifact]
    base: str
    folder: Path  # of the base model
    other_models: Mapping[str, Encoder | CrossEncoder] = field(default_factory=dict)  # {key: a further model that a step names}

    @property
    def data(self) -> list[PlannedArtifact]:
        return [artifact for artifact in self.artifacts if artifact.work == "data"]

    @property
    def steps(self) -> list[PlannedArtifact]:
        """What stages and gates make."""
        return [artifact for artifact in self.artifacts if artifact.work != "data"]

    @property
    def is_cached(self) -> bool:
        return all(artifact.cached for artifact in self.artifacts)


def make(recipe: Recipe, store: Store, until: str | None = None, fresh: Sequence[str] = (), download: bool = False) -> Plan:
    """The plan of a recipe. `until`: the last step to do; `fresh`: steps to do again. Raises UserError for unknown steps."""
    ids = [step.id for step in recipe.steps]
    for option, name in [("--until", until), *(("--fresh", name) for name in fresh)]:
        if name is not None and name not in ids:
            raise UserError(f"{option} {name}: the recipe has no such step. Its steps: {', '.join(ids)}")
    folder = lookup.find_model(recipe.model, recipe.file.parent, download)
    model_folder.require_valid(folder)
    named = compatibility.named_models(recipe, download)
    compatibility.refuse_misfits(recipe, folder, named)
    keys = {name: _model_key(model.path) for name, model in named.items()}
    planner = _Planner(recipe, store, _model_key(folder), keys, set(fresh))
    for step in recipe.steps[: ids.index(until) + 1 if until else None]:
        planner.add_step(step)
    return Plan(planner.artifacts, planner.base, folder, {keys[name]: model for name, model in named.items()})


def all_artifacts(recipe: Recipe, store: Store, until: str | None = None, fresh: Sequence[str] = ()) -> list[PlannedArtifact]:
    """Every artifact of a run; with a sweep or deferred decisions, of the plans of all variants, each once."""
    found: dict[tuple[str, str], PlannedArtifact] = {}
    for _, variant in variants(recipe):
        deferred = recipe.gate.later if recipe.gate and until is None else {}
        for branch in (variant, *(without(variant, step)[0] for step in deferred)):
            found.update({(one.name, one.key): one for one in make(branch, store, until, fresh).artifacts})
    return list(found.values())


class _Planner:
    """Adds artifacts one after another, each with the keys of its inputs."""

    def __init__(self, recipe: Recipe, store: Store, base: str, models: Mapping[str, str], fresh: set[str]):
        self.recipe, self.store, self.base, self.models, self.fresh = recipe, store, base, models, fresh
        self.digests = check_digests(recipe)
        self.artifacts: list[PlannedArtifact] = []
        self.forced: set[str] = set()  # keys
        problems: list[str] = []
        for name in recipe.data:
            try:
                self._add(self._planned(name, "data", _data_entry(recipe, name, self.digests), DATA_KINDS[name], self._count(name)))
            except UserError as error:
                problems += error.problems
        if problems:
            raise UserError(problems)
        self.scope = Scope({artifact.id: artifact.key for artifact in self.artifacts}, base)

    def _add(self, artifact: PlannedArtifact) -> None:
        self.artifacts.append(artifact)
        if artifact.forced:
            self.forced.add(artifact.key)

    def _planned(
        self, id: str, work: Literal["data", "stage", "gate"], entry: Entry, kind: str, rows: int | None, forced: bool = False
    ) -> PlannedArtifact:
        planned = PlannedArtifact(id, work, entry, kind, False, rows, "", forced)
        if forced:
            return replace(planned, reason="to be done again")
        if receipt := self.store.receipt(planned.name, entry):
            return replace(planned, cached=True, rows=receipt.get("counts", {}).get("rows", rows), reason="cached")
        damage = self.store.damage(planned.name, entry)
        return replace(planned, reason=f"damaged: {damage}" if damage else _reason(entry, self.store.latest_entry(planned.name)))

    def _count(self, name: str) -> int | None:
        """Rows of a data file, where they are known without reading all of it."""
        with reading(self.recipe.read_options(name)):
            rows = count_rows(self.recipe.data[name])
        return min(rows, self.recipe.limit) if rows is not None and self.recipe.limit else rows

    def add_step(self, step: Step) -> None:
        """Add the output of a step and, of an encoder that is not judged later, the choice of its gate."""
        inputs = {
            parameter: tuple(self.scope[name] if name in self.scope else self.models[name] for name in names)
            for parameter, names in step.inputs.items()
        }
        entry: dict[str, JsonValue] = {
            "stage": step.stage.name(),
            "version": step.stage.version,
            "settings": step.stage.model_dump(mode="json"),
            "seed": self.recipe.seed,
            "inputs": {parameter: list(keys) for parameter, keys in inputs.items()},
        }
        if step.stage.output_kind() in DATA_KINDS.values():
            entry |= _held_out(self.recipe, self.digests)
        forced = step.id in self.fresh or bool(self.forced & {key for keys in inputs.values() for key in keys})
        made = self._planned(step.id, "stage", entry, step.stage.output_kind(), self._rows(step, inputs), forced)
        self._add(replace(made, step=step, inputs=inputs))
        previous = self.scope["model"]
        self.scope.define(step.id, type(step.stage), made.key)
        gate = self.recipe.gate
        if made.kind == "encoder" and gate is not None and step.id not in gate.later:
            gated = self._planned(step.id, "gate", self._gate_entry(made.key, previous), "encoder", None, forced)
            self._add(replace(gated, inputs={"model": (made.key,)}, previous=previous))
            self.scope.replace_model(gated.key)

    def _gate_entry(self, model: str, previous: str) -> Entry:
        gate = self.recipe.gate
        assert gate is not None
        watched = sorted({metric.partition(".")[0] for metric in gate.metrics()})
        return {
            "gate": gate.model_dump(mode="json", exclude={"later"}),
            "inputs": {"model": [model], "previous": [previous], "base": [self.base]},
            "checks": {check: self.digests[check]["dev"] for check in watched},
            "seed": self.recipe.seed,
            "version": GATE_VERSION,
        }

    def _rows(self, step: Step, inputs: Mapping[str, tuple[str, ...]]) -> int | None:
        """Rows of a step's main input (the first that is data), as far as they are known beforehand."""
        counts = {artifact.key: artifact.rows for artifact in self.artifacts}
        for wanted in step.stage.inputs():
            if wanted.kinds[0] not in ("encoder", "cross-encoder") and wanted.name in inputs:
                found = [counts.get(key) for key in inputs[wanted.name]]
                return sum(rows for rows in found if rows is not None) if None not in found else None
        return None


def _model_key(folder: Path) -> str:
    return cache_key({"weights": lookup.weights_digest(folder)})


def _data_entry(recipe: Recipe, name: str, digests: Digests) -> Entry:
    entry: dict[str, JsonValue] = {
        "data": name,
        "kind": DATA_KINDS[name],
        "file": source_digest(recipe.data[name]),
        "limit": recipe.limit,
        "seed": recipe.seed if recipe.limit else None,
        "version": DATA_VERSION,
        **_held_out(recipe, digests),
    }
    if options := recipe.read_options(name).model_dump(mode="json", exclude_defaults=True):
        entry["reading"] = options
    return entry


def _held_out(recipe: Recipe, digests: Digests) -> dict[str, JsonValue]:
    """What keeps rows out of training, or allows them."""
    held_out: dict[str, JsonValue] = {"held_out": [*sorted(one for splits in digests.values() for one in splits.values())]}
    return held_out if recipe.leaks == "remove" else {**held_out, "leaks": recipe.leaks}


def _reason(entry: Entry, earlier: Entry | None) -> str:
    """What differs from the newest artifact of the same name, in a few words."""
    if earlier is None:
        return "new"

    def part(whole: Entry, name: str) -> Mapping[str, JsonValue]:
        found = whole.get(name)
        return found if isinstance(found, Mapping) else {}

    changed = []
    for name in ("settings", "gate"):
        now, then = part(entry, name), part(earlier, name)
        changed += [f"{key} {then.get(key)} → {now[key]}" for key in now if now[key] != then.get(key)]
    now, then = part(entry, "inputs"), part(earlier, "inputs")
    changed += [f"{key} changed" for key in now if now[key] != then.get(key)]
    changed += [f"{key} changed" for key in COMPARED if entry.get(key) != earlier.get(key)]
    return "; ".join(changed) or "missing"


# ------------------------------------------------------------------------------------------------ digests of data


def source_digest(source: object) -> str:
    """A hash of what a data source holds: of a file, of a folder's files, of a mapping's parts, or of a hub address."""
    if isinstance(source, Mapping):
        return cache_key({name: source_digest(part) for name, part in source.items()})
    path = Path(str(source))
    if not path.exists():
        return text_digest(str(source))
    if not path.is_dir():
        regular_file(path)  # a device has no end
        return file_digest(path)
    return files_digest(sorted(file for file in path.rglob("*") if file.is_file() and not is_hidden(file, path)), path)


def check_digests(recipe: Recipe) -> dict[str, dict[str, str]]:
    """{check: {split: hash of kind, data and, where bad rows are skipped, how the data are read}}."""
    options = recipe.read_options()
    # Figures of what is left of a file must not be taken from the cache by a recipe that refuses its bad rows.
    read = {"reading": options.model_dump(mode="json", exclude_defaults=True)} if options.on_bad_row == "skip" else {}
    return {
        name: {
            split: cache_key({"kind": spec.kind, "split": split, "data": source_digest(source), **read})
            for split, source in (("dev", spec.dev), ("test", spec.test))
            if source is not None
        }
        for name, spec in recipe.checks.items()
    }
