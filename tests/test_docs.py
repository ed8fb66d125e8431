"""Every command, snippet, table and link of the documentation works as it is written.

Commands run in this process, in a folder of tiny data and a random model under the names that the pages use. Three rules change
that, and each use is counted: `DRY_RUN` adds `--dry-run`, `FLAGS_ONLY` checks that script and options exist, `EXEMPT` is not run.
"""

from __future__ import annotations

import ast
import csv
import importlib.util
import json
import re
import runpy
import shlex
import shutil
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from adapt import stages
from adapt.recipe import loading
from tests import tiny_domain

ROOT = Path(__file__).parent.parent
PAGES = [
    "README.md", "CHANGELOG.md", "adapt/README.md", "recipes/README.md", "tests/README.md", "scripts/attack/README.md",
    "scripts/bench/README.md", "corpora/general/README.md", "corpora/medical/README.md",
]  # fmt: skip
# Commands that would train for minutes: everything is checked but the training.
DRY_RUN = {r"adapt run (medical-recipe|smoke)\b": "trains the model that ships for minutes"}
# Scripts that run for minutes or make environments: the script is there, and its source knows every option.
FLAGS_ONLY = {
    r"(python )?scripts/(attack|bench)/": "runs for minutes",
    r"scripts/(demo|test|check|docs-tables)": "makes a virtual environment, or is run by a test of its own",
}
EXEMPT = {
    "pip install": "needs a network",
    "adapt run medical-recipe --out runs/medquad": "its data are not part of the repository",
    "adapt ablate medical-recipe": "trains the model that ships for minutes; `adapt ablate mydomain` is run",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
# What the pages call the tiny files.
NAMES = {
    "notes.jsonl": "texts.jsonl",
    "passages.jsonl": "texts.jsonl",
    "questions.jsonl": "pairs.jsonl",
    "general.jsonl": "pairs.jsonl",
}
MODELS = ("all-MiniLM-L6-v2", "in-service", "candidate", "runs/medical-recipe/model")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(language: str, page: str | None = None) -> list[Block]:
    found = []
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            if match[1] == language and page in (None, name):
                found.append(Block(name, text[: match.start()].count("\n") + 1, match[1], match[2]))
    return found


def commands(page: str) -> list[str]:
    """The commands of a page, one line each."""
    lines = "\n".join(block.text for block in blocks("sh", page)).replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def rule(line: str, rules: dict[str, str]) -> str | None:
    return next((pattern for pattern in rules if re.match(pattern, line)), None)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, embedder) -> Path:
    """A folder with data and models under the names of the pages."""
    folder = tmp_path_factory.mktemp("docs")
    tiny_domain.domain(folder)
    for name, source in NAMES.items():
        shutil.copy(folder / source, folder / name)
    for name in MODELS:
        shutil.copytree(embedder, folder / name)
    rows = [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]
    for name, columns in (("questions.csv", ("Frage", "Antwort")), ("en-fr.csv", ("en", "fr"))):
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows([columns, *((row["anchor"], row["positive"]) for row in rows)])
    (folder / "corpora").symlink_to(ROOT / "corpora")
    (folder / "runs" / "medical-recipe" / ".model.key").touch()  # marks the folder of a run
    return folder


