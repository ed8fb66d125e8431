"""Put canaries wherever user text enters, run every command, and search all output and files for them.

python scripts/attack/canaries.py [--trials N] [NAME ...]    # NAME: canaries to try

Each canary is tried in a run and eleven commands of its own: as texts, ids, topics, tags, names of checks, description, prompts,
licences, names of files and folders. Beside it runs a twin with harmless words in the same places. What is looked for: markup that
is rendered, control characters, elements or attributes that the twin has not, formulas in tables, what a template would make of it,
paths, the user's name and a token in exported files, files outside the run folder, connections, code that ran.
"""

from __future__ import annotations

import argparse
import csv
import getpass
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from trials import command

from tests import tiny, tiny_domain

MARK = "kanari"  # begins every canary, so that places which it reaches can be counted
HARMLESS = "kanari feather"
CODE = "code-was-executed"
TOKEN, HOME_NAME = "hf_kanariTokenOfTheEnvironment", "kanari-home-folder"
PRODUCT = "8641969"  # 1234567 * 7
CANARIES = {
    "rich": "[/b] [bold red]x[/] [link=http://evil.example]y[/link] :smile:", "script": "</script><script>alert(1)</script>",
    "element": "\"><img src=x onerror=alert(1)> <svg onload=alert(1)>", "attribute": "' onmouseover='alert(1)",
    "comment": "<!-- --> ]]> <![CDATA[ </style></title></table>", "markdown": "[a](http://evil.example) ![b](http://evil.example/c.png)",
    "table": "a|b||c `code` **bold** ~~x~~ # y", "html in markdown": "<details><summary>x</summary> <a href=//evil.example>y</a>",
    "bare address": "https://evil.example www.evil.example @someone", "escape": "\x1b[31mred\x1b]0;title\x07\x1b[2J\x1b[1A",
    "controls": "a\x07b\x08c\x7fd\x9be", "bidi": "\u202egnp.exe\u202c \u2066x\u2069 \u200f", "line": "a\rb\u2028c\u2029d\x85e",
    "tags": "a\U000e0041\U000e0042b\u2060\ufeff", "formula": "=cmd|' /C calc'!A0", "plus": "+1+cmd()", "minus": "-1+cmd()",
    "at": "@SUM(A1:A9)", "jinja": "{{ 1234567 * 7 }} {% for x in ().__class__.__mro__ %}{{ x }}{% endfor %}",
    "format": "%s %(x)s %n {0} {x} {0.__class__} {!r}",
    "yaml": "&a *a !!python/object/apply:os.system ['touch " + CODE + "'] ? : - #",
    "shell": f"$(touch {CODE}) `touch {CODE}` ; touch {CODE} && | > x", "python": f"__import__('os').system('touch {CODE}')",
    "environment": "$HOME ${HOME} $HF_TOKEN ${HF_TOKEN} %HOME% ~",
    "path": "../../../kanari-outside /kanari-outside ~/kanari-outside",
    "json": '", "x": 1}, {"y": "', "null": "\\u0000 \\x1b[31m \\n\\r",
}  # fmt: skip
FORMULAS = ("=", "+", "-", "@", "\t", "\r")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
DATA = (".jsonl", ".npy", ".npz", ".safetensors", ".parquet", ".pt")  # a user's rows as they are, for programs


class Outline(HTMLParser):
    """Every kind of element with the names of its attributes, and the values of those that load something."""

    def __init__(self, text: str):
        super().__init__()
        self.found: set[Any] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(name for name, _ in attrs)))
        self.found |= {(name, value) for name, value in attrs if name in ("href", "src", "action", "style")}

    def handle_comment(self, data: str) -> None:
        self.found.add("comment")


