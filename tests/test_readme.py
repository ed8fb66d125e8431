"""What the README says is what the code does."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from adapt import recipe, stages

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"


def test_the_table_of_stages_is_fresh():
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "stage-table"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_two_commands_are_there_and_run_what_ci_runs():
    text = README.read_text(encoding="utf-8")
    assert "\nscripts/demo\n" in text and "\nscripts/test\n" in text
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text() and "scripts/check" in (ROOT / ".ci" / "run").read_text()


def test_the_recipe_that_is_explained_is_the_one_that_ships():
    block = re.search(r"```yaml\n(.*?)```", README.read_text(encoding="utf-8"), re.S).group(1)
    shipped = (ROOT / "recipes" / "medical-recipe.yaml").read_text(encoding="utf-8")
    lines = [line.split(" #")[0].rstrip() for line in block.splitlines()]
    bare = [line.split(" #")[0].rstrip() for line in shipped.splitlines()]
    for line in lines:
        assert line in bare, line


def test_the_stage_that_the_readme_adds_is_a_stage(tmp_path):
    block = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S).group(1)
    imports = """
from typing import ClassVar
import numpy as np
from pydantic import Field
from adapt.job import Job
from adapt.records import Pair, Pairs
from adapt.stages import Share, Stage
"""
    (tmp_path / "shuffle.py").write_text(imports + block)
    spec = importlib.util.spec_from_file_location("adapt.stages.shuffle", tmp_path / "shuffle.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        stage = module.Shuffle(keep=0.5)
        assert (stage.name(), stage.output_kind(), [i.name for i in stage.inputs()]) == ("shuffle", "pairs", ["pairs"])
        assert len(stage.run([module.Pair(str(i), "p") for i in range(10)], module.Job(1))) == 5
    finally:
        del sys.modules[spec.name]


@pytest.mark.parametrize("word", stages.names())
def test_every_command_names_options_that_exist(word):
    stage = stages.find(word)
    known = {
        f"--{n.replace('_', '-')}" for n in [*stage.model_fields, *(i.name for i in stage.inputs()), "out", "seed", "overwrite"]
    }
    assert set(re.findall(r"--[a-z-]+", stage.example)) <= known


def test_no_path_of_a_machine_and_no_figure_without_its_recipe():
    for file in [README, *sorted((ROOT / "recipes").glob("*.yaml"))]:
        assert not re.search(r"/(home|root|work|tmp|Users)/", file.read_text(encoding="utf-8")), file
    assert set(recipe.shipped()) == {file.stem for file in (ROOT / "recipes").glob("*.yaml")}


def test_every_test_that_the_table_of_methods_names_is_there():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    there = {name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 20 and not named - there
