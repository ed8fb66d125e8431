"""Make any text harmless where it is shown: on a terminal, in HTML, in Markdown, in a spreadsheet. One function for each."""

from __future__ import annotations

import re
from typing import Any

LONGEST = 600  # characters of any one text in a report
LONGEST_LINE = 4_000  # characters of one line on a terminal
# C0 and C1 controls, marks that turn the direction of what follows them, invisible tags, lone surrogates and noncharacters.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_MARKS = re.compile(r"([\\`*_\[\]#|~$]|:(?=//)|^[-+=](?=\s|$|-))")
_BEGINS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # begins a formula in a spreadsheet
_FORMULA = (*_BEGINS, "\t", "\r", "'")  # or is what may come before one, or the apostrophe that hides one


def clean(text: str, longest: int = LONGEST) -> str:
    """A text without control characters, direction marks and lone surrogates, cut to `longest` characters.

    This is all that HTML needs beside the template's own escaping (`adapt.report.html`).
    """
    text = _CONTROLS.sub("", text[: 2 * longest])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def escape_terminal(text: Any, longest: int = LONGEST_LINE) -> str:
    """A text as one line of a terminal: no control characters, so no colours, no moved cursor, no line of its own making."""
    return re.sub(r"[\t\n]", " ", clean(str(text), longest))


def escape_markdown(text: Any, longest: int = LONGEST) -> str:
    """A text on one line as GitHub's Markdown shows it letter by letter: no markup, no HTML, no mention, no link."""
    line = " ".join(clean(str(text), longest).split())
    line = _MARKS.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    line = re.sub(r"(?i)\bwww\.", lambda found: f"{found[0][:3]}\\.", line)
    line = re.sub(r"(?<!\w)@", "@\u200b", line)  # `ndcg@10` is no mention
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)


def markdown_code(text: Any) -> str:
    """A name in Markdown's typewriter letters, where nothing is markup."""
    return "`" + (" ".join(clean(str(text), 100).replace("`", "'").split()) or " ") + "`"


def escape_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: it is prefixed with an apostrophe where one could (or begins with one).

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return "'" + text if text.startswith(_FORMULA) else text


def escape_data_cell(text: str) -> str:
    """A cell of a file that programs read as well: a space before what could be a formula, which readers take away again."""
    return " " + text if text.startswith(_BEGINS) else text


def unescape_cell(text: str) -> str:
    """What `escape_cell` was given."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
