"""Fuzz the recipe loader and `--set`: hostile values of every setting through `adapt run --dry-run`, and random recipes.

python scripts/attack/recipes.py commands      # every setting with values of the wrong type or range, every kind of bad file
python scripts/attack/recipes.py drawn 10000   # recipes and overrides mutated by a seed, through the loader
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from adapt import checks, stages  # noqa: E402
from adapt.cli import main  # noqa: E402
from adapt.errors import UserError  # noqa: E402
from adapt.recipe import loading, shipped  # noqa: E402
from tests.recipe.mutations import attack  # noqa: E402

NUMBERS = ("true", "'3'", ".nan", "-.inf", "1e999", "9" * 40, "{a: 1}", "[[1]]", "[a, b]", "yes")
OTHERS = {
    "data.limit": ("true", "0", "-1", "1.5", "'3'", "[1]", "x"), "data.leaks": ("x", "1", "[remove]", "true"),
    "data.texts": ("nothere", "/dev/null", "y" * 5_000, "~nobody-here/x", "5", "[a]", "hf://x", '"\\0"'),
    "data": ("5", "x", "[a]", "true", "{texts: 5}", "{text: a}"), "checks": ("5", "x", "[a]", "true", "{sts: 5}", "{x: {dev: a}}"),
    "checks.sts.role": ("5", "x", "[target]", "true"), "checks.sts.kind": ("5", "x", "[sts]", "true"),
    "checks.sts.dev": ("5", "nothere", "[a]", "{folder: .}", "true"), "checks.sts.depth": ("1", "x"),
    "gate": ("5", "x", "[a]", "true", "{targets: x}", "{target: sts.spearman, target: sts.spearman}"),
    "gate.target": ("5", "sts", "nothere.ndcg@10", "[a]", "true"), "gate.action": ("5", "x", "[keep]", "true"),
    "gate.grid": ("5", "x", "[2]", "[0]", "[true]", "[.nan]"), "gate.guard.sts.spearman": ("x", "true", ".nan", ".inf", "[1]"),
    "gate.transfer.sts.spearman": ("-1", "x", "true", ".nan"), 
    "gate.later": ("5", "x", "{tsdae: 5}", "{x: y}", "{finetune: tsdae}"),
    "stages": ("5", "x", "[5]", "[null]", "[{a: 1, b: 2}]", "[{tsdae: 5}]", "[]", "{}", "[x]"),
    "sweep": ("5", "x", "{x: {y: [1]}}", "{finetune: {epochs: 1}}", "{finetune: {epochs: []}}", "{finetune: {epochs: [0, true]}}",
              "{finetune: {epochs: [1, 1]}}", "{mine: {range_min: [0, 60], range_max: [50, 70]}}",
              "{finetune: {epochs: [" + ", ".join(map(str, range(1, 60))) + "], batch_size: [1, 2]}}"),
    "max_combinations": ("0", "true", "x", "1.5"), "seed": ("-1", "true", "1.5", "x", "9" * 5_000, "4294967296", "[1]"),
    "name": ("../../x", "/elsewhere/x", "..", "5", "[a]", '""', '"a\\nb"', "y" * 300, "'[/b]'"),
    "description": ("5", "[a]", "[" * 2_000),
    "model": ("5", "[a]", "nothere", "./nothere", "y" * 5_000, "~nobody-here/x", '""'), "foo": ("1",), "stages.²": ("1",),
    "stages.9.epochs": ("1",), "seed.x": ("1",), "stages..x": ("1",),
    "stages.tsdae.id": ("../up", "/elsewhere/x", ".", "base", "texts", "gate-tsdae", "5", "[a]", "finetune", "y" * 5_000, "'[/b]'"),
    "stages.augment.examples": ("[]", "{}", "nothere", "[gold, gold]", "[5]", "{gold: x, silver: 1}", "[gold, texts]", "model"),
    "stages.mine.miner": ("nothere", "./nothere", "[model, base]", "texts", "5"), "stages.mine.min_score": ("0.5",),
    "stages.mine.range_min": ("50",),
    "stages.tsdae.min_words": ("101",), "stages.silver.min_words": ("61",), "stages.cross-encoder.max_length": ("513",),
    "stages.silver.max_length": ("100000",), "stages.tsdae": ("5", "[a]", "x"), "": ("x",),
}  # fmt: skip
FILES = {
    "latin-1": "name: café\n".encode("latin-1"), "utf-16": "name: a\n".encode("utf-16"), "nul": b"name: a\0\n",
    "escape": b"name: \x1b[1m\n", "empty": b"", "list": b"- a\n", "word": b"a\n", "deep": b"a: " + b"[" * 5_000,
    "large": b"#" * 300_000, "binary": bytes(range(256)), "bomb": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "tag": b"a: !!python/object/apply:os.getcwd []\n", "two": b"a: 1\n---\nb: 1\n", "twice": b"name: a\nname: b\n",
    "tab": b"name:\n\t- a\n", "merge": b"<<: {name: a}\n", "surrogate": b'name: "\\ud800"\n',
}  # fmt: skip


def settings() -> Iterator[tuple[str, str]]:
    """(key, value) for every setting of every step of the smoke recipe, with values that its type does not allow."""
    for step in loading.load("smoke").steps:
        for name, info in type(step.stage).model_fields.items():
            text = str(info.annotation)
            values: tuple[str, ...]
            if "tuple" in text:
                values = ("5", "{a: 1}", "[{a: 1}]", "[true]", "[.nan]")
            elif "Literal" in text:
                values = ("5", "[a]", "nothere", "true")
            elif "bool" in text:
                values = ("1", "yes", "'true'", "[true]")
            else:
                values = NUMBERS
            yield from ((f"stages.{step.id}.{name}", value) for value in values)


def typed(*args: str) -> tuple[int, str]:
    """(exit code, what was printed on stderr) of a command, in a process of its own; 1 and a traceback where it raised."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        output, code = io.StringIO(), 1
        sys.argv = ["adapt", *args]
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(io.StringIO()):
            try:
                main()
                code = 0
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                import traceback

                traceback.print_exc()
        os.write(write, output.getvalue()[:60_000].encode(errors="replace"))
        os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        text = pipe.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), text


