"""Filled sheets that are wrong: refused with file and row; see scripts/attack/inputs.py for the command."""

import pytest

from adapt.errors import UserError
from adapt.prepare.sheet import read_sheet, write_sheet
from adapt.records import ScoredPair
from tests.files import bad_folders


@pytest.fixture
def sheet(tmp_path):
    pairs = [ScoredPair(f"fever number {i}", f"=a cough, number {i}", 0.0, "model") for i in range(8)]
    write_sheet(pairs, tmp_path / "blank.csv")
    return (tmp_path / "blank.csv").read_bytes().decode()


@pytest.mark.parametrize("bad", bad_folders.SHEETS, ids=lambda bad: bad.name)
def test_a_bad_sheet_is_refused_with_file_and_row(bad, sheet, tmp_path):
    with pytest.raises(UserError) as caught:
        read_sheet(tmp_path / bad.write(tmp_path, sheet))
    assert not bad.unsaid(str(caught.value)), caught.value.problems


def test_a_filled_sheet_is_read(sheet, tmp_path):
    found, unscored = read_sheet(tmp_path / bad_folders.BadSheet("a.csv", bad_folders.WHOLE, ()).write(tmp_path, sheet))
    assert len(found) == 8 and not unscored and found[0].score == 0.8 and "=a cough, number" in found[0].sentence2
