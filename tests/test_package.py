"""An ordinary, non-editable install holds everything that a run needs."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_holds_recipes_corpora_and_the_report_template(tmp_path):
    for name in ("adapt", "recipes", "corpora"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "dist"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {"adapt/report/report.html.j2"}
    for folder in ("adapt", "recipes", "corpora"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts and file.name not in (".DS_Store", "README.md"):
                path = file.relative_to(ROOT)
                wanted.add(str(path if folder == "adapt" else Path("adapt") / path))
    wanted = {name for name in wanted if not name.startswith("adapt/recipes/") or name.endswith(".yaml")}
    assert wanted <= held, sorted(wanted - held)[:10]
    assert not any(name.startswith("tests/") for name in held)
