"""Run every command that reads data files on bad ones: it must refuse them, or report what it left out, with file and line.

python scripts/attack/inputs.py [--trials N] [--seed N] [NAME ...]    # NAME: parts of the trials' names; these are shown in full
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trials import Ended, command, remove

from tests import tiny
from tests.files import bad_folders, bad_inputs

TIMEOUT = 60  # seconds for one command
STEP = "--max-steps 1 --batch-size 8 --out made"
# {name of a command: its words, where FILE is the data under attack}, by the kind of data.
COMMANDS = {
    "texts": {
        "tsdae": f"tsdae --model base --texts FILE {STEP}",
        "pairs": "pairs --texts FILE --out made.jsonl --min-passage-words 3",
        "silver": "silver --model base --cross-encoder labeller --gold gold.csv --texts FILE --out made.csv --pairs 5",
        "mine --corpus": "mine --model base --pairs pairs.csv --corpus FILE --out made.jsonl --negatives 1",
        "embed": "embed --model base --texts FILE --out made.npy",
        "search": "search --model base --corpus FILE fever",
        "label": "label --model base --texts FILE --out made.csv --pairs 5",
        "hold-out": "hold-out --texts FILE --out made --queries 2",
        "init": "init made --model base --texts FILE",
        "run": "data: {texts: FILE}; stages: [{tsdae: {max_steps: 1}}]",
    },
    "pairs": {
        "mine": "mine --model base --pairs FILE --out made.jsonl --negatives 1",
        "finetune": f"finetune --model base --examples FILE {STEP}",
        "init": "init made --model base --pairs FILE",
        "run": "data: {pairs: FILE}; stages: [{finetune: {max_steps: 1, batch_size: 8}}]",
    },
    "scored": {
        "cross-encoder": f"cross-encoder --model base --pairs FILE {STEP}",
        "silver --gold": "silver --model base --cross-encoder labeller --gold FILE --texts texts.csv --out made.csv --pairs 5",
        "finetune": f"finetune --model base --examples FILE --loss cosent {STEP}",
        "check --sts": "check --model base --sts FILE",
        "compare --sts": "compare --model base --model other --sts FILE",
        "check --pairs": "check --model base --pairs FILE",
        "label --gold": "label --model base --texts texts.csv --gold FILE --out made.csv --pairs 5",
        "init": "init made --model base --gold FILE",
        "run": "data: {gold: FILE}; stages: [{finetune: {examples: gold, loss: cosent, max_steps: 1, batch_size: 8}}]",
        "run check": "checks: {sts: {dev: FILE, role: target}}; data: {texts: texts.csv}; stages: [{tsdae: {max_steps: 1}}]",
    },
    "triplets": {
        "finetune": f"finetune --model base --examples FILE --loss triplet {STEP}",
        "check": "check --model base --triplets FILE",
        "compare": "compare --model base --model other --triplets FILE",
        "run": "data: {triplets: FILE}; stages: [{finetune: {examples: triplets, max_steps: 1, batch_size: 8}}]",
    },
    "labelled": {
        "finetune": f"finetune --model base --examples FILE --loss softmax {STEP}",
        "run": "data: {labelled: FILE}; stages: [{finetune: {examples: labelled, loss: softmax, max_steps: 1, batch_size: 8}}]",
    },
    "parallel": {
        "align": f"align --model base --parallel FILE {STEP}",
        "check": "check --model base --translation FILE",
        "run": "data: {parallel: FILE}; stages: [{align: {max_steps: 1, batch_size: 8}}]",
    },
    "topics": {
        "check --classification": "check --model base --classification FILE",
        "compare --clustering": "compare --model base --model other --clustering FILE",
    },
    "folder": {
        "check": "check --model base --retrieval FILE",
        "compare": "compare --model base --model other --retrieval FILE",
        "finetune": f"finetune --model base --examples FILE {STEP}",
        "mine": "mine --model base --pairs FILE --out made.jsonl --negatives 1",
        "init": "init made --model base --pairs FILE",
        "run": "data: {pairs: FILE}; stages: [{finetune: {max_steps: 1, batch_size: 8}}]",
        "run check": "checks: {retrieval: {dev: FILE, role: target}}; data: {texts: texts.csv}; stages: [{tsdae: {max_steps: 1}}]",
    },
    "sheet": {"label --read": "label --read FILE --out made.csv"},
}  # fmt: skip
CHECKS = "checks: {sts: {dev: check.csv, role: target}}"
OUTCOMES = {"refused": 2, "unmeasured": 1, "noted": 0, "read": 0}


def set_alarm() -> None:
    signal.alarm(TIMEOUT)


@dataclass(frozen=True)
class Trial:
    """A command and a bad file; `bad` holds the expected outcome."""

    kind: str
    name: str
    line: str
    bad: bad_inputs.BadFile | bad_folders.BadFolder | bad_folders.BadSheet

    @property
    def title(self) -> str:
        return f"{self.kind} {self.bad.name}: {self.name}"


def trials() -> Iterator[Trial]:
    """Every bad file with every command that reads its kind; a recipe is tried with `run` and with `run --dry-run`."""
    for kind, lines in COMMANDS.items():
        found: list[Any] = [bad for bad in bad_inputs.FILES if kind in bad.kinds]
        found += bad_folders.FOLDERS if kind == "folder" else bad_folders.SHEETS if kind == "sheet" else ()
        for bad in found:
            for name, line in lines.items():
                for each in dict.fromkeys((name, name.replace("run", "dry-run"))):
                    only = getattr(bad, "only", ())
                    if not only or each in only:
                        yield Trial(kind, each, line, bad)


def prepare(place: Path) -> str:
    """Valid models and data beside the bad files; returns the labelling sheet."""
    plain = tiny.language_model(place / "plain")
    tiny.embedder(plain, place / "base")
    tiny.embedder(plain, place / "other", pooling="cls")
    tiny.cross_encoder(plain, place / "labeller")
    for name, kind in (("texts", "texts"), ("pairs", "pairs"), ("gold", "scored"), ("check", "scored")):
        (place / f"{name}.csv").write_bytes(bad_inputs.as_csv(bad_inputs.good(kind, seed=4)))
    ended = command("label --model base --texts texts.csv --out sheet.csv --pairs 8".split(), place)
    assert ended.code == 0, ended.output
    return (place / "sheet.csv").read_bytes().decode()


def tried(trial: Trial, place: Path, file: str) -> Ended:
    """How the command ends; a file "recipe.yaml" is written for `run`."""
    if trial.name.startswith(("run", "dry-run")):
        parts = ["name: attacked", "model: base", *trial.line.replace("FILE", file).split("; ")]
        parts += [] if any(part.startswith("checks") for part in parts) else [CHECKS]
        (place / "recipe.yaml").write_text("\n".join(parts) + "\n")
        words = ["run", "recipe.yaml", "--out", "made", *(["--dry-run"] if trial.name.startswith("dry-run") else [])]
    else:
        words = [file if word == "FILE" else word for word in trial.line.split()]
    ended = command(words, place, prepare=set_alarm)
    return Ended(ended.code, " ".join(ended.output.split()), ended.seconds)


def judge(trial: Trial, ended: Ended, made: list[str]) -> list[str]:
    """What is wrong with the outcome of a trial, one word each."""
    found = ["traceback"] if ended.traceback or ended.code < 0 else []
    outcome = trial.bad.outcome
    if ended.code != OUTCOMES[outcome]:
        found.append(
            "silently wrong" if ended.code == 0 else "refused though it may be read" if outcome != "refused" else "exit code"
        )
    if outcome != "read" and (unsaid := trial.bad.unsaid(ended.output)):
        found.append("silently wrong" if outcome == "noted" and ended.code == 0 else f"not named: {'; '.join(unsaid)[:200]}")
    if outcome == "refused" and made:
        found.append(f"left behind: {', '.join(made)}")
    return found


def sound(place: Path, sheet: str) -> None:
    """Every command succeeds on valid data, so that later errors are due to the bad files."""
    for kind, lines in COMMANDS.items():
        if kind == "folder":
            bad_folders.BadFolder("sound", lambda parts: None, ()).write(place)
            file = "sound"
        elif kind == "sheet":
            file = bad_folders.BadSheet("filled.csv", bad_folders.WHOLE, ()).write(place, sheet)
        else:
            file = f"sound-{kind}.csv"
            (place / file).write_bytes(bad_inputs.as_csv(bad_inputs.good(kind)))
        for name, line in lines.items():
            for each in dict.fromkeys((name, name.replace("run", "dry-run"))):
                ended = tried(Trial(kind, each, line, bad_folders.FOLDERS[0]), place, file)
                assert ended.code == 0, (kind, each, ended.output)
                remove([*place.glob("made*"), *place.glob(".made*")])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--trials", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="attack-"))
    sheet = prepare(place)
    sound(place, sheet)
    there = {path.name for path in place.iterdir()}
    wanted = [trial for trial in trials() if not given.names or any(name in trial.title for name in given.names)]
    if 0 < given.trials < len(wanted):
        wanted = random.Random(given.seed).sample(wanted, given.trials)
    counts: Counter[str] = Counter()
    due = 0
    for trial in wanted:
        more = {"sheet": (sheet,), "folder": ()}.get(trial.kind, (trial.kind,))
        file = trial.bad.write(place, *more)
        inputs = {path.name for path in place.iterdir()}
        ended = tried(trial, place, file)
        made = sorted({path.name for path in place.iterdir()} - inputs - {"recipe.yaml"})
        if trial.name.startswith("run") and not (place / "made" / "model").exists():
            made = []  # a run's folder may be there, and no model
        found = judge(trial, ended, made)
        due += trial.bad.outcome != "read"
        counts.update(word.partition(":")[0] for word in found)
        if found or given.names:
            print(
                f"{trial.title}: exit {ended.code}, {ended.seconds:.1f} s: {', '.join(found) or 'right'}\n"
                f"    {ended.output[-1500:]}",
                flush=True,
            )
        remove(path for path in place.iterdir() if path.name not in there)
    shutil.rmtree(place)
    named = due - counts["not named"] - counts["silently wrong"]
    files = len({(trial.kind, trial.bad.name) for trial in wanted})
    print(
        f"{len(wanted):,} commands, {files} bad files of {len({trial.kind for trial in wanted})} kinds: tracebacks "
        f"{counts['traceback']}, silently wrong {counts['silently wrong']}, file and line named {named:,} of {due:,}, "
        f"wrong exit codes {counts['exit code'] + counts['refused though it may be read']}, left behind {counts['left behind']}"
    )
    return int(sum(counts.values()) > 0)


if __name__ == "__main__":
    sys.exit(main())
