"""Escape text for where it is shown: one function each for terminals, HTML, Markdown and spreadsheets."""

from __future__ import annotations

import re

MAX_LENGTH = 600  # characters of any one text in a report
MAX_LINE = 4_000  # characters of one line on a terminal
# C0 and C1 controls, direction marks, invisible tags, lone surrogates and noncharacters.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_MARKUP = re.compile(r"([\\`*_\[\]#|~$]|:(?=//)|^[-+=](?=\s|$|-))")
_OPERATORS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # start a formula in a spreadsheet
_FORMULA = (*_OPERATORS, "\t", "\r", "'")  # or may precede one, or is the apostrophe that escapes one


def clean(text: str, max_length: int = MAX_LENGTH) -> str:
    """A text without control characters, direction marks and lone surrogates, cut to `max_length` characters.

    HTML needs nothing more than this and the template's own escaping (`adapt.report.html`).
    """
    text = _CONTROLS.sub("", text[: 2 * max_length])
    return text if len(text) <= max_length else text[: max_length - 1] + "…"


def escape_terminal(text: object, max_length: int = MAX_LINE) -> str:
    """A text as one line of a terminal: without control characters, so no colours, cursor movements or line breaks."""
    return re.sub(r"[\t\n]", " ", clean(str(text), max_length))


def escape_markdown(text: object, max_length: int = MAX_LENGTH) -> str:
    """A text as one line that GitHub's Markdown shows literally: no markup, HTML, mention or link."""
    line = " ".join(clean(str(text), max_length).split())
    line = _MARKUP.sub(r"\\\1", line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    line = re.sub(r"(?i)\bwww\.", lambda match: f"{match[0][:3]}\\.", line)
    line = re.sub(r"(?<!\w)@", "@\u200b", line)  # `ndcg@10` is no mention
    return re.sub(r"^(\d+)([.)])(?=\s|$)", r"\1\\\2", line)


def markdown_code(text: object) -> str:
    """A name as inline code in Markdown."""
    return "`" + (" ".join(clean(str(text), 100).replace("`", "'").split()) or " ") + "`"


def escape_cell(text: str) -> str:
    """A spreadsheet cell that is never taken for a formula: an apostrophe precedes what could be one (or starts with one).

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    return "'" + text if text.startswith(_FORMULA) else text


def escape_data_cell(text: str) -> str:
    """A cell of a file that programs read too: a space, which readers strip, precedes what could be a formula."""
    return " " + text if text.startswith(_OPERATORS) else text


def unescape_cell(text: str) -> str:
    """The text that `escape_cell` escaped."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text
