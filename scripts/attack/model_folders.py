"""Give every command model folders that are incomplete, foreign or damaged: none may give a figure, run code or end in a traceback.

python scripts/attack/model_folders.py [NAME ...]
"""

from __future__ import annotations

import importlib
import io
import os
import shutil
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

os.environ.update({"HF_HUB_OFFLINE": "1", "ADAPT_DEVICE": "cpu", "TOKENIZERS_PARALLELISM": "false", "ADAPT_CACHE": ""})
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests import tiny
from tests.networks import damages

TIMEOUT = 60  # seconds for one command

# Commands by the kind of folder that stands in MODEL's place.
EVERY = (
    "check --model MODEL --sts sts.csv",
    "embed --model MODEL --texts texts.txt --out made.npy",
    "search --model MODEL --corpus texts.txt fever",
    "compare --model SOUND --model MODEL --sts sts.csv --promote",
    "finetune --model MODEL --examples pairs.jsonl --out made --max-steps 1",
    "tsdae --model MODEL --texts texts.txt --out made --max-steps 1",
    "mine --model MODEL --pairs pairs.jsonl --out made.jsonl",
    "run recipe.yaml --out made --set model=MODEL",
)
COMMANDS = {
    "embedder": EVERY,
    "plain": tuple(line for line in EVERY if line.split()[0] in ("check", "tsdae", "run")),
    "cross-encoder": (
        "check --model MODEL --sts sts.csv",
        "silver --model SOUND --cross-encoder MODEL --gold sts.csv --texts texts.txt --out made.csv --sampling bm25 --pairs 5",
    ),
}


def prepare(place: Path) -> dict[str, Path]:
    """Sound models of each kind, and small data."""
    import json
    import random

    rng = random.Random(1)
    texts = [tiny.sentence(rng) for _ in range(30)]
    (place / "texts.txt").write_text("\n".join(texts) + "\n")
    rows = [f"{tiny.sentence(rng)[:-1]},{tiny.sentence(rng)[:-1]},{i / 30}" for i in range(30)]
    (place / "sts.csv").write_text("sentence1,sentence2,score\n" + "\n".join(rows) + "\n")
    (place / "pairs.jsonl").write_text("".join(json.dumps({"anchor": tiny.sentence(rng), "positive": t}) + "\n" for t in texts))
    (place / "recipe.yaml").write_text(
        "name: attacked\nmodel: SOUND\ndata: {pairs: pairs.jsonl}\nchecks: {sts: {dev: sts.csv, role: target}}\n"
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


def attempt(command: list[str], place: Path) -> tuple[int, str]:
    """(exit code, what it said) of one command in a process of its own, forked from this one so that nothing is imported anew."""
    inside, outside = os.pipe()
    child = os.fork()
    if child == 0:
        import signal

        signal.alarm(TIMEOUT)
        os.chdir(place)
        said = io.StringIO()
        code = 70
        with redirect_stdout(said), redirect_stderr(said):
            try:
                from adapt import cli

                sys.argv = ["adapt", *command]
                cli.main()
                code = 0
            except SystemExit as left:
                code = int(left.code or 0)
            except BaseException:
                import traceback

                traceback.print_exc()
        os.write(outside, said.getvalue().encode()[-60_000:])
        os._exit(code)
    os.close(outside)
    said = b""
    while part := os.read(inside, 65536):
        said += part
    os.close(inside)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status), said.decode(errors="replace")


def main(wanted: list[str]) -> int:
    importlib.import_module("adapt.engine.cross_encoder")  # once, before any fork

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
            code, said = attempt(words, place)
            made = [p for p in place.glob("made*") if p.name != "made" or (p / "model").exists() or (p / "config.json").exists()]
            ran = (place / damages.CANARY).exists()
            wrong = []
            if code == 0 or made:
                figures, wrong = figures + 1, ["A FIGURE OR A MODEL IS GIVEN"]
            if "Traceback" in said or code < 0 or code == 70:
                tracebacks, wrong = tracebacks + 1, [*wrong, "traceback"]
            if ran:
                executed, wrong = executed + 1, [*wrong, "CODE IS EXECUTED"]
            if code != 2 and not wrong:
                others, wrong = others + 1, [f"exit {code}"]
            commands += 1
            if wrong:
                print(f"{kind} {name}: {words[0]}: {', '.join(wrong)}: {' '.join(said.split())[-300:]}", flush=True)
            elif wanted:
                print(f"{kind} {name}: {words[0]}: exit {code}: {' '.join(said.split())[:600]}")
            for left in [place / damages.CANARY, *place.glob("made*"), *place.glob(".made*"), *place.glob("runs")]:
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    shutil.rmtree(place)
    print(f"{folders} folders, {commands} commands: figures given {figures}, code executed {executed}, "
          f"tracebacks {tracebacks}, other exit codes than 2 {others}")  # fmt: skip
    return int(bool(figures or executed or tracebacks or others))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
