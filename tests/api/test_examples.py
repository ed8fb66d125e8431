"""The examples of the documentation, run as they are written."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent / "examples"
ROOT = EXAMPLES.parent.parent.parent


def run(name, folder):
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment():
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}


@pytest.mark.slow
def test_the_ten_lines_run_as_written(tmp_path):
    texts = [
        f"Medicine {i} is taken with a glass of water in the morning. It does not mix with alcohol, nor with medicine {i + 1}. It "
        f"has the same effect on the liver. The usual dose of medicine {i} is low at first and rises over {i + 2} weeks."
        for i in range(12)
    ]
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n")
    said = run("ten_lines.py", tmp_path)
    assert "<Evaluation of" in said and "retrieval.ndcg@10" in said
    assert (tmp_path / "tuned" / "model.safetensors").is_file()
    calls = [node for node in ast.walk(ast.parse((EXAMPLES / "ten_lines.py").read_text())) if isinstance(node, ast.Call)]
    assert sum(getattr(getattr(call.func, "value", None), "id", "") == "adapt" for call in calls) == 5


@pytest.mark.slow
def test_the_notebook_walk_runs_as_written(domain):
    for package in ("pandas", "matplotlib", "tqdm"):
        pytest.importorskip(package)
    said = run("notebook.py", domain)
    assert "DataResult of mine" in said and "(384,)" in said
    assert (domain / "comparison.png").stat().st_size > 5_000
