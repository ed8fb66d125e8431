"""How commands end that could not do their work."""

import errno

import pytest

from adapt.cli import failures
from adapt.errors import UserError, WorkFailed

from .test_console import HOSTILE, shown_in


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (UserError(["first", "second"]), 2, "error: first\nerror: second\n"),
        (WorkFailed("loss is no number"), 1, "failed: loss is no number\n"),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs/x"),
            2,
            "error: runs/x: no access (permission denied). Change its permissions",
        ),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a"), 2, "error: a: is a directory\n"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), 2, "error: a/b: not a directory\n"),
        (
            FileNotFoundError(errno.ENOENT, "No such file or directory", "a", None, "b"),
            2,
            "error: a and b: no such file or directory\n",
        ),
        (OSError(errno.ENAMETOOLONG, "File name too long", "y" * 5_000), 2, "… (5,000 characters): file name too long\n"),
        (UnicodeDecodeError("utf-8", b"\xe9", 0, 1, "bad"), 2, "is not UTF-8 text"),
        (MemoryError(), 2, "out of memory"),
    ],
)
def test_what_a_user_can_mend_is_one_line_each_and_an_exit_code(error, code, words, capsys):
    assert failures.exit_code(error) == code
    said = capsys.readouterr()
    assert words in said.err and said.out == ""


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), RuntimeError("x"), OSError("without a number")])
def test_our_own_faults_keep_their_traceback(error, capsys):
    assert failures.exit_code(error) is None and capsys.readouterr().err == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_in_a_problem_is_shown_letter_by_letter_on_one_line(name, capsys):
    failures.exit_code(UserError(f"check '{name}' is wrong"))
    assert capsys.readouterr().err == f"error: check '{shown_in(name)}' is wrong\n"
