"""The table of bad data files, with the readers alone; scripts/attack/inputs.py gives them to every command."""

import random

import pytest

from adapt import checks
from adapt.errors import UserError
from adapt.files import ReadLog, read, reading
from tests.files import bad_folders, bad_inputs

READ_AS = {"topics": "texts"}
PARSED = [
    bad for bad in bad_inputs.FILES if not bad.only and bad.name not in ("one-topic.jsonl", "no-topic.jsonl", "bomb.jsonl.gz")
]


def tried(make) -> tuple[str, str, object]:
    """(outcome, what is said, what is read)."""
    with reading() as log:
        try:
            found = make()
        except UserError as error:
            return "refused", str(error), None
        return "noted" if log.notes else "read", "\n".join(log.notes), found


@pytest.mark.parametrize("bad", PARSED, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_with_file_and_line_or_read_and_noted(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kind = random.Random(bad.name).choice(bad.kinds)
    path = bad.write(tmp_path, kind)
    outcome, said, found = tried(lambda: read(path, READ_AS.get(kind, kind)))
    assert outcome == bad.outcome, said
    assert bad.outcome == "read" or not bad.unsaid(said), said
    assert bad.records is None or len(found) == bad.records


@pytest.mark.parametrize("bad", bad_folders.FOLDERS, ids=lambda bad: bad.name)
def test_a_bad_folder_is_refused_with_file_and_line_or_read_and_noted(bad, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = bad.write(tmp_path)
    outcome, said, _ = tried(lambda: checks.find("retrieval").read(folder, bad_folders.SPLIT))
    assert outcome == bad.outcome and not bad.unsaid(said), said
    if bad.name != "nothing":  # not even a folder of judgements
        outcome, said, _ = tried(lambda: read(folder, "pairs"))
        assert outcome == bad.outcome and not bad.unsaid(said), said


def test_sound_files_are_read_without_a_note(tmp_path):
    for kind in bad_inputs.KINDS:
        for name, as_bytes in (
            ("a.csv", bad_inputs.as_csv),
            ("a.jsonl", bad_inputs.as_jsonl),
            ("a.parquet", bad_inputs.as_parquet),
        ):
            (tmp_path / name).write_bytes(as_bytes(bad_inputs.good(kind)))
            with reading() as log:
                assert len(read(tmp_path / name, READ_AS.get(kind, kind))) == bad_inputs.ROWS
            assert isinstance(log, ReadLog) and not log.notes
    folder = bad_folders.BadFolder("sound", lambda parts: None, ()).write(tmp_path)
    with reading() as log:
        assert len(checks.find("retrieval").read(tmp_path / folder, "test").queries) == bad_folders.QUERIES and not log.notes