def commands() -> int:
    """Every hostile value and file through `adapt run --dry-run`; the number of failures."""
    for kind in checks.names():
        checks.find(kind)
    for word in stages.names():
        stages.find(word)
    trials = [*settings(), *((key, value) for key, values in OTHERS.items() for value in values)]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for key, value in trials:
            more = ["--set", "stages.mine.max_score=0.1"] if key.endswith("min_score") and value == "0.5" else []
            _judge(counts, f"--set {key}={value[:60]}", key or "--set", "smoke", "--set", f"{key}={value}", *more)
        for name, data in FILES.items():
            Path(f"{name}.yaml").write_bytes(data)
            _judge(counts, f"file {name}", f"{name}.yaml", f"{name}.yaml")
        for name in (".", "/dev/zero", "y" * 5_000, "~nobody-here/x.yaml", "none.yaml", ""):
            _judge(counts, f"file {name[:60]}", name[:20], name)
        left = sorted(path.name for path in Path().iterdir() if path.suffix != ".yaml")
    print(
        f"{len(trials)} values, {len(FILES) + 6} files: " + ", ".join(f"{word} {count}" for word, count in sorted(counts.items()))
    )
    print(f"left behind: {left or 'nothing'}")
    return counts["traceback"] + counts["silently wrong"] + counts["key or file not named"] + len(left)


def _judge(counts: Counter[str], title: str, named: str, *args: str) -> None:
    code, output = typed("run", args[0], "--dry-run", *args[1:])
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    word = "refused"
    if "Traceback" in output:
        word = "traceback"
    elif code != 2:
        word = "silently wrong"
    elif not errors or not any(named in line or named.rpartition(".")[2] in line for line in errors):
        word = "key or file not named"
    counts[word] += 1
    if word != "refused":
        print(f"{word}: {title}\n    {output.strip()[-300:]}", flush=True)


def drawn(count: int, seed: int = 0) -> int:
    """Recipes and overrides drawn by a seed, through the loader; the number of those that raise anything but UserError."""
    text, rng, counts = shipped()["medical-recipe"].read_text(encoding="utf-8"), random.Random(seed), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for _ in range(count):
            data, overrides = attack(text, rng)
            Path("r.yaml").write_bytes(data)
            try:
                loading.load("r.yaml", overrides)
                counts["loaded"] += 1
            except UserError:
                counts["refused"] += 1
            except Exception as error:
                counts["uncaught"] += 1
                print(f"uncaught: {type(error).__name__}: {str(error)[:200]} {overrides}")
    print(f"{count} drawn with seed {seed}: " + ", ".join(f"{word} {number}" for word, number in sorted(counts.items())))
    return counts["uncaught"]


if __name__ == "__main__":
    os.environ["HF_HUB_OFFLINE"] = "1"
    if len(sys.argv) > 1 and sys.argv[1] == "commands":
        sys.exit(min(1, commands()))
    if len(sys.argv) > 2 and sys.argv[1] == "drawn":
        sys.exit(min(1, drawn(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)))
    sys.exit(__doc__)
