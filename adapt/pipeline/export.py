"""Exports the final model of a run with its card, receipt and lock, and measures its speed."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from adapt import files
from adapt.checks import leakage, speed
from adapt.errors import UserError
from adapt.job import Job
from adapt.models import model_folder
from adapt.pipeline.executor import Executor
from adapt.pipeline.measurements import BiEncoderModel
from adapt.pipeline.run_folder import MARK
from adapt.results import RunResult, Speed
from adapt.storage import atomic, digests
from adapt.storage.digests import RECEIPT
from adapt.storage.disk_errors import attach_path

NOT_COPIED = ("README.md", RECEIPT, "__pycache__", ".*", "*.bin", "*.pkl", "*.pt", "*.pth")


def export_model(executor: Executor, folder: Path, result: RunResult) -> None:
    """Write the final model, which is in `folder`, to the run's `model/`, with its card and receipt, and the lock beside it.

    `model/` is replaced in one step, and only where its files are not what its receipt says, or it is another model.
    """
    import yaml

    from adapt.report import find_licences, model_card

    root, key = executor.store.root, result.final
    target, making = root / "model", root / ".model.making"
    card = model_card(result, find_licences(executor.plan.folder, executor.recipe.data))
    receipt = digests.read_verified(target / RECEIPT)
    wrong = digests.find_model_damage(target) if receipt else [f"{RECEIPT} is missing, cut or changed"]
    if receipt and (receipt.get("key") != key or wrong):
        receipt = None
    if wrong and target.is_dir():
        executor.job.note(f"{target}: is damaged ({'; '.join(wrong)}), and is written again")
    elif receipt:  # a card may be edited: the model stays in use, and what is about to be lost is named
        texts = {name: part for name, part in receipt["files"].items() if name.endswith(".md")}
        for phrase in digests.find_damage(target, texts):
            executor.job.note(f"{target}: {phrase}; it is written again")
    place = target if receipt else making
    if not receipt:
        with attach_path(making):
            atomic.remove(making)
            _copy(folder, making)
    atomic.write_text(place / "README.md", card)
    digests.write_verified(place / RECEIPT, {"key": key, "recipe": result.recipe, "files": digests.manifest(place)})
    if not receipt:
        atomic.replace_folder(making, target)
    atomic.write_text(root / MARK, key)
    lock = result.lock.model_dump(mode="json")
    atomic.write_text(root / "recipe.lock.yaml", yaml.safe_dump(lock, sort_keys=False, allow_unicode=True))


def _copy(folder: Path, making: Path) -> None:
    """A model's folder without its old card and receipt, and without pickles: weights that are pickled only become safetensors."""
    pickled = {file.parent for file in folder.rglob("*.bin")} - {file.parent for file in folder.rglob("*.safetensors")}
    if model_folder.is_sentence_transformer(folder) and not pickled:
        shutil.copytree(folder, making, ignore=shutil.ignore_patterns(*NOT_COPIED))
        copied = {file: (making / file.relative_to(folder)) for file in folder.rglob("*.safetensors")}
        if bad := [str(other) for file, other in copied.items() if digests.file_digest(file) != digests.file_digest(other)]:
            raise OSError(errno.EIO, "what was copied there differs from its source", bad[0])
    else:  # also a plain language model whose every step was reverted: it is exported as an embedder
        from adapt.models.bi_encoder import load_encoder, save_encoder

        save_encoder(load_encoder(folder), making)
    if not list(making.rglob("*.safetensors")):
        raise UserError(f"{folder}: holds no weights to export; give a base model with its weights")


def speed_of(executor: Executor, final: str, count: int = 64) -> Speed:
    """Encoding speed of the final model on the recipe's own texts; measured once for each model."""
    file = executor.store.root / "measurements" / f"speed-{final}.json"
    if kept := digests.read_verified(file):
        return Speed.model_validate(kept)
    if file.exists():
        executor.job.note(f"{file}: is damaged; measured again")
    data = executor.plan.data[0]
    path = executor.outputs[data.key]
    assert isinstance(path, Path)
    texts = list(dict.fromkeys(side for record in files.read(path, data.kind) for side in leakage.sides(record)))[:count]
    folder = executor.encoder(final).path
    model = BiEncoderModel(folder, Job(executor.recipe.seed))
    latency = speed.measure(model.embed, [" ".join(text.split()[:12]) for text in texts[:16]], texts)
    found = Speed.model_validate({**latency, "device": model.device(), **speed.size(folder)})
    digests.write_verified(file, found.model_dump(mode="json"), durable=False)
    return found
