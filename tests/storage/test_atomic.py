import os

import pytest

from adapt.storage import atomic, digests


def test_a_file_is_replaced_whole_or_stays(tmp_path):
    file = tmp_path / "deep" / "a.txt"
    atomic.write_text(file, "old")
    with pytest.raises(RuntimeError), atomic.atomic_file(file) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert file.read_text() == "old" and os.listdir(file.parent) == ["a.txt"]
    atomic.write_text(file, "new")
    assert file.read_text() == "new" and os.listdir(file.parent) == ["a.txt"]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, exchanges):
    if not exchanges:  # as on systems without such a call
        monkeypatch.setattr(atomic, "_exchanged", lambda first, second: False)
    made, target = tmp_path / ".model.making", tmp_path / "model"
    for name in ("first", "second"):
        (made / "deep").mkdir(parents=True)
        (made / "deep" / name).write_text(name)
        atomic.replace_folder(made, target)
        assert [p.name for p in tmp_path.iterdir()] == ["model"] and os.listdir(target / "deep") == [name]


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine").write_text("work")
    (tmp_path / "model").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "made").mkdir()
    atomic.replace_folder(tmp_path / "made", tmp_path / "model")
    assert (tmp_path / "elsewhere" / "mine").read_text() == "work" and not (tmp_path / "model").is_symlink()


def test_a_folder_that_fails_leaves_the_one_before(tmp_path):
    with atomic.atomic_folder(tmp_path / "out") as aside:
        (aside / "a").write_text("a")
    with pytest.raises(RuntimeError), atomic.atomic_folder(tmp_path / "out") as aside:
        (aside / "b").write_text("b")
        raise RuntimeError
    assert os.listdir(tmp_path) == ["out"] and os.listdir(tmp_path / "out") == ["a"]


@pytest.mark.parametrize("content", ["", "{", "null", "[1]", '{"a": 1}', '{"a": 2, "digest": "0"}', "[" * 100_000])
def test_a_sealed_file_that_is_cut_empty_or_changed_is_as_if_absent(tmp_path, content):
    file = tmp_path / "a.json"
    value = {"a": (1, 2), "b": {3: float("nan")}, "ü": "ß"}
    digests.write_verified(file, value)
    found = digests.read_verified(file)
    assert found is not None and found["a"] == [1, 2] and found["b"]["3"] != found["b"]["3"]
    file.write_text(file.read_text().replace("1", "7", 1))
    assert digests.read_verified(file) is None
    file.write_text(content)
    assert digests.read_verified(file) is None and digests.read_verified(tmp_path / "none.json") is None


def test_damage_names_every_file_that_is_not_as_it_was(tmp_path):
    for name in ("a", "b", "c", "d/e"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name * 9)
    (tmp_path / ".unfinished").write_text("")
    files = digests.manifest(tmp_path)
    assert list(files) == ["a", "b", "c", "d/e"] and digests.find_damage(tmp_path, files) == []
    (tmp_path / "a").write_text("A" * 9)
    (tmp_path / "b").write_text("b")
    (tmp_path / "d" / "e").unlink()
    assert digests.find_damage(tmp_path, files) == ["a has changed since it was written", "b has 1 bytes, not 9", "d/e is missing"]
    assert len(digests.find_damage(tmp_path, files, full=False)) == 2
