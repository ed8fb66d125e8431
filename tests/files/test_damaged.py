"""Files that are no files, damaged, in another encoding or too large: one clear sentence each, with file and line."""

import gzip
import os
import stat

import pyarrow as arrow
import pyarrow.parquet as parquet
import pytest

from adapt.errors import UserError
from adapt.files import ReadOptions, count_rows, read, reading

LINES = b"".join(b'{"text": "row %d of a longer file"}\n' % i for i in range(2_000))


def refused(source, kind="texts", **options) -> list[str]:
    """What is said of a source, by reading and, where it can tell, by counting."""
    with reading(ReadOptions(**options)), pytest.raises(UserError) as caught:
        read(source, kind)
    return caught.value.problems


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("latin.jsonl", '{"text": "a"}\n{"text": "café"}\n'.encode("latin-1"), "line 2: byte 0xE9 at position 14 is not UTF-8"),
        ("latin.csv", 'text\ncafé\n'.encode("latin-1"), "line 2: byte 0xE9 at position 4 is not UTF-8"),
        ("latin.txt", "ok\ncafé\n".encode("latin-1"), "line 2: byte 0xE9"),
        ("wide.csv", "text\nfever\n".encode("utf-16"), "is UTF-16 text: save it as UTF-8"),
        ("wide.jsonl", '{"text": "a"}\n'.encode("utf-16-le"), "is UTF-16 text"),
        ("nul.csv", b"text\nfe\0ver\n", "line 2: holds a NUL byte at position 3"),
        ("sheet.csv", b"PK\x03\x04xx", "is a zip archive or a spreadsheet"),
        ("packed.jsonl", gzip.compress(LINES), "is gzip-compressed: give it a name that ends in .gz"),
        ("columns.csv", b"PAR1xxxx", "is a Parquet file"),
        ("cut.jsonl.gz", gzip.compress(LINES)[:-40], "is damaged or cut short"),
        ("plain.jsonl.gz", LINES, "is damaged or cut short"),
        ("none.parquet", b"not parquet", "is damaged or no Parquet file"),
        ("cut.parquet", b"PAR1" + b"x" * 200, "is damaged or no Parquet file"),
    ],
)  # fmt: skip
def test_a_file_that_can_not_be_read_says_why_and_where(tmp_path, name, data, words):
    file = tmp_path / name
    file.write_bytes(data)
    said = refused(file)
    assert len(said) == 1 and said[0].startswith(str(file)) and words in said[0]
    if ".jsonl" in name or "parquet" in name:  # a dry run counts, and says the same
        with pytest.raises(UserError) as caught:
            count_rows(file)
        assert caught.value.problems == said


def test_a_flipped_byte_in_a_gz_is_told_with_the_line_before_it(tmp_path):
    packed = bytearray(gzip.compress(LINES))
    for place in range(len(packed) // 2, len(packed) // 2 + 30):
        packed[place] ^= 0xFF
    (tmp_path / "a.jsonl.gz").write_bytes(packed)
    assert "is damaged or cut short" in refused(tmp_path / "a.jsonl.gz")[-1] or "line" in refused(tmp_path / "a.jsonl.gz")[0]


def test_a_damaged_column_of_a_parquet_is_told(tmp_path):
    parquet.write_table(arrow.table({"text": [f"row {i}" for i in range(5_000)]}), tmp_path / "a.parquet", compression="zstd")
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[200:400] = bytes(200)
    (tmp_path / "a.parquet").write_bytes(data)
    assert "a.parquet: is damaged" in refused(tmp_path / "a.parquet")[0]


def test_what_is_no_regular_file_is_refused_without_being_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    for name, words in [("pipe.jsonl", "is a named pipe"), ("zero.jsonl", "is a device"), ("loop.jsonl", "can't be read")]:
        assert words in refused(tmp_path / name)[0]
    assert "is a folder without corpus.jsonl" in refused(tmp_path)[0]
    assert "the path is too long (5,006 characters)" in refused("x" * 5_000 + ".jsonl")[0]
    assert len(refused("x" * 5_000 + ".jsonl")[0]) < 400
    assert "holds a NUL character" in refused("a\0b.jsonl")[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "a.jsonl").chmod(stat.S_IWUSR)
    assert "a.jsonl: can't be read (permission denied)" in refused(tmp_path / "a.jsonl")[0]


def test_an_io_error_in_the_middle_is_named(tmp_path, monkeypatch):
    class Broken:
        def readline(self, most):
            raise OSError(5, "Input/output error")

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

    monkeypatch.setattr("adapt.files.line_reader._opened", lambda path, packed: Broken())
    (tmp_path / "a.jsonl").write_text("{}")
    assert refused(tmp_path / "a.jsonl") == [f"{tmp_path / 'a.jsonl'}: can't be read (input/output error)"]


def test_sizes_are_bounded_and_the_bounds_can_be_raised(tmp_path):
    (tmp_path / "line.jsonl").write_text('{"text": "short"}\n{"text": "' + "a" * 20_000 + '"}\n')
    assert "line 2: is longer than 0.01 MB" in refused(tmp_path / "line.jsonl", max_line_mb=0.01)[0]
    assert "line 2: column 'text' holds 20,000 characters" in refused(tmp_path / "line.jsonl", max_cell_mb=0.01)[0]
    (tmp_path / "cell.csv").write_text("text\n" + "a" * 20_000 + "\n")
    assert "line 2: a cell is larger than 0.01 million characters" in refused(tmp_path / "cell.csv", max_cell_mb=0.01)[0]
    assert len(read(tmp_path / "line.jsonl", "texts")) == 2 and len(read(tmp_path / "cell.csv", "texts")) == 1


def test_a_gz_bomb_is_refused_when_it_has_grown_too_far(tmp_path, monkeypatch):
    monkeypatch.setattr("adapt.files.line_reader.EXPANSION_ALLOWANCE", 100_000)
    with gzip.open(tmp_path / "bomb.txt.gz", "wb") as file:
        for _ in range(400):
            file.write(b"a" * 999 + b"\n")
    said = refused(tmp_path / "bomb.txt.gz")
    assert "unpacks to more than 200 times its size; raise max_expansion" in said[0] and "line " in said[0]
    with reading(ReadOptions(max_expansion=1_000)):
        assert len(read(tmp_path / "bomb.txt.gz", "texts")) == 400
