"""Device, threads and precision, as a process finds them."""

import json
import os
import subprocess
import sys

import joblib
import pytest
import torch

from adapt.runtime import device, precision
from adapt.runtime.environment import environment

SPINNING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
WAITS = "import os, adapt; print(os.environ.get('OMP_WAIT_POLICY'))"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "PASSIVE"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ({"GOMP_SPINCOUNT": "5"}, "None"),
        ({"KMP_BLOCKTIME": "0"}, "None"),
    ],
)
def test_threads_that_wait_sleep_unless_the_user_says_otherwise(given, found):
    clean = {
        name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    }
    done = subprocess.run([sys.executable, "-c", WAITS], env=clean | given, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == found


@pytest.mark.parametrize(("named", "wanted"), [(None, 1), ("3", 3)])
def test_a_containers_quota_bounds_the_threads_unless_the_user_names_a_number(monkeypatch, named, wanted):
    before = torch.get_num_threads()
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
    if named:
        monkeypatch.setenv("OMP_NUM_THREADS", named)
    else:
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    try:
        torch.set_num_threads(3)
        device._limit_threads()
        assert torch.get_num_threads() == wanted
    finally:
        torch.set_num_threads(before)


def test_the_environment_names_what_decides_the_bits():
    found = environment()
    assert found["device"] == str(device.device()) and found["precision"] == precision.resolve()
    assert found["threads"] == torch.get_num_threads() and found["processor"] and found["instructions"]


def test_the_option_and_the_variable_mean_the_same_in_every_command_and_results_say_it(recipe_file, tmp_path, command):
    texts = recipe_file.parent / "texts.jsonl"
    model = next(line.split()[1] for line in recipe_file.read_text().splitlines() if line.startswith("model:"))
    made = []
    for number, (option, variable) in enumerate([("bf16", "fp32"), (None, "bf16"), ("fp32", "bf16")]):
        asked = ["--precision", option] if option else []
        out = tmp_path / f"{number}.npy"
        command("embed", "--model", model, "--texts", texts, "--out", out, *asked, ADAPT_PRECISION=variable)
        made.append(out.read_bytes())
    assert made[0] == made[1] != made[2]
    command("run", recipe_file, "--out", tmp_path / "run", "--until", "tsdae", "--precision", "bf16")
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["environment"]["precision"] == "bf16" and results["steps"][0]["counts"].get("precision") in (None, "bf16")
    before = len(list((tmp_path / "run" / "measurements").glob("retrieval-dev-*.json")))
    command("run", recipe_file, "--out", tmp_path / "run", "--until", "tsdae", "--precision", "fp32")
    assert len(list((tmp_path / "run" / "measurements").glob("retrieval-dev-*.json"))) == 2 * before > 0
    assert "Computed on" in (tmp_path / "run" / "report.html").read_text()


@pytest.mark.parametrize("args", [["embed", "--precision", "half"], ["run", "smoke", "--precision", "int8"]])
def test_an_unknown_precision_is_refused_with_the_choices(args, command):
    said = command(*args, exits=2).err
    assert "fp32" in said and "Traceback" not in said


def test_a_variable_that_names_no_precision_is_refused(tmp_path, command):
    said = command("run", "smoke", "--out", tmp_path / "run", exits=2, ADAPT_PRECISION="half").err
    assert "ADAPT_PRECISION is 'half'" in said and "Traceback" not in said
