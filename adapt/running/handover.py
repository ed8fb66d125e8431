"""What a run leaves for its user: the model with its card, the lock, and how fast the model is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adapt import files
from adapt.checks import leakage, speed
from adapt.job import Job
from adapt.running.measure import OnDisk
from adapt.running.steps import Steps
from adapt.store import write_json


def hand_over(steps: Steps, folder: Path, found: Mapping[str, Any]) -> None:
    """Put the final model, which stands in `folder`, in the run's `model/`, with its card, and the lock beside it."""
    import yaml

    from adapt.report import licences, model_card

    root = steps.store.root
    target, aside, mark = (root / name for name in ("model", ".model.making", ".model.key"))
    if not target.is_dir() or not mark.is_file() or mark.read_text() != found["final"]:
        shutil.rmtree(aside, ignore_errors=True)
        if (folder / "modules.json").is_file():
            shutil.copytree(folder, aside, ignore=shutil.ignore_patterns("README.md", "__pycache__", ".gitattributes", "*.bin"))
        else:  # every step of a plain language model was set back: it still leaves as an embedder
            from adapt.networks.encoder import open_encoder, save_encoder

            save_encoder(open_encoder(folder), aside)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(aside, target)
        mark.write_text(found["final"])
    named = licences(steps.plan.folder, steps.recipe.data)
    (target / "README.md").write_text(model_card({**found, "licences": named}), encoding="utf-8")
    text = yaml.safe_dump(found["lock"], sort_keys=False, allow_unicode=True)
    (root / "recipe.lock.yaml").write_text(text, encoding="utf-8")


def speed_of(steps: Steps, final: str, count: int = 64) -> dict[str, Any]:
    """Encoding speed of the model handed over, on the recipe's own texts; measured once for each model."""
    file = steps.store.root / "measurements" / f"speed-{final}.json"
    if file.is_file():
        return json.loads(file.read_text(encoding="utf-8"))
    line = next(line for line in steps.plan.lines if "data" in line.entry)
    found = [side for record in files.read(steps.made[line.key], line.kind) for side in leakage.sides(record)]
    texts = list(dict.fromkeys(found))[:count]
    model = OnDisk(steps.made[final].path, Job(steps.recipe.seed))
    measured = {
        **speed.measure(model.embed, [" ".join(t.split()[:12]) for t in texts[:16]], texts),
        "device": model.device(),
        **speed.size(steps.made[final].path),
    }
    write_json(file, measured)
    return measured
