"""What a run's data are like before any work: what reading them noted, and how the base model's tokenizer covers their texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapt import checks, files
from adapt.checks import leakage
from adapt.errors import UserError
from adapt.files import ReadOptions
from adapt.files.beir import qrels_file
from adapt.models import coverage, lookup
from adapt.pipeline.plan import Plan, source_digest
from adapt.recipe import Recipe
from adapt.recipe.wiring import DATA_KINDS
from adapt.storage.digests import file_digest, find_damage, read_verified, write_verified
from adapt.storage.store import Store, cache_key

if TYPE_CHECKING:
    from adapt.pipeline.measurements import Measures

VERSION = 1  # raised when the same data and model would give other rows
CHEAP = 32 << 20  # bytes of a file whose texts a dry run tokenizes
Row = dict[str, Any]


def texts_of(records: Iterable[Any]) -> list[str]:
    """All different texts of some records."""
    return list(dict.fromkeys(chain.from_iterable((*leakage.sides(r), *getattr(r, "negatives", ())) for r in records)))


def texts_of_check(kind: str, data: Any) -> list[str]:
    """All different texts of a check's data."""
    space = checks.find(kind).health_data(data)
    return list(dict.fromkeys([*space.anchors, *space.texts]))


def row(source: str, texts: Sequence[str], folder: Path, notes: Sequence[str], skipped: int = 0, rejected: str = "") -> Row:
    """What is known of one source: notes of its reading, rows skipped, and (where there is a tokenizer) its coverage.

    `rejected`: of a check's data, the file that holds the skipped rows.
    """
    found = coverage.tokenizer_coverage(folder, texts)
    return {
        "source": source, "notes": list(notes), "skipped": skipped, "rejected": rejected, **(found.as_row() if found else {}),
    }  # fmt: skip


def _rejected(where: Path, found: Row) -> dict[str, list[Any]]:
    """{name: [bytes, digest]} of the file in `where` that holds a source's skipped rows; {} where none were skipped."""
    file = where / Path(found.get("rejected") or "").name
    return {file.name: [file.stat().st_size, file_digest(file)]} if file.is_file() else {}


def kept(where: Path, source: str, folder: Path, data: str, make: Callable[[], Row], note: Callable[[str], None]) -> Row:
    """The row of a source, kept in `where` for this model and these data; `make` gives it where it is missing or (said) damaged."""
    entry = {"model": lookup.weights_digest(folder), "source": source, "data": data, "version": VERSION}
    file = where / f"inputs-{cache_key(entry)}.json"
    if (found := read_verified(file)) is not None:
        wrong = find_damage(where, found.get("rejected_file", {}))
        if not wrong:
            return found
        note(f"{where}: {'; '.join(wrong)}; {source} is read again")
    elif file.exists():
        note(f"{file}: is damaged; looked at again")
    made = make()
    made |= {"rejected_file": held} if (held := _rejected(where, made)) else {}
    write_verified(file, made, durable=False)
    return made


def of_run(
    recipe: Recipe,
    plan: Plan,
    store: Store,
    made: Mapping[str, Any],
    measures: Measures,
    digests: Mapping[str, Mapping[str, str]],
    note: Callable[[str], None],
) -> list[Row]:
    """The rows of a run's data and then of its checks' data, in the recipe's order.

    `made` has the file of each data line by its key, `digests` the digest of each check's data by check and split.
    """
    folder, where = plan.folder, store.root / "measurements"
    found = []
    for line in plan.lines:
        if "data" in line.entry:
            name, receipt = line.entry["data"], store.receipt(line.name, line.entry) or {}

            def of_data(name=name, path=made[line.key], kind=line.kind, receipt=receipt) -> Row:
                texts = texts_of(files.read(path, kind))
                return row(name, texts, folder, receipt.get("notes", ()), receipt.get("skipped", 0))

            found.append(kept(where, name, folder, line.key, of_data, note))
    for name, spec in recipe.checks.items():
        for split in ("dev", "test"):
            if (source := getattr(spec, split)) is not None:

                def of_check(name=name, kind=spec.kind, split=split, source=source) -> Row:
                    texts = texts_of_check(kind, measures.read(kind, source, split))
                    noted, skipped = measures.notes_of(kind, source, split), measures.skipped_of(kind, source, split)
                    return row(f"{name} {split}", texts, folder, noted, *skipped)

                found.append(kept(where, f"{name} {split}", folder, digests[name][split], of_check, note))
    return found


def decided_and_judged(recipe: Recipe) -> list[str]:
    """A sentence for each check whose test data are its dev data: by what judges the run at its end its steps were chosen."""
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


def warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader should know of the data, a sentence each: skipped rows, and what the model can't read."""
    found = []
    for said in rows:
        if said["skipped"]:
            rejected = said.get("rejected")  # data of checks have no step
            what = (
                f", and its figures are of the others; see {rejected}."
                if rejected
                else "; see rejected.jsonl in its step's folder."
            )
            found.append(f"{said['source']}: {said['skipped']:,} bad rows were skipped{what}")
        if "unknown" in said:
            found += coverage.warnings(said["source"], dict(said))
    return found


def preview(recipe: Recipe) -> list[str]:
    """For a dry run: reads all local data and checks' data; notes and warnings on them, and what is left to the run.

    Raises UserError with the problems of every file.
    """
    folder = lookup.find_model(recipe.model, recipe.file.parent, download=False)
    rows, left, problems = [], [], []
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
        if name in recipe.data and _size(Path(source)) <= CHEAP:
            texts = texts_of(found)
        elif name in recipe.data:
            left.append(f"{name}: what the model can't read of it is counted in a run (larger than {CHEAP >> 20} MB)")
        rejected = "" if name in recipe.data else "rejected-*.jsonl in measurements/ after the run"
        rows.append(row(name, texts, folder, log.notes, log.rejections, rejected))
    if problems:
        raise UserError(dict.fromkeys(problems))
    return [*left, *dict.fromkeys(note for found in rows for note in found["notes"]), *warnings(rows), *decided_and_judged(recipe)]


def _readers(recipe: Recipe) -> Iterator[tuple[str, Any, Callable[[], Any], ReadOptions]]:
    """(name, source, what reads it, with which options) of all data of a recipe, its checks' among them."""
    for name, source in recipe.data.items():
        yield name, source, partial(files.read, source, DATA_KINDS[name]), recipe.read_options(name)
    for name, spec in recipe.checks.items():
        for split in ("dev", "test"):
            if (source := getattr(spec, split)) is not None:
                yield f"{name} {split}", source, partial(checks.find(spec.kind).read, source, split), recipe.read_options()


def _is_remote(source: Any) -> bool:
    return any(str(part).startswith("hf://") for part in (source.values() if isinstance(source, Mapping) else [source]))


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
