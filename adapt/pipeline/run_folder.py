"""Whether a run may write in a folder: never among a user's own files, never where the disk has too little space."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapt import files
from adapt.errors import UserError
from adapt.models import lookup
from adapt.pipeline.plan import PlannedArtifact
from adapt.recipe import Recipe
from adapt.storage import digests, disk_errors
from adapt.storage.digests import RECEIPT

MARK = ".model.key"  # which model a run's `model/` is: the final model's key
# What a run writes beside its artifacts, and would replace.
WRITTEN = (
    "model", "results.json", "report.html", "report.md", "recipe.lock.yaml", "per_example.json", "ablation.json", "seeds.json",
    "measurements", "vectors", "seeds",
)  # fmt: skip
KEY = "[0-9a-f]" * 16
SLACK = 5_000_000  # bytes for reports, measurements, receipts, locks
ROW = 1_000  # bytes of a row of data
CHECKPOINT = 8  # times the weights: the last two checkpoints, each of weights, two moments of AdamW, best weights so far


def refuse_foreign(out: Path) -> None:
    """Raise UserError where `out` is no folder for a run: the working directory, one above it, or one with a user's own files."""
    here, place = Path.cwd(), out.expanduser().resolve()
    if place in (here, *here.parents, Path.home().resolve()):
        raise UserError(f"--out {out}: a run needs a folder of its own, not {place}; choose another --out, for example runs/trial")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file; give a folder")
    if is_run(out):
        return
    own = [name for name in WRITTEN if (out / name).exists()]
    if own:
        raise UserError(
            f"--out {out}: holds {', '.join(own)}, which no run has written (there is no {MARK}) and a run would replace; "
            "choose another --out"
        )


def is_run(out: Path) -> bool:
    """Whether a run has written in a folder: a finished step, or an exported model."""
    if (out / MARK).exists() or digests.read_verified(out / "model" / RECEIPT) is not None:
        return True
    return any(out.glob(f"*-{KEY}/{RECEIPT}"))


def needed(recipe: Recipe, model: Path, artifacts: Sequence[PlannedArtifact], out: Path) -> tuple[int, int]:
    """(bytes that the artifacts of a plan add to a run's folder, further bytes that they need while they are computed), about.

    A trained model is as large as the base in `model`, and encodes all data and what the checks search; a row of data is
    `ROW` bytes. Finished steps count nothing.
    """
    due = [artifact for artifact in artifacts if not artifact.cached]
    if not due:
        return 0, 0
    weights, width = lookup.weight_bytes(model), lookup.embedding_dimension(model)
    made = [artifact for artifact in due if artifact.work == "stage" and artifact.is_model]
    encoders = 1 + sum(artifact.kind == "encoder" for artifact in made)
    sources = {source for spec in recipe.checks.values() for source in spec.sources().values() if isinstance(source, str)}
    rows_of_data = sum(artifact.rows or 0 for artifact in artifacts if artifact.work == "data")
    texts = rows_of_data + sum(files.count_rows(source) or 0 for source in sources)
    rows = sum(artifact.rows or 0 for artifact in due if artifact not in made)
    kept = weights * (1 + len(made)) + ROW * rows + 4 * width * texts * encoders + SLACK
    return kept, max(CHECKPOINT * weights if made else 0, weights)


def require_room(recipe: Recipe, model: Path, artifacts: Sequence[PlannedArtifact], out: Path) -> str:
    """What a run needs and what is free, in words. Raises UserError where it can't fit."""
    kept, besides = needed(recipe, model, artifacts, out)
    disk_errors.require_space(out, kept, "the run", f" (and up to {disk_errors.format_bytes(besides)} more while a step trains)")
    free = disk_errors.free_bytes(out)
    if free is None:
        return f"{out}: needs about {disk_errors.format_bytes(kept)}"
    tight = (
        f"; {disk_errors.format_bytes(besides)} that a checkpoint may need besides are not there" if free < kept + besides else ""
    )
    return f"{out}: needs about {disk_errors.format_bytes(kept)}, {disk_errors.format_bytes(free)} are free{tight}"
