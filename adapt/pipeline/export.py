"""What a run leaves for its user: the model with its card, the lock, and how fast the model is."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt import files
from adapt.checks import leakage, speed
from adapt.errors import UserError
from adapt.job import Job
from adapt.models import model_folder
from adapt.pipeline.executor import Steps
from adapt.pipeline.measurements import OnDisk
from adapt.pipeline.run_folder import MARK
from adapt.storage import atomic, digests
from adapt.storage.digests import RECEIPT
from adapt.storage.disk_errors import attach_path

NOT_COPIED = ("README.md", RECEIPT, "__pycache__", ".*", "*.bin", "*.pkl", "*.pt", "*.pth")


def hand_over(steps: Steps, folder: Path, found: Mapping[str, Any]) -> None:
    """Put the final model, which is in `folder`, in the run's `model/`, with its card and receipt, and the lock beside it.

    `model/` is replaced in one step, and only where its files are not what its receipt says, or it is another model.
    """
    import yaml

    from adapt.report import licences, model_card

    root, key = steps.store.root, found["final"]
    target, making = root / "model", root / ".model.making"
    named = licences(steps.plan.folder, steps.recipe.data)
    card = model_card({**found, "licences": named})
    receipt = digests.read_verified(target / RECEIPT)
    wrong = digests.find_model_damage(target) if receipt else [f"{RECEIPT} is missing, cut or changed"]
    if receipt and (receipt.get("key") != key or wrong):
        receipt = None
    if wrong and target.is_dir():
        steps.job.note(f"{target}: is damaged ({'; '.join(wrong)}), and is written again")
    elif receipt:  # a card may be edited: the model stays in use, and what is about to be lost is named
        held = {name: part for name, part in receipt["files"].items() if name.endswith(".md")}
        for phrase in digests.find_damage(target, held):
            steps.job.note(f"{target}: {phrase}; it is written again")
    place = target if receipt else making
    if not receipt:
        with attach_path(making):
            atomic.remove(making)
            _copy(folder, making)
    atomic.write_text(place / "README.md", card)
    digests.write_verified(place / RECEIPT, {"key": key, "recipe": found["recipe"], "files": digests.manifest(place)})
    if not receipt:
        atomic.replace_folder(making, target)
    atomic.write_text(root / MARK, key)
    atomic.write_text(root / "recipe.lock.yaml", yaml.safe_dump(found["lock"], sort_keys=False, allow_unicode=True))


def _copy(folder: Path, making: Path) -> None:
    """A model's folder without its old card and receipt, and without pickles: weights that are pickled only become safetensors."""
    pickled = {file.parent for file in folder.rglob("*.bin")} - {file.parent for file in folder.rglob("*.safetensors")}
    if model_folder.is_sentence_transformer(folder) and not pickled:
        shutil.copytree(folder, making, ignore=shutil.ignore_patterns(*NOT_COPIED))
        copied = {file: (making / file.relative_to(folder)) for file in folder.rglob("*.safetensors")}
        if bad := [str(other) for file, other in copied.items() if digests.file_digest(file) != digests.file_digest(other)]:
            raise OSError(errno.EIO, "what was copied there differs from its source", bad[0])
    else:  # also a plain language model whose every step was set back: it still leaves as an embedder
        from adapt.models.bi_encoder import load_encoder, save_encoder

        save_encoder(load_encoder(folder), making)
    if not list(making.rglob("*.safetensors")):
        raise UserError(f"{folder}: holds no weights to hand over; give a base model with its weights")


def speed_of(steps: Steps, final: str, count: int = 64) -> dict[str, Any]:
    """Encoding speed of the model handed over, on the recipe's own texts; measured once for each model."""
    file = steps.store.root / "measurements" / f"speed-{final}.json"
    if kept := digests.read_verified(file):
        return kept
    if file.exists():
        steps.job.note(f"{file}: is damaged; measured again")
    line = next(line for line in steps.plan.lines if "data" in line.entry)
    found = [side for record in files.read(steps.made[line.key], line.kind) for side in leakage.sides(record)]
    texts = list(dict.fromkeys(found))[:count]
    model = OnDisk(steps.made[final].path, Job(steps.recipe.seed))
    measured = {
        **speed.measure(model.embed, [" ".join(t.split()[:12]) for t in texts[:16]], texts),
        "device": model.device(),
        **speed.size(steps.made[final].path),
    }
    digests.write_verified(file, measured, durable=False)
    return measured
