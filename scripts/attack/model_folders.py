"""Run every command on incomplete, foreign or damaged model folders: none may report a metric, run code or end in a traceback.

python scripts/attack/model_folders.py [NAME ...]
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path

from trials import command, remove, small_data

from tests import tiny
from tests.models import damages

TIMEOUT = 60  # seconds for one command

# Commands by the kind of folder that replaces MODEL.
EVERY = (
    "check --model MODEL --sts gold.csv",
    "embed --model MODEL --texts texts.txt --out made.npy",
    "search --model MODEL --corpus texts.txt fever",
    "compare --model SOUND --model MODEL --sts gold.csv --promote",
    "finetune --model MODEL --examples pairs.jsonl --out made --max-steps 1",
    "tsdae --model MODEL --texts texts.txt --out made --max-steps 1",
    "mine --model MODEL --pairs pairs.jsonl --out made.jsonl",
    "run recipe.yaml --out made --set model=MODEL",
)
COMMANDS = {
    "embedder": EVERY,
    "plain": tuple(line for line in EVERY if line.split()[0] in ("check", "tsdae", "run")),
    "cross-encoder": (
        "check --model MODEL --sts gold.csv",
        "silver --model SOUND --cross-encoder MODEL --gold gold.csv --texts texts.txt --out made.csv --sampling bm25 --pairs 5",
    ),
}


def set_alarm() -> None:
    signal.alarm(TIMEOUT)


def prepare(place: Path) -> dict[str, Path]:
    """Valid models of each kind, and small data."""
    small_data(place, 30)
    (place / "recipe.yaml").write_text(
        "name: attacked\nmodel: SOUND\ndata: {pairs: pairs.jsonl}\nchecks: {sts: {dev: gold.csv, role: target}}\n"
        "stages: [{finetune: {max_steps: 1}}]\n"
    )
    plain = tiny.language_model(place / "plain")
    embedder = tiny.embedder(plain, place / "embedder", dense=16)
    return {"plain": plain, "embedder": embedder, "cross-encoder": tiny.cross_encoder(plain, place / "cross-encoder")}


def trials() -> list[tuple[str, str, damages.Spoil]]:
    """(kind of folder, name of the damage, how)."""
    kinds = {
        "plain": damages.BODY,
        "embedder": {**damages.BODY, **damages.EMBEDDER},
        "cross-encoder": {**damages.BODY, **damages.CROSS_ENCODER},
    }
    return [(kind, name, spoil) for kind, found in kinds.items() for name, spoil in found.items()]


def main(wanted: list[str]) -> int:
    place = Path(tempfile.mkdtemp(prefix="attack-"))
    sound = prepare(place)
    folders = commands = figures = executed = tracebacks = others = 0
    for kind, name, spoil in trials():
        if wanted and name not in wanted:
            continue
        spoiled = place / "spoiled"
        shutil.rmtree(spoiled, ignore_errors=True)
        shutil.copytree(sound[kind], spoiled)
        spoil(spoiled)
        folders += 1
        for line in COMMANDS[kind]:
            words = [w.replace("MODEL", "spoiled").replace("SOUND", "embedder") for w in line.split()]
            ended = command(words, place, prepare=set_alarm)
            made = [p for p in place.glob("made*") if p.name != "made" or (p / "model").exists() or (p / "config.json").exists()]
            ran = (place / damages.CANARY).exists()
            wrong = []
            if ended.code == 0 or made:
                figures, wrong = figures + 1, ["A FIGURE OR A MODEL IS GIVEN"]
            if ended.traceback or ended.code < 0:
                tracebacks, wrong = tracebacks + 1, [*wrong, "traceback"]
            if ran:
                executed, wrong = executed + 1, [*wrong, "CODE IS EXECUTED"]
            if ended.code != 2 and not wrong:
                others, wrong = others + 1, [f"exit {ended.code}"]
            commands += 1
            if wrong:
                print(f"{kind} {name}: {words[0]}: {', '.join(wrong)}: {' '.join(ended.output.split())[-300:]}", flush=True)
            elif wanted:
                print(f"{kind} {name}: {words[0]}: exit {ended.code}: {' '.join(ended.output.split())[:600]}")
            remove([place / damages.CANARY, *place.glob("made*"), *place.glob(".made*"), *place.glob("runs")])
    shutil.rmtree(place)
    print(f"{folders} folders, {commands} commands: figures given {figures}, code executed {executed}, "
          f"tracebacks {tracebacks}, other exit codes than 2 {others}")  # fmt: skip
    return int(bool(figures or executed or tracebacks or others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
