"""Split a document at its headings: markdown, a short line above a longer paragraph, or a run-in label (METHODS: ...)."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"#{1,6}\s+(.*?)\s*#*$")
_ENDS = re.compile(r"[.!?,;…]$")
_LIST = re.compile(r"([-*•·|>]|\d+[.)])\s")
MAX_HEADING_WORDS = 12
# Labels of the parts of structured abstracts; any other word is a label if it is in capitals.
_NAMES = (
    "background introduction context importance rationale hypothesis objectives? aims? purpose goals? design setting participants "
    "patients subjects interventions? measurements? methods? results? findings limitations? conclusions? discussion interpretation"
).split()
_ONE = "|".join(_NAMES)
_NAME = rf"(?:materials and methods|(?:main )?outcome measures?|(?:{_ONE})(?:(?: and | & |/)(?:{_ONE}|materials))?)"
_RUN_IN = re.compile(
    rf"(?<![^\s])((?=[A-Z])(?i:{_NAME}))(?::|\.(?=\s+[A-Z]))\s+"  # METHODS: We ... / Methods. We ...
    r"|(?:^|(?<=[.!?)\]]\s))([A-Z][A-Z /&-]{3,40}):\s+"  # PATIENT EDUCATION: We ...
)


def is_label(line: str) -> bool:
    """Whether a line is a standard label of a part of a paper, such as `Methods:`, and not a description of its content."""
    return re.fullmatch(rf"{_NAME}:?", line.strip(), re.IGNORECASE) is not None


def sections(text: str) -> list[tuple[str, str]]:
    """(heading, text below it) in order; the heading is "" for text before the first heading, or if there is none.

    A single run-in label is not a heading: at least two are needed.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    parts: list[tuple[str, list[str]]] = [("", [])]
    for index, line in enumerate(lines):
        heading = _heading(line, next((later for later in lines[index + 1 :] if later), ""))
        if heading:
            parts.append((heading, []))
        else:
            parts[-1][1].append(line)
    rows = [row for heading, body in parts for row in _run_in(heading, "\n".join(body).strip())]
    return [row for row in rows if any(row)] or [("", "")]


def _heading(line: str, following: str) -> str:
    markdown = _MARKDOWN.match(line)
    if markdown:
        return markdown.group(1)
    words = len(line.split())
    if (
        not words
        or words > MAX_HEADING_WORDS
        or following[:1].islower()
        or _ENDS.search(line)
        or _LIST.match(line)
        or _MARKDOWN.match(following)
    ):
        return ""
    return line.rstrip(":").strip() if len(following.split()) >= 2 * max(words, 5) else ""


def _run_in(heading: str, body: str) -> list[tuple[str, str]]:
    labels = list(_RUN_IN.finditer(body))
    if len(labels) < 2:
        return [(heading, body)]
    ends = [label.start() for label in labels[1:]] + [len(body)]
    rows = [(label.group(1) or label.group(2), body[label.end() : end].strip()) for label, end in zip(labels, ends, strict=True)]
    return [(heading, body[: labels[0].start()].strip()), *rows]
