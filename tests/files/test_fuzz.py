import importlib.util
import resource
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def readers():
    spec = importlib.util.spec_from_file_location("attack_readers", ROOT / "scripts" / "attack" / "readers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_two_thousand_damaged_files_are_read_or_refused_and_never_a_traceback(readers):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reports: list[str] = []
    found = readers.attack(2_000, seed=14, report=reports.append)
    assert not [name for name in found if name.startswith("failed")], reports[:3]
    assert found["read"] + found["refused"] == 2_000 and min(found["read"], found["refused"]) > 200
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 300  # MB


def test_undamaged_files_of_every_kind_and_format_are_read(readers, tmp_path):
    import random

    count = 0
    for kind in readers.COLUMNS:
        for suffix in readers.SUFFIXES:
            if suffix == ".txt" and kind not in ("texts", "qrels"):
                continue
            file = tmp_path / f"data{suffix}"
            file.write_bytes(_packed(readers.make(random.Random(3), kind, suffix), suffix))
            count += suffix != ".txt" and kind != "qrels" and bool(_tried(readers, file, kind))
    assert count >= 35  # a draw may hold a cell that is refused, such as one of signs alone


def _packed(data: bytes, suffix: str) -> bytes:
    import gzip

    return gzip.compress(data) if suffix.endswith(".gz") and not data.startswith(b"\x1f\x8b") else data


def _tried(readers, file: Path, kind: str) -> int:
    from adapt.errors import UserError
    from adapt.files import ReadOptions, reading

    try:
        with reading(ReadOptions(on_bad_row="skip", score_range=(0, 5))):
            return readers.read(file, kind)
    except UserError:
        return 0
