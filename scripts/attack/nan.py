"""Make the loss, a gradient, the weights or a label NaN at the first, middle or last step: nothing may be published or cached.

python scripts/attack/nan.py
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from trials import remove, small_data

from adapt import stages
from adapt.errors import UserError, WorkFailed
from adapt.job import ignore_events
from adapt.pipeline.single_stage import run_stage
from adapt.training import loop
from tests import tiny

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
    """Training inside this context has a NaN there, in step `at`."""
    fit = loop.fit

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

    loop.fit = spoiled
    try:
        yield
    finally:
        loop.fit = fit


def labelled(place: Path, at: int) -> Path:
    """gold.csv with a score of NaN in a row near the beginning, the middle or the end."""
    lines = (place / "gold.csv").read_text().splitlines()
    row = {0: 1, STEPS // 2: len(lines) // 2}.get(at, len(lines) - 1)
    lines[row] = lines[row].rpartition(",")[0] + ",nan"
    (place / "nan.csv").write_text("\n".join(lines) + "\n")
    return place / "nan.csv"


def main() -> int:
    place = Path(tempfile.mkdtemp(prefix="attack-"))
    small_data(place, 40)
    model = tiny.embedder(tiny.language_model(place / "plain"), place / "embedder")
    outcomes: Counter[str] = Counter()
    for name, settings in STAGES.items():
        build: Callable[..., stages.Stage] = stages.find("finetune" if name == "cosent" else name)
        stage = build(max_steps=STEPS, **settings)
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
                        run_stage(stage, sources, out, 13, ignore_events)
                    output = "NO ERROR"
                except (WorkFailed, UserError) as error:
                    output = type(error).__name__
                left = [*place.glob("made*"), *place.glob(".made*")]
                outcome = output if not left else f"LEFT {[p.name for p in left]}"
                outcomes["published or cached" if left or output.isupper() else output] += 1
                if outcome.isupper() or left:
                    print(f"{name}, {where} at step {at + 1} of {STEPS}: {outcome}")
                remove(left)
    shutil.rmtree(place)
    counts = ", ".join(f"{word} {count}" for word, count in sorted(outcomes.items()))
    print(f"NaN in {sum(outcomes.values())} trainings: published or cached {outcomes['published or cached']} ({counts})")
    return int(bool(outcomes["published or cached"]))


if __name__ == "__main__":
    sys.exit(main())
