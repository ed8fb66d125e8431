import json
import multiprocessing

import pytest

from adapt.errors import UserError
from adapt.store import Store, key_of, write_json


def test_work_is_done_once_and_leaves_a_receipt(tmp_path):
    store, calls = Store(tmp_path), []

    def work(out, scratch):
        calls.append(1)
        (out / "made.txt").write_text("made")
        return {"counts": {"rows": 3}}

    first = store.make("step", {"a": 1}, work)
    assert store.make("step", {"a": 1}, work) == first and len(calls) == 1
    assert first["counts"] == {"rows": 3} and (store.folder("step", {"a": 1}) / "made.txt").read_text() == "made"
    store.make("step", {"a": 2}, work)
    store.make("step", {"a": 1}, work, fresh=True)
    assert len(calls) == 3


def test_failed_work_leaves_no_artifact_but_keeps_its_scratch(tmp_path):
    store = Store(tmp_path)

    def fail(out, scratch):
        (scratch / "checkpoint").write_text("half way")
        (out / "half").write_text("")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.make("step", {}, fail)
    assert store.receipt("step", {}) is None and not store.folder("step", {}).exists()

    def resume(out, scratch):
        assert (scratch / "checkpoint").read_text() == "half way" and list(out.iterdir()) == []
        return {}

    store.make("step", {}, resume)
    assert [p.name for p in tmp_path.iterdir()] == [store.folder("step", {}).name]


def test_keys_do_not_depend_on_the_order_of_entries():
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})


def _hold(folder, held, done):
    with Store(folder).locked():
        held.set()
        done.wait(20)


def test_a_second_run_in_the_same_folder_is_refused(tmp_path):
    held, done = multiprocessing.Event(), multiprocessing.Event()
    other = multiprocessing.Process(target=_hold, args=(tmp_path, held, done))
    other.start()
    assert held.wait(20)
    with pytest.raises(UserError, match="another run is at work"), Store(tmp_path).locked():
        pass
    done.set()
    other.join()
    with Store(tmp_path).locked():
        pass


def test_json_appears_whole(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"ä": 1})
    assert json.loads((tmp_path / "deep" / "a.json").read_text(encoding="utf-8")) == {"ä": 1}
    assert len(list((tmp_path / "deep").iterdir())) == 1
