import errno
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adapt.errors import UserError
from adapt.files import read, write
from adapt.records import Text
from adapt.storage import arrays, disk_errors
from adapt.storage.disk_errors import attach_path
from adapt.training import checkpoint

from ..operations import before, before_each

FULL = "/dev/full"  # every write to it fails with ENOSPC


@pytest.mark.skipif(not os.path.exists(FULL), reason="Linux has /dev/full")
@pytest.mark.parametrize("how", ["python", "numpy", "torch", "safetensors"])
def test_whoever_writes_to_a_full_disk_raises_an_error_that_names_the_path(tmp_path, how):
    big = np.zeros(1 << 16)
    with pytest.raises(OSError) as caught, attach_path(tmp_path / "mine"):
        if how == "python":
            with open(FULL, "w") as file:
                file.write("x" * 100_000)
        elif how == "numpy":
            with open(FULL, "wb") as file:
                np.save(file, big)
        elif how == "torch":
            torch.save({"a": torch.from_numpy(big)}, FULL)
        else:
            save_file({"a": torch.from_numpy(big)}, tmp_path / "missing" / "a.safetensors")
    sentence = disk_errors.describe(caught.value)
    assert "mine" in sentence or FULL in sentence or "missing" in sentence
    assert caught.value.errno in ((errno.ENOSPC, errno.EIO) if how != "safetensors" else (errno.ENOENT,))


def test_sentences_say_what_to_try(tmp_path):
    def said(number):
        return disk_errors.describe(OSError(number, os.strerror(number), str(tmp_path / "a")))

    assert "are free there" in said(errno.ENOSPC) and "permissions" in said(errno.EROFS) and str(tmp_path / "a") in said(errno.EIO)


def test_errors_of_another_kind_pass():
    for error in (UserError("no"), ValueError("os"), BrokenPipeError(), ImportError("os error 2")):
        with pytest.raises(type(error)), attach_path("x"):
            raise error


def test_room_is_asked_for_before_work(tmp_path):
    disk_errors.require_space(tmp_path / "not" / "there", 1, "it")
    with pytest.raises(UserError, match=r"it needs about 1,000,000,000\.0 GB, and .* are free there"):
        disk_errors.require_space(tmp_path, 10**18, "it")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv.gz", "a.parquet"])
def test_a_data_file_stays_as_it_was_whatever_fails(tmp_path, name, number):
    file, operations = tmp_path / name, []
    write([Text("1", "old")], file)
    old, new = file.read_bytes(), [Text(str(i), f"new {i}") for i in range(3)]
    with before_each(tmp_path, operations.append):
        write([Text("1", "old")], tmp_path / f"other-{name}")
    (tmp_path / f"other-{name}").unlink()
    failing = [i for i, operation in enumerate(operations) if not operation.startswith("os.mkdir")]  # the folder is there
    assert len(failing) == 2 - name.endswith(".parquet")  # pyarrow opens files itself

    def fail():
        raise OSError(number, os.strerror(number))

    for place in failing:
        with pytest.raises(OSError) as caught, before(tmp_path, place, fail):
            write(new, file)
        assert caught.value.filename == str(file) and file.read_bytes() == old and os.listdir(tmp_path) == [name]
    write(new, file)
    assert [text.text for text in read(file, "texts")] == ["new 0", "new 1", "new 2"]


@pytest.mark.parametrize("kind", ["arrays", "checkpoint"])
def test_scratch_that_is_damaged_anywhere_is_as_if_absent(tmp_path, kind):
    """A bit flipped in any 13th byte, every sort of cut: what is read is the same content, or nothing and a note."""
    file, notes = tmp_path / "a.npz", []
    if kind == "arrays":
        arrays.save(file, x=np.arange(40), y=np.ones((3, 2)))
    else:
        checkpoint.save(file, {"step": 7, "module": {"w": torch.arange(40.0)}})

    def read():
        if kind == "arrays":
            return arrays.load(file, ["x", "y"], notes.append)
        held = checkpoint.load(file, notes.append)
        return held and {"x": held["module"]["w"].numpy(), "y": held["step"]}

    right, content = read(), file.read_bytes()
    assert right is not None and not notes
    none = 0
    for place in range(0, len(content), 13):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        found = read()
        none += found is None
        assert found is None or all(np.array_equal(found[name], right[name]) for name in right)
    for size in (0, 1, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:size])
        assert read() is None
    assert len(notes) == none + 4 and none > 10
    file.unlink()
    assert read() is None and len(notes) == none + 4
