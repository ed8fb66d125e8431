from pathlib import Path

import pytest

import adapt
from adapt.escaping import clean, escape_cell, escape_markdown, escape_terminal, markdown_code, unescape_cell
from adapt.files import read, rows, write
from adapt.records import Pair
from adapt.report.run_folder import RunFolder
from adapt.retrieval import mining_report
from tests.report.conftest import run_result


def test_clean_takes_out_what_can_do_harm_and_leaves_other_writing_alone():
    assert clean("nul\x00 \u202eback\u202c \ud800 \x85end") == "nul back  end"
    assert clean("عربي 中文 naïve 👍 tab\tline\n") == "عربي 中文 naïve 👍 tab\tline\n"
    assert clean("abcdef", 4) == "abc…" and len(clean("x" * 100_000)) == 600


def test_markdown_escapes():
    assert escape_markdown("1. a *b* _c_ `d` [e](f) | g") == r"1\. a \*b\* \_c\_ \`d\` \[e\](f) \| g"
    assert escape_markdown("0.5 of retrieval.ndcg@10 in all-MiniLM-L6-v2") == "0.5 of retrieval.ndcg@10 in all-MiniLM-L6-v2"
    assert escape_markdown("- a\n# b <i> &amp;") == r"\- a \# b &lt;i&gt; &amp;amp;"
    assert escape_markdown("see @team, https://x.example") == "see @\u200bteam, https\\://x.example"
    assert markdown_code("a`b\nc") == "`a'b c`"


def test_a_terminal_line_holds_no_control_and_is_one_line():
    assert escape_terminal("a\x1b[31mred\x07 \u202eback\nerror: not ours\tb") == "a[31mred back error: not ours b"
    assert (
        escape_terminal("\ud800lone \U000e0041tag") == "lone tag" and escape_terminal(["[/b]", ":smile:"]) == "['[/b]', ':smile:']"
    )
    assert escape_terminal("日本語 עברית 👩‍👩‍👧 naïve") == "日本語 עברית 👩‍👩‍👧 naïve"
    assert len(escape_terminal("x" * 10**6)) == 4_000


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "＝1", "=cmd|' /C calc'!A0"])
def test_a_cell_is_no_formula_and_comes_back_as_it_was(text):
    assert escape_cell(text) == "'" + text and unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("text", ["", "'", "it's", "a=1", "1-1", "'quoted'", " =1"])
def test_an_ordinary_cell_comes_back_as_it_was(text):
    assert unescape_cell(escape_cell(text)) == text


@pytest.mark.parametrize("name", ["pairs.csv", "pairs.tsv", "pairs.csv.gz"])
def test_records_in_a_table_are_no_formulas_and_come_back_as_they_were(tmp_path, name):
    texts = ("=cmd|' /C calc'!A0", "+1+1", "-5 °C", "@SUM(A1)", "＝1", "'=1", "plain, a=b", "two\rlines", "two\r\nlines")
    pairs = [Pair(text, f"{text} again", origin=text) for text in texts]
    write(pairs, tmp_path / name)
    table = [value for _, row in rows(tmp_path / name) for value in row.values()]
    assert not [cell for cell in table if cell.startswith(("=", "+", "-", "@", "＝"))]
    assert read(tmp_path / name, "pairs") == pairs


def test_commands_print_texts_through_one_function_only():
    files = sorted((Path(adapt.__file__).parent / "cli").glob("*.py"))
    lines = [line.strip() for file in files for line in file.read_text().splitlines() if "click.echo(" in line]
    assert len(files) >= 8 and len(lines) >= 3
    assert all("escape_terminal(" in line or "click.echo(json.dumps(" in line for line in lines)


def test_a_table_for_people_holds_no_formula_and_is_shown_as_it_was(tmp_path):
    result = run_result().in_folder(tmp_path)
    step = next(step for step in result.steps if step.stage == "mine")
    file = tmp_path / step.folder / "hardest.csv"
    file.parent.mkdir()
    mining_report._table(file, ("anchor", "score"), [("=1+1", -0.5), ("plain", 0.5), ("'@x", 1.0)])
    assert "'=1+1,-0.5000" in file.read_text()
    assert [row.query for row in RunFolder(result).mined_rows(step, "hardest")] == ["=1+1", "plain", "'@x"]
