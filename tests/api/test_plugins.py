"""Another package's stage and check: installed as people install, used in a recipe, as a command and from Python."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import adapt
from adapt import checks, plugins, stages
from adapt.errors import UserError

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A folder that holds the example package as pip installs it."""
    source, target = tmp_path_factory.mktemp("source") / "plugin", tmp_path_factory.mktemp("installed")
    shutil.copytree(HERE / "plugin", source)  # pip builds in the folder itself
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(target),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return target


def forget():
    plugins.registered.cache_clear()
    stages.find.cache_clear()
    checks.find.cache_clear()


@pytest.fixture
def known(installed, monkeypatch):
    """The package is on this process's path."""
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PYTHONPATH", f"{installed}{os.pathsep}{ROOT}")
    forget()
    yield
    monkeypatch.undo()
    sys.modules.pop("adapt_plugin_example", None)
    forget()


def register(folder, value, name="broken", group="adapt.stages"):
    """A package of no files but its metadata, installed in `folder`."""
    info = folder / f"{name}_package-2.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {value}\n")


def test_a_stage_of_another_package_is_a_function_a_command_and_a_step(known, domain, embedder, tmp_path, command):
    texts = ["one two three four five six seven", "seven six five four"]
    made = adapt.first_words(texts=texts, words=2)
    assert [row["anchor"] for row in made] == ["one two", "seven six"] and "first_words" in dir(adapt)
    command("first-words", "--texts", domain / "texts.jsonl", "--words", 3, "--out", tmp_path / "made.jsonl")
    first = json.loads((tmp_path / "made.jsonl").read_text().splitlines()[0])
    assert first["positive"].startswith(first["anchor"]) and len(first["anchor"].split()) == 3
    recipe = {
        "name": "plugin",
        "model": embedder,
        "data": {"texts": domain / "texts.jsonl"},
        "checks": {"mean-similarity": {"dev": domain / "sts-dev.csv", "test": domain / "sts-test.csv"}},
        "stages": ["first-words", {"finetune": {"examples": "beginnings", "max_steps": 1, "batch_size": 8}}],
    }
    result = adapt.run(recipe, out=tmp_path / "run")
    assert result.step("first-words").rows == 30 and result.test[0].metric == "mean-similarity.mean"
    with pytest.raises(UserError, match=r"unknown setting 'wordz'. Did you mean 'words'"):
        adapt.load_recipe(recipe | {"stages": [{"first-words": {"wordz": 1}}]})


def test_a_check_of_another_package_is_a_keyword_and_an_option(known, domain, embedder):
    data = domain / "sts-test.csv"
    found = adapt.evaluate(embedder, mean_similarity=data)
    # In a process of its own: options are made of the kinds of checks that are installed when the command is imported.
    words = ["check", "--model", str(embedder), "--mean-similarity", str(data), "--json"]
    done = subprocess.run([sys.executable, "-m", "adapt", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert found["mean-similarity.mean"] == pytest.approx(json.loads(done.stdout)["mean-similarity"]["mean"])
    assert adapt.compare(embedder, embedder, mean_similarity=data)["mean-similarity.mean"].delta == 0


def test_help_lists_another_package_s_stage_without_importing_it(known):
    code = "import sys; sys.argv = ['adapt', '--help']; from adapt import cli\ntry: cli.main()\nexcept SystemExit: pass\n"
    code += "print('imported', 'adapt_plugin_example' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "first-words" in done.stdout and "adapt-plugin-example 0.1" in " ".join(done.stdout.split())
    assert done.stdout.rstrip().endswith("imported False")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module:Stage", "can't be imported (ModuleNotFoundError: No module named 'no_such_module')"),
        ("json:JSONDecoder", "is not a subclass of adapt.stages.Stage"),
        ("json:nothing", "can't be imported (AttributeError"),
    ],
)
def test_a_broken_stage_is_reported_with_its_package_when_it_is_used(tmp_path, monkeypatch, command, value, problem):
    register(tmp_path, value)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    try:
        assert "broken" in stages.names()
        with pytest.raises(UserError) as raised:
            adapt.run_stage("broken", texts=["a"])
        assert f"stage 'broken' of package broken-package 2.0 ({value}): {problem}" in str(raised.value)
        assert "broken-package 2.0" in command("broken", exits=2).err
        command("--help")  # the others are listed
    finally:
        monkeypatch.undo()
        forget()


def test_a_name_that_adapt_has_or_that_is_no_name_is_left_out(tmp_path, monkeypatch, caplog):
    register(tmp_path, "json:loads", name="mine")
    register(tmp_path, "json:loads", name="Upper_Case")
    register(tmp_path, "json:loads", name="sts", group="adapt.checks")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    try:
        assert stages.names() == stages.built_in() and checks.names() == checks.built_in()
        assert stages.find("mine").__module__ == "adapt.stages.mine"
        assert "package mine-package 2.0: adapt.stages 'mine' is ignored" in caplog.text
    finally:
        monkeypatch.undo()
        forget()
