"""Arrays on disk are whole, or an error."""

import resource
import signal

import numpy as np
import pytest

from adapt.storage import arrays


@pytest.mark.parametrize(("rows", "room"), [(30, 600), (30, 64), (30, 0), (5_000, 4_096), (5_000, 159_000)])
def test_a_disk_that_takes_less_than_the_whole_array_is_an_error(tmp_path, rows, room):
    array = np.arange(rows * 8, dtype=np.float32).reshape(rows, 8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        with pytest.raises(OSError, match="large"), open(tmp_path / "a.npy", "wb") as opened:
            arrays.write(opened, array)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.arange(12.0).reshape(3, 4).T, np.array([(1, 2.0)], dtype="i8, f4")])
def test_an_array_is_written_as_numpy_writes_it(tmp_path, array):
    with open(tmp_path / "ours.npy", "wb") as opened:
        arrays.write(opened, array)
    np.save(tmp_path / "numpys.npy", array)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpys.npy").read_bytes()