def outline(file: Path) -> set[Any]:
    """The elements of a page or a Markdown file."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        from markdown_it import MarkdownIt

        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
        text = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text)
    return Outline(text).found


def placed(canary: str, text: str, number: int) -> str:
    return f"{text} {canary}" if number % 3 else f"{canary} {text}"


def prepare(root: Path, canary: str) -> Path:
    """A folder with models, data and a recipe that contain the canary wherever user text enters."""
    place = root / "work"
    place.mkdir(parents=True)
    plain = tiny.language_model(place / "plain")
    base = tiny.embedder(plain, place / "base", prompts={"query": f"{canary[:9]} ", "document": ""})
    (base / "README.md").write_text(f"---\nlicense: {canary}\n---\n# {canary}\n", encoding="utf-8")
    tiny.cross_encoder(plain, place / "labeller")
    shown = "".join(letter for letter in canary if letter.isprintable())  # a recipe with control characters is refused
    one_line = re.sub("[\r\n]", "", canary)  # which end a line of judgements
    home = place / f"data {re.sub('/', '', shown)[:60]}"
    home.mkdir()
    tiny_domain.domain(home)
    for file in (*home.glob("*.jsonl"), *home.glob("*/*.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        for i, row in enumerate(rows):
            # A model of 64 tokens truncates: in two of three rows that is the text.
            row |= {name: placed(canary, text, i) for name, text in row.items() if name in ("text", "anchor", "positive")}
            row |= {
                "topic": f"{canary} {i % 2}",
                "origin": canary,
                "group": f"{canary} {i}",
                **({"title": canary} if i % 3 == 0 else {}),
            }
            if "_id" in row:
                row["_id"] += one_line
        file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    for file in home.glob("*/qrels/*.tsv"):
        rows = [line.split("\t") for line in file.read_text().splitlines()]
        with open(file, "w", newline="", encoding="utf-8") as opened:
            writer = csv.writer(opened, delimiter="\t", lineterminator="\n")
            writer.writerows([rows[0], *([row[0] + one_line, row[1] + one_line, row[2]] for row in rows[1:])])
    for file in home.glob("*.csv"):
        with open(file, newline="") as opened:
            rows = list(csv.reader(opened))
        with open(file, "w", newline="", encoding="utf-8") as opened:
            csv.writer(opened).writerows([[*rows[0], "topic"], *([f"{canary} {r[0]}", r[1], r[2], canary] for r in rows[1:])])
    (home / "README.md").write_text(f"License: {canary}\n", encoding="utf-8")
    check = shown.replace(".", "")[:60].strip()
    recipe = {
        "name": "canaries", "description": shown, "model": str(base), "seed": 3,
        "data": {name: f"{home}/{file}" for name, file in
                 (("texts", "texts.jsonl"), ("gold", "gold.csv"), ("pairs", "pairs.jsonl"))},
        "checks": {
            check: {"kind": "retrieval", "dev": f"{home}/dev", "test": f"{home}/test", "role": "guard"},
            "sts": {"dev": f"{home}/sts-dev.csv", "test": f"{home}/sts-test.csv", "role": "target"},
        },
        "gate": {"target": "sts.spearman", "action": "keep"},
        "stages": [{"silver": {"cross_encoder": str(place / "labeller"), "pairs": 10}}, {"mine": {"negatives": 2}},
                   {"finetune": {"max_steps": 1, "batch_size": 8}}],
    }  # fmt: skip
    (place / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return home


def watched(root: Path) -> None:
    """In the process of a command: a token, a home folder, and a record of each connection."""
    os.environ.update({"HF_TOKEN": TOKEN, "HOME": str(root / HOME_NAME), "USER": "kanari-user", "LOGNAME": "kanari-user"})
    connections = root / "connections"

    def noted(*given: Any, **more: Any) -> Any:
        connections.write_text(str(given[-1:]))
        raise OSError(101, "no network")

    socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = noted  # type: ignore[assignment, method-assign]
    signal.alarm(120)


def run_commands(root: Path, canary: str) -> dict[str, tuple[int, str]]:
    """{what was done: (exit code, what was printed)}: a run, its plan, and commands on the same data."""
    home = prepare(root, canary)
    (root / HOME_NAME).mkdir()
    place, base = root / "work", "base"
    texts, pairs, gold = (str(home / name) for name in ("texts.jsonl", "pairs.jsonl", "gold.csv"))
    named = re.sub(r"[/\0]", "", canary)[:60]
    lines = {
        "dry-run": ["run", "recipe.yaml", "--out", "out/run", "--dry-run"],
        "run": ["run", "recipe.yaml", "--out", "out/run"],
        "again": ["run", "recipe.yaml", "--out", "out/run"],
        "check": ["check", "--model", base, "--retrieval", str(home / "test"), "--sts", gold, "--clustering", texts],
        "compare": ["compare", "--model", base, "--model", "out/run/model", "--sts", gold],
        "search": ["search", "--model", base, "--corpus", texts, "--", canary.replace("\0", "")],
        "embed": ["embed", "--model", base, "--texts", texts, "--out", "out/vectors.npy"],
        "silver": ["silver", "--model", base, "--cross-encoder", "labeller", "--texts", texts, "--gold", gold, "--out",
                   "out/silver.csv", "--pairs", "10"],
        "mine": ["mine", "--model", base, "--pairs", pairs, "--out", "out/triplets.csv", "--negatives", "1"],
        "pairs": ["pairs", "--texts", texts, "--out", "out/pairs.csv", "--min-passage-words", "3"],
        "label": ["label", "--model", base, "--texts", texts, "--out", "out/sheet.csv", "--pairs", "8"],
        "hold-out": ["hold-out", "--texts", texts, "--out", "out/held-out", "--queries", "2"],
        "init": ["init", "out/shop", "--model", base, "--texts", texts, "--pairs", pairs, "--gold", gold],
        "no such check": ["check", "--model", base, f"--sts={named}.csv"],
        "no such model": ["check", f"--model={named}", "--sts", gold],
        "no such recipe": ["run", named.lstrip("-")],
        "no such step": ["run", "recipe.yaml", "--out", "out/run", f"--until={named}"],
        "no such setting": ["run", "recipe.yaml", "--out", "out/run", f"--set={named}={named}"],
        "no such column": ["embed", "--model", base, "--texts", texts, "--out", "out/v.npy", f"--column=text={named}"],
    }  # fmt: skip
    found = {}
    for name, words in lines.items():
        ended = command([word.encode(errors="replace").decode() for word in words], place, prepare=lambda: watched(root))
        found[name] = (ended.code, ended.output)
    return found


def looked_at(
    root: Path, output: dict[str, tuple[int, str]], twin: Path, twin_output: dict[str, tuple[int, str]]
) -> tuple[int, list[str]]:
    """(number of searches, findings)."""
    out, looked, found = root / "work" / "out", 0, []

    def seen(wrong: Any, what: str) -> None:
        nonlocal looked
        looked += 1
        if wrong:
            found.append(what)

    for name, (code, text) in output.items():
        seen("Traceback" in text or code < 0, f"{name}: traceback {text[-300:]}")
        seen(code != twin_output[name][0], f"{name}: exit {code}, the twin's {twin_output[name][0]}: {text[-200:]!r}")
        seen(_CONTROLS.search(text), f"{name} prints {_around(_CONTROLS, text)}")
        seen(PRODUCT in text or "<class '" in text, f"{name}: a template is filled in")
        seen(TOKEN in text or HOME_NAME in text, f"{name}: prints the token, or the home folder")
    secrets = {TOKEN: "the token", str(root): "an absolute path", HOME_NAME: "the home folder", "kanari-user": "the user's name"}
    for file in sorted(path for path in out.rglob("*") if path.is_file()):
        inner = file.relative_to(out)
        data = file.read_bytes()
        text = data.decode("utf-8", "replace")
        inside = "model" in inner.parts[:2]
        for secret, what in secrets.items():
            published = inside or (inner.parts[0] == "run" and file.suffix in (".html", ".md") and what != "an absolute path")
            if published or what == "the token":
                seen(secret.encode() in data, f"{inner} holds {what}")
        if file.suffix in DATA or file.name == "tokenizer.json":
            continue
        seen(PRODUCT in text, f"{inner}: a template is filled in")
        if file.suffix in (".html", ".md", ".yaml"):
            seen(_CONTROLS.search(text), f"{inner} holds {_around(_CONTROLS, text)}")
        if file.suffix == ".csv":
            with open(file, newline="", encoding="utf-8-sig") as opened:
                cells = [cell for row in csv.reader(opened) for cell in row]
            bad = [cell for cell in cells if cell.startswith(FORMULAS) and not re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)]
            seen(bad, f"{inner} has {len(bad)} cells that begin a formula: {bad[:1]}")
        if file.suffix in (".html", ".md"):
            other = _twin_of(file, root, twin)
            more = outline(file) - (outline(other) if other else set())
            seen(more, f"{inner} has more elements than its twin: {list(more)[:3]}")
    for name in (CODE, "kanari-outside"):
        seen(list(root.rglob(name)) or Path("/", name).exists(), f"{name} is there")
    seen((root / "connections").exists(), "a connection was tried")
    ours = {path.name for path in root.iterdir()} | {path.name for path in (root / "work").iterdir()}
    more = {n for n in ours if not n.startswith("data ")} - {path.name for path in (*twin.iterdir(), *(twin / "work").iterdir())}
    seen(more or list((root / HOME_NAME).iterdir()), f"outside of the run's folder: {sorted(more)}")
    return looked, found


def _twin_of(file: Path, root: Path, twin: Path) -> Path | None:
    other = twin / file.relative_to(root)
    return other if other.is_file() else None


def _around(pattern: re.Pattern, text: str) -> str:
    found = pattern.search(text)
    return repr(text[max(0, found.start() - 40) : found.end() + 20]) if found else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--trials", type=int, default=0, help="only the first N canaries")
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp(prefix=f"attack-{getpass.getuser()}-"))
    twin = top / "twin"
    twin_output = run_commands(twin, HARMLESS)
    failed = {name: text[-300:] for name, (code, text) in twin_output.items() if code != (2 if name.startswith("no such") else 0)}
    assert not failed, failed
    counts: Counter[str] = Counter()
    for name, canary in CANARIES.items():
        if (given.names and name not in given.names) or (given.trials and counts["canaries"] == given.trials):
            continue
        root = top / f"trial-{counts['canaries']}"
        for front in ("", f"{MARK} "):  # first in a cell or line, and in the middle
            shutil.rmtree(root, ignore_errors=True)
            output = run_commands(root, f"{front}{canary}" if front else f"{canary} {MARK}")
            looked, found = looked_at(root, output, twin, twin_output)
            counts.update(canaries=not front, commands=len(output), looked=looked, found=len(found))
            for what in found:
                print(f"{name}{' inside' if front else ''}: {what}", flush=True)
        shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(top)
    tried = f"{counts['canaries']} canaries, {counts['commands']:,} commands"
    print(f"{tried}: found {counts['found']} of {counts['looked']:,} looked for")
    return int(counts["found"] > 0)


if __name__ == "__main__":
    sys.exit(main())