@pytest.fixture(scope="module")
def with_run(prepared, tmp_path_factory) -> Path:
    """The same folder after the quickstart's commands on a user's own files; other run folders are copies of that run."""
    from adapt.cli import cli

    folder = tmp_path_factory.mktemp("run") / "here"
    shutil.copytree(prepared, folder, symlinks=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in ("init mydomain --texts notes.jsonl --pairs questions.jsonl", "run mydomain"):
            assert CliRunner().invoke(cli, line.split(), catch_exceptions=False).exit_code == 0
            shorten()
        shutil.rmtree("runs/medical-recipe")
        for earlier in ("runs/trial", "runs/medical-recipe"):
            shutil.copytree("runs/mydomain", earlier)
    return folder


@pytest.fixture
def workplace(prepared, tmp_path, monkeypatch) -> Path:
    """A copy of the folder before any command, as the working directory."""
    return enter(prepared, tmp_path / "here", monkeypatch)


@pytest.fixture
def workplace_with_run(with_run, tmp_path, monkeypatch) -> Path:
    """A copy of the folder after the quickstart, as the working directory."""
    return enter(with_run, tmp_path / "here", monkeypatch)


def enter(source: Path, folder: Path, monkeypatch) -> Path:
    shutil.copytree(source, folder, symlinks=True)
    monkeypatch.chdir(folder)
    return folder


def shorten() -> None:
    """One step for every training stage of the recipe that `adapt init mydomain` wrote."""
    file = Path("mydomain/recipe.yaml")
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    for step in written["stages"]:
        (name,) = step
        if "max_steps" in stages.find(name).model_fields:
            step[name] = {**(step[name] or {}), "max_steps": 1}
    file.write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")


def run_line(line: str, command, counted: Counter[str]) -> None:
    """Run one line of a page by the rules above."""
    if rule(line, EXEMPT):
        counted["exempt"] += 1
        return
    words = shlex.split(line, comments=True)
    if rule(line, FLAGS_ONLY):
        script = next(ROOT / word for word in words if word.startswith("scripts/"))
        source = script.read_text(encoding="utf-8")
        missing = [word for word in words if re.match(r"--\w", word) and f'"{word.partition("=")[0]}"' not in source]
        assert script.is_file() and not missing, f"{line}: {missing}"
        counted["flags only"] += 1
        return
    assert words[0] == "adapt", f"no rule for {line}"
    arguments = words[1:]
    if rule(line, DRY_RUN):
        counted["dry run"] += 1
        arguments += [] if "--dry-run" in arguments else ["--dry-run"]
    else:
        counted["run"] += 1
    command(*arguments)
    if arguments[:2] == ["init", "mydomain"]:
        shorten()
    if arguments[0] == "label" and "--texts" in arguments:
        fill_in(Path(arguments[arguments.index("--out") + 1]))


def fill_in(sheet: Path) -> None:
    """The part of `adapt label` that a person does: a score in every row."""
    rows = list(csv.reader(sheet.read_text(encoding="utf-8-sig").splitlines()))
    column = rows[0].index("score")
    for number, row in enumerate(rows[1:]):
        row[column] = str(number % 6)
    with open(sheet, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_the_quickstart_runs(workplace, command):
    counted: Counter[str] = Counter()
    for line in commands("README.md"):
        run_line(line, command, counted)
    assert counted["run"] >= 4 and (workplace / "runs" / "mydomain" / "report.html").is_file()


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if commands(page)])
def test_the_commands_of_a_page_run(page, workplace_with_run, command):
    counted: Counter[str] = Counter()
    for line in commands(page):
        run_line(line, command, counted)
    assert sum(counted.values()) == len(commands(page))


def test_every_exemption_is_needed_and_few_are():
    lines = [line for page in PAGES for line in commands(page)] + [line for lines in help_examples().values() for line in lines]
    for rules in (DRY_RUN, FLAGS_ONLY, EXEMPT):
        for pattern in rules:
            assert any(re.match(pattern, line) for line in lines), pattern
    counted = Counter("exempt" if rule(line, EXEMPT) else "dry run" if rule(line, DRY_RUN) else "other" for line in lines)
    assert counted["exempt"] <= 6 and counted["dry run"] <= 10 and counted["other"] > 40


def help_examples() -> dict[str, list[str]]:
    """The example commands in the help of every command."""
    from adapt.cli import cli

    context = click.Context(cli, info_name="adapt")
    found = {}
    for name in cli.list_commands(context):
        known = cli.get_command(context, name)
        assert known is not None
        found[name] = [line.strip() for line in (known.help or "").splitlines() if line.strip().startswith(f"adapt {name}")]
    return found


def test_the_examples_of_every_help_text_run(workplace_with_run, command):
    examples = help_examples()
    assert all(examples.values()), [name for name, lines in examples.items() if not lines]
    shutil.rmtree("mydomain")  # `adapt init mydomain` is among them
    counted: Counter[str] = Counter()
    order = [*CHAIN, *(name for name in examples if name not in CHAIN)]
    for name in order:
        for line in examples[name]:
            run_line(line, command, counted)
    assert counted["run"] > 15


CHAIN = ("cross-encoder", "silver", "mine", "finetune", "init")  # the outputs of these are inputs of others


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_recipe_snippet_loads(block, workplace):
    """A whole recipe, or sections of one that are merged into a minimal recipe."""
    given = yaml.safe_load(block.text)
    minimal = {
        "model": "all-MiniLM-L6-v2",
        "data": {"texts": "texts.jsonl", "pairs": "pairs.jsonl", "gold": "gold.csv"},
        "checks": {"retrieval": {"dev": "dev", "test": "test"}, "sts": {"dev": "sts-dev.csv", "test": "sts-test.csv"}},
        "stages": ["tsdae", "mine", "finetune"],
    }
    for section in ("data", "checks"):
        given[section] = {**minimal[section], **given.get(section, {})}
    Path("snippet.yaml").write_text(yaml.safe_dump({**minimal, **given}, sort_keys=False), encoding="utf-8")
    assert loading.load("snippet.yaml").steps


def test_the_annotated_recipe_is_the_one_that_ships():
    block = blocks("yaml", "recipes/README.md")[0]
    shipped = yaml.safe_load((ROOT / "recipes" / "medical-recipe.yaml").read_text(encoding="utf-8"))
    assert yaml.safe_load(block.text) == {key: value for key, value in shipped.items() if key != "description"}


def file_of(block: Block) -> str | None:
    """The file that a snippet is: its first line names it."""
    match = re.match(r"# (\S+\.(?:py|toml|cfg))\n", block.text)
    return match[1] if match else None


