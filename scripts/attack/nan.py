"""Make the loss, a gradient, the weights or a label NaN at the first, middle or last step: nothing may be published or cached.

python scripts/attack/nan.py
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.update({"HF_HUB_OFFLINE": "1", "ADAPT_DEVICE": "cpu", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})
sys.path.insert(0, str(Path(__file__).parents[2]))

STEPS = 5
STAGES: dict[str, dict[str, Any]] = {
    "finetune": {"loss": "mnrl", "batch_size": 8, "epochs": 9},
    "tsdae": {"batch_size": 8, "epochs": 9},
    "cross-encoder": {"batch_size": 8, "epochs": 9},
    "cosent": {"loss": "cosent", "batch_size": 8, "epochs": 9},
}
INPUTS = {"finetune": ("examples", "pairs.jsonl"), "cosent": ("examples", "gold.csv"), "tsdae": ("texts", "texts.txt"),
          "cross-encoder": ("pairs", "gold.csv")}  # fmt: skip
WHERE = ("loss", "gradient", "weights", "infinite weights", "label")


@contextmanager
def poisoned(where: str, at: int) -> Iterator[None]:
    """Every training within has a NaN there, in its step number `at`."""
    import torch

    from adapt.engine import training

    fit = training.fit

    def spoiled(module: Any, loss: Any, plan: Any, groups: Any, job: Any, **more: Any) -> Any:
        now = -1

        def changed(epoch: int, rows: list[int], done: float) -> Any:
            nonlocal now
            trains = torch.is_grad_enabled() and done < 1
            now += trains
            found = loss(epoch, rows, done)
            value, *rest = found if isinstance(found, tuple) else (found,)
            if trains and now == at:
                if where in ("loss", "label"):
                    value = value * float("nan")
                elif where == "gradient":
                    value.register_hook(lambda slope: slope * float("nan"))
                else:
                    number = float("nan" if where == "weights" else "inf")
                    next(p for p in module.parameters() if p.requires_grad).data.view(-1)[:1] = number
            return (value, *rest) if rest else value

        return fit(module, changed, plan, groups, job, **more)

    training.fit = spoiled
    try:
        yield
    finally:
        training.fit = fit


def labelled(place: Path, at: int) -> Path:
    """gold.csv with a score that is no number in a row near the beginning, the middle or the end."""
    lines = (place / "gold.csv").read_text().splitlines()
    row = {0: 1, STEPS // 2: len(lines) // 2}.get(at, len(lines) - 1)
    lines[row] = lines[row].rpartition(",")[0] + ",nan"
    (place / "nan.csv").write_text("\n".join(lines) + "\n")
    return place / "nan.csv"


def prepare(place: Path) -> Path:
    """Small data, and the model to train."""
    import json
    import random

    from tests import tiny

    rng = random.Random(1)
    texts = [tiny.sentence(rng) for _ in range(40)]
    (place / "texts.txt").write_text("\n".join(texts) + "\n")
    rows = [f"{tiny.sentence(rng)[:-1]},{tiny.sentence(rng)[:-1]},{i / 40}" for i in range(40)]
    (place / "gold.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n")
    (place / "pairs.jsonl").write_text("".join(json.dumps({"anchor": tiny.sentence(rng), "positive": t}) + "\n" for t in texts))
    return tiny.embedder(tiny.language_model(place / "plain"), place / "embedder")


def main() -> int:
    from adapt import stages
    from adapt.errors import UserError, WorkFailed
    from adapt.hand import run_stage
    from adapt.job import silent

    place = Path(tempfile.mkdtemp(prefix="attack-"))
    model = prepare(place)
    outcomes: Counter[str] = Counter()
    for name, settings in STAGES.items():
        stage = stages.find("finetune" if name == "cosent" else name)(max_steps=STEPS, **settings)
        key, file = INPUTS[name]
        for where in WHERE:
            for at in (0, STEPS // 2, STEPS - 1):
                if where == "label" and file != "gold.csv":
                    continue
                data = labelled(place, at) if where == "label" else place / file
                sources = {"model": str(model), key: [str(data)]}
                out = place / "made"
                try:
                    with poisoned("none" if where == "label" else where, at):
                        run_stage(stage, sources, out, 13, silent)
                    said = "NOTHING IS SAID"
                except (WorkFailed, UserError) as error:
                    said = type(error).__name__
                left = [p.name for p in place.iterdir() if p.name.startswith((".made", "made"))]
                outcome = said if not left else f"LEFT {left}"
                outcomes["published or cached" if left or said.isupper() else said] += 1
                if outcome.isupper() or left:
                    print(f"{name}, {where} at step {at + 1} of {STEPS}: {outcome}")
                for found in left:
                    target = place / found
                    shutil.rmtree(target) if target.is_dir() else target.unlink()
    shutil.rmtree(place)
    told = ", ".join(f"{word} {count}" for word, count in sorted(outcomes.items()))
    print(f"NaN in {sum(outcomes.values())} trainings: published or cached {outcomes['published or cached']} ({told})")
    return int(bool(outcomes["published or cached"]))


if __name__ == "__main__":
    sys.exit(main())
