"""What a run's data are like before any work: notes on reading them, and how the base model's tokenizer covers their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from adapt import checks, files
from adapt.checks import Source, leakage
from adapt.errors import UserError
from adapt.files import ReadOptions
from adapt.files.beir import qrels_file
from adapt.models import coverage, lookup
from adapt.pipeline.plan import Plan, PlannedArtifact, source_digest
from adapt.recipe import Recipe
from adapt.recipe.wiring import DATA_KINDS
from adapt.results import InputReport
from adapt.storage.digests import file_digest, find_damage, read_verified, write_verified
from adapt.storage.store import Store, cache_key

if TYPE_CHECKING:
    from adapt.pipeline.evaluation import Evaluator

VERSION = 2  # raised when the same data and model would give another report
DRY_RUN_BYTES = 32 << 20  # size of a file up to which a dry run tokenizes its texts


def texts_of(records: Iterable[object]) -> list[str]:
    """All different texts of some records."""
    return list(dict.fromkeys(chain.from_iterable((*leakage.sides(r), *getattr(r, "negatives", ())) for r in records)))


def texts_of_check(kind: str, data: object) -> list[str]:
    """All different texts of a check's data."""
    texts = checks.find(kind).health_data(data)
    return list(dict.fromkeys([*texts.anchors, *texts.texts]))


def report(
    source: str, texts: Sequence[str], folder: Path, notes: Sequence[str], skipped: int = 0, rejected: str = ""
) -> InputReport:
    """The report on one source of data; `folder` is the base model's. `rejected`: see `InputReport`."""
    return InputReport(
        source=source, notes=tuple(notes), skipped=skipped, rejected=rejected, coverage=coverage.tokenizer_coverage(folder, texts)
    )


def cached(
    where: Path, source: str, folder: Path, data: str, make: Callable[[], InputReport], note: Callable[[str], None]
) -> InputReport:
    """The report on a source, cached in `where` for this model and data; made where it is missing or (with a note) damaged."""
    entry = {"model": lookup.weights_digest(folder), "source": source, "data": data, "version": VERSION}
    file = where / f"inputs-{cache_key(entry)}.json"
    if (found := read_verified(file)) is not None:
        wrong = find_damage(where, found["rejected_file"])
        if not wrong:
            return InputReport.model_validate(found["report"])
        note(f"{where}: {'; '.join(wrong)}; {source} is read again")
    elif file.exists():
        note(f"{file}: is damaged; {source} is read again")
    made = make()
    rejected = where / Path(made.rejected).name
    held = {rejected.name: [rejected.stat().st_size, file_digest(rejected)]} if rejected.is_file() else {}
    write_verified(file, {"report": made.model_dump(mode="json"), "rejected_file": held}, durable=False)
    return made


def of_run(
    recipe: Recipe, plan: Plan, store: Store, data: Mapping[str, Path], evaluator: Evaluator, note: Callable[[str], None]
) -> list[InputReport]:
    """The reports on a run's data and then on its checks' data, in the recipe's order. `data`: {key: file}."""
    folder, where, measurements = plan.folder, store.root / "measurements", evaluator.measurements

    def of_data(artifact: PlannedArtifact) -> InputReport:
        receipt = store.receipt(artifact.name, artifact.entry) or {}
        texts = texts_of(files.read(data[artifact.key], artifact.kind))
        return report(artifact.id, texts, folder, receipt.get("notes", ()), receipt.get("skipped", 0))

    def of_check(name: str, kind: str, split: str, source: Source) -> InputReport:
        texts = texts_of_check(kind, measurements.read(kind, source, split))
        notes, skipped = measurements.notes_of(kind, source, split), measurements.skipped_of(kind, source, split)
        return report(f"{name} {split}", texts, folder, notes, *skipped)

    found = [cached(where, one.id, folder, one.key, partial(of_data, one), note) for one in plan.data]
    for name, spec in recipe.checks.items():
        for split, source in spec.sources().items():
            make = partial(of_check, name, spec.kind, split, source)
            found.append(cached(where, f"{name} {split}", folder, evaluator.digests[name][split], make, note))
    return found


def same_data_warnings(recipe: Recipe) -> list[str]:
    """A sentence for each check whose test data are its dev data: the data that steps are chosen by also judge them at the end."""
    found = []
    for name, spec in recipe.checks.items():
        if spec.dev is None or spec.test is None or spec.role == "golden":
            continue
        source = str(spec.dev.get("folder") or "") if isinstance(spec.dev, Mapping) else spec.dev
        has_splits = bool(source) and all(qrels_file(source, split) for split in ("dev", "test"))
        if not has_splits and source_digest(spec.dev) == source_digest(spec.test):
            found.append(
                f"Check '{name}' has the same data for dev and test: steps are chosen by what judges them at the end, so its test "
                "figures are too good."
            )
    return found


def warnings(reports: Sequence[InputReport]) -> list[str]:
    """What a reader should know of the data, a sentence each: skipped rows, and texts that the model can't read."""
    found = []
    for one in reports:
        if one.skipped:
            what = (
                f", and its figures are of the others; see {one.rejected}."
                if one.rejected  # data of checks have no step
                else "; see rejected.jsonl in its step's folder."
            )
            found.append(f"{one.source}: {one.skipped:,} bad rows were skipped{what}")
        if one.coverage:
            found += coverage.warnings(one.source, one.coverage)
    return found


def preview(recipe: Recipe) -> list[str]:
    """For a dry run: reads all local data and checks' data; notes and warnings on them, and what is left to the run.

    Raises UserError with the problems of every file.
    """
    folder = lookup.find_model(recipe.model, recipe.file.parent, download=False)
    reports, left, problems = [], [], []
    for name, source, read, options in _readers(recipe):
        if _is_remote(source):
            left.append(f"{name}: not read in a dry run (on the hub)")
            continue
        try:
            with files.reading(options) as log:
                found = read()
        except UserError as error:
            problems += error.problems
            continue
        texts: list[str] = []
        if name in recipe.data and _size(Path(str(source))) <= DRY_RUN_BYTES:
            assert isinstance(found, Sequence)
            texts = texts_of(found)
        elif name in recipe.data:
            left.append(f"{name}: what the model can't read of it is counted in a run (larger than {DRY_RUN_BYTES >> 20} MB)")
        rejected = "" if name in recipe.data else "rejected-*.jsonl in measurements/ after the run"
        reports.append(report(name, texts, folder, log.notes, log.rejections, rejected))
    if problems:
        raise UserError(dict.fromkeys(problems))
    notes = dict.fromkeys(note for one in reports for note in one.notes)
    return [*left, *notes, *warnings(reports), *same_data_warnings(recipe)]


def _readers(recipe: Recipe) -> Iterator[tuple[str, Source, Callable[[], object], ReadOptions]]:
    """(name, source, what reads it, with which options) of all data of a recipe, its checks' among them."""
    for name, source in recipe.data.items():
        yield name, source, partial(files.read, source, DATA_KINDS[name]), recipe.read_options(name)
    for name, spec in recipe.checks.items():
        for split, data in spec.sources().items():
            yield f"{name} {split}", data, partial(checks.find(spec.kind).read, data, split), recipe.read_options()


def _is_remote(source: Source) -> bool:
    return any(str(part).startswith("hf://") for part in (source.values() if isinstance(source, Mapping) else [source]))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