@pytest.mark.parametrize("page", sorted({block.page for block in blocks("python")}))
def test_the_python_of_a_page_runs(page, workplace_with_run):
    """Snippets of a page run in order, in one namespace; whole files have tests of their own."""
    namespace: dict[str, object] = {"__name__": "docs"}
    for block in blocks("python", page):
        if file_of(block) is None:
            exec(compile(block.text, str(block), "exec"), namespace)


def test_a_stage_is_one_file(workplace):
    (block,) = (b for b in blocks("python", "adapt/README.md") if file_of(b) == "adapt/stages/shuffle.py")
    Path("shuffle.py").write_text(block.text, encoding="utf-8")
    sys.modules["adapt.stages.shuffle"] = sys  # whatever pydantic looks up by the module's name
    try:
        names = runpy.run_path("shuffle.py", run_name="adapt.stages.shuffle")
    finally:
        del sys.modules["adapt.stages.shuffle"]
    stage = names["Shuffle"](keep=0.5)
    assert (stage.name(), stage.output_kind()) == ("shuffle", "pairs")
    pairs = [names["Pair"](str(number), "p") for number in range(10)]
    assert len(stage.run(pairs, names["Job"](1))) == 5


def test_scripts_import_names_that_exist():
    """Benchmarks and robustness scripts are not run by the tests; what they import from the package is there."""
    scripts = [
        file
        for file in (ROOT / "scripts").rglob("*")
        if file.is_file() and (file.suffix == ".py" or b"python" in file.read_bytes()[:30])
    ]
    scripts = [file for file in scripts if "__pycache__" not in file.parts]
    wrong, seen = [], 0
    for file in scripts:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("adapt", "tests"):
                for name in node.names:
                    seen += 1
                    if not _importable(str(node.module), name.name):
                        wrong.append(f"{file.relative_to(ROOT)}: {node.module}.{name.name}")
    assert seen > 100 and not wrong, wrong


def _importable(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name) or bool(importlib.util.find_spec(f"{module}.{name}"))
    except ImportError:
        return False


def test_the_tables_are_up_to_date(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["docs-tables", "--check"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / "scripts" / "docs-tables"), run_name="__main__")
    assert not ended.value.code, ended.value.code


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.M)
    plain = (re.sub(r"[^\w\- ]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower()) for title in titles)
    return {title.strip().replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page}: {target}"


def test_every_page_is_tested():
    found = {str(page.relative_to(ROOT)) for page in ROOT.rglob("*.md") if not set(page.parts) & {"runs", ".venv", "venv", "build"}}
    found = {page for page in found if not page.startswith(".")}
    assert found == set(PAGES)


def test_every_code_block_has_a_language():
    for page in PAGES:
        assert all(match[1] for match in FENCE.finditer((ROOT / page).read_text(encoding="utf-8"))), page


def test_the_readme_names_the_two_commands_that_ci_runs():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\nscripts/demo\n" in text and "scripts/test" in text
    assert len(text.splitlines()) <= 170
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text() and "scripts/check" in (ROOT / ".ci" / "run").read_text()


def test_no_page_or_recipe_names_a_path_of_a_machine():
    for file in [*(ROOT / page for page in PAGES), *sorted((ROOT / "recipes").glob("*.yaml"))]:
        assert not re.search(r"/(home|root|work|tmp|Users)/", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_exists(page):
    """Names in backquotes that end in .py or lie below a folder of the repository: relative to it, to `adapt` or to the page."""
    text = FENCE.sub("", (ROOT / page).read_text(encoding="utf-8"))
    named = set(re.findall(r"`((?:adapt|corpora|recipes|scripts|tests)/[\w./-]+|[\w./-]+/[\w-]+\.py|\w+\.py)`", text))
    places = (ROOT, ROOT / "adapt", (ROOT / page).parent, ROOT / "tests", ROOT / "scripts" / "bench")
    missing = sorted(name for name in named if not any((place / name).exists() for place in places))
    assert set(missing) <= {"shuffle.py"}, missing


def test_the_plug_in_of_the_page_is_the_one_that_is_tested():
    shown = {block.text for language in ("python", "toml") for block in blocks(language, "adapt/README.md")}
    files = [file for file in (ROOT / "tests" / "api" / "plugin").iterdir() if file.suffix in (".py", ".toml")]
    assert len(files) == 2 and all(file.read_text(encoding="utf-8") in shown for file in files)


def test_every_test_that_a_page_names_exists():
    text = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    there = {name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 20 and not named - there


@pytest.mark.parametrize("name", stages.built_in())
def test_a_stage_example_names_options_that_exist(name):
    stage = stages.find(name)
    names = [option.name for option in stage.options()] + [want.name for want in stage.inputs()]
    known = {f"--{name.replace('_', '-')}" for name in [*names, "out", "seed", "overwrite"]}
    assert set(re.findall(r"--[a-z-]+", stage.example)) <= known
