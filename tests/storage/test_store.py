import errno
import json
import multiprocessing
import os
import signal

import pytest

from adapt.errors import UserError
from adapt.storage import atomic
from adapt.storage.store import Store, cache_key, write_json

from ..operations import before


def test_work_is_done_once_and_leaves_a_receipt(tmp_path):
    store, calls = Store(tmp_path), []

    def work(out, scratch):
        calls.append(1)
        (out / "made.txt").write_text("made")
        return {"counts": {"rows": 3}}

    first = store.get_or_make("step", {"a": 1}, work)
    assert store.get_or_make("step", {"a": 1}, work) == first and len(calls) == 1
    assert first["counts"] == {"rows": 3} and (store.folder("step", {"a": 1}) / "made.txt").read_text() == "made"
    store.get_or_make("step", {"a": 2}, work)
    store.get_or_make("step", {"a": 1}, work, fresh=True)
    assert len(calls) == 3


def test_failed_work_leaves_no_artifact_but_keeps_its_scratch(tmp_path):
    store = Store(tmp_path)

    def fail(out, scratch):
        (scratch / "checkpoint").write_text("half way")
        (out / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.get_or_make("step", {}, fail)
    assert store.receipt("step", {}) is None and not store.folder("step", {}).exists()

    def resume(out, scratch):
        assert (scratch / "checkpoint").read_text() == "half way" and list(out.iterdir()) == []
        return {}

    store.get_or_make("step", {}, resume)
    assert [p.name for p in tmp_path.iterdir()] == [store.folder("step", {}).name]


def test_keys_do_not_depend_on_the_order_of_entries():
    assert cache_key({"a": 1, "b": [2]}) == cache_key({"b": [2], "a": 1}) != cache_key({"a": 1, "b": [3]})


def _hold(folder, held, done):
    with Store(folder).locked():
        held.set()
        done.wait(20)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    held, done = multiprocessing.Event(), multiprocessing.Event()
    other = multiprocessing.Process(target=_hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(20)
    with pytest.raises(UserError, match="another run is using this folder"), Store(tmp_path).locked():
        pass
    done.set()
    other.join()
    with Store(tmp_path).locked():
        pass


def test_json_appears_whole(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"ä": 1})
    assert json.loads((tmp_path / "deep" / "a.json").read_text(encoding="utf-8")) == {"ä": 1}
    assert len(list((tmp_path / "deep").iterdir())) == 1


def _work(out, scratch):
    """Some of everything: a scratch that is gone on with, files, folders."""
    half = scratch / "half"
    if not half.is_file():
        atomic.write_text(half, "h")
    (out / "model").mkdir()
    (out / "model" / "weights").write_text("made from " + half.read_text())
    return {"counts": {"rows": 1}}


@pytest.mark.parametrize("there", ["nothing", "damaged"])
def test_a_process_killed_before_any_operation_leaves_a_folder_that_goes_on(tmp_path, there):
    """SIGKILL before every change on disk: then the same work gives the same artifact, and nothing half-made is left."""
    operations, killed = 99, 0
    for number in range(99):
        place = tmp_path / str(number)
        place.mkdir()
        if there == "damaged":
            Store(place).get_or_make("step", {}, _work)
            (Store(place).folder("step", {}) / "model" / "weights").write_text("rotten")
        child = os.fork()
        if child == 0:
            with before(place, number, lambda: os.kill(os.getpid(), signal.SIGKILL)):
                Store(place).get_or_make("step", {}, _work)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        receipt = Store(place).get_or_make("step", {}, _work)
        folder = Store(place).folder("step", {})
        assert (folder / "model" / "weights").read_text() == "made from h" and Store(place).receipt("step", {}) == receipt
        assert [p.name for p in place.iterdir()] == [folder.name]
        if not os.WIFSIGNALED(status):
            operations = number
            break
        killed += 1
    assert killed == operations > 8


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_fault_of_the_disk_at_any_operation_is_named_and_leaves_a_folder_that_goes_on(tmp_path, number):
    def fail():
        raise OSError(number, os.strerror(number))

    failed = 0
    for place_of_fault in range(99):
        place = tmp_path / str(place_of_fault)
        place.mkdir()
        with before(place, place_of_fault, fail) as _:
            try:
                Store(place).get_or_make("step", {}, _work)
            except OSError as error:
                failed += 1
                assert error.filename.startswith(str(place)) and Store(place).receipt("step", {}) is None
        Store(place).get_or_make("step", {}, _work)
        assert Store(place).receipt("step", {}) and len([p for p in place.iterdir() if p.name.endswith("making")]) == 0
    assert failed >= 6


@pytest.mark.parametrize("name", ["receipt.json", "model/weights", "notes.txt"])
@pytest.mark.parametrize("way", ["flip", "cut", "empty", "delete"])
def test_an_artifact_that_is_damaged_is_said_and_made_again(tmp_path, name, way):
    store, calls = Store(tmp_path), []

    def work(out, scratch):
        calls.append(1)
        (out / "notes.txt").write_text("notes")
        return _work(out, scratch)

    whole = store.get_or_make("step", {}, work)
    file = store.folder("step", {}) / name
    content = file.read_bytes()
    flipped = bytes([*content[:2], content[2] ^ 1, *content[3:]])
    if way == "delete":
        file.unlink()
    else:
        file.write_bytes({"flip": flipped, "cut": content[:-3], "empty": b""}[way])
    assert store.receipt("step", {}) is None and name in store.damage("step", {})
    cheap = Store(tmp_path, full=False)
    assert (cheap.receipt("step", {}) is None) == (way != "flip" or name == "receipt.json")
    assert store.get_or_make("step", {}, work) == whole and len(calls) == 2 and store.damage("step", {}) == ""
    assert file.read_bytes() == content


def test_why_an_artifact_is_missing_is_known_beside_damaged_receipts(tmp_path):
    store = Store(tmp_path)
    for number in (1, 2):
        store.get_or_make("step", {"a": number}, _work)
    (store.folder("step", {"a": 2}) / "receipt.json").write_text("")
    assert store.latest_entry("step") == {"a": 1} and store.damage("step", {"a": 3}) == ""


def test_a_file_where_a_folder_should_be_is_named_before_any_work(tmp_path):
    store = Store(tmp_path)
    store.folder("step", {}).write_text("")
    with pytest.raises(NotADirectoryError, match="a file exists where a folder is needed"):
        store.get_or_make("step", {}, pytest.fail)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"), Store(tmp_path / "file" / "run").locked():
        pass
