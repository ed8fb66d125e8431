"""Titles and sections of raw text: each rule where it holds, and where it must not."""

import pytest

from adapt.text.sections import sections
from adapt.text.titles import titled

LONG = "Stones form when urine holds more salts than it can keep in solution for long."


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (f"# Kidney stones\n\n{LONG}", "Kidney stones"),
        (f"Kidney stones\n{LONG}", "Kidney stones"),
        (f"Why do stones hurt?\n{LONG}", "Why do stones hurt?"),
        (f"Why do stones hurt? {LONG}", "Why do stones hurt?"),
        (f"Kidney stones in adults BACKGROUND: {LONG} METHODS: {LONG}", "Kidney stones in adults"),
        (f"Stones are small.\n{LONG}", ""),  # a sentence, not a title
        ("Stones form when urine holds more\nsalts than it can keep in solution for long.", ""),  # a line broken in mid-sentence
        (f"Background:\n{LONG}", ""),  # the name of a part
        ("Kidney stones", ""),  # nothing follows
        (LONG, ""),
        ("", ""),
    ],
)
def test_a_title_is_found_where_there_is_one(text, title):
    found, body = titled([text])[0]
    assert found == title and f"{found} {body}".split() == text.lstrip("# ").split()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (LONG, [("", LONG)]),
        (f"{LONG}\n\n## Causes ##\n{LONG}\n# Care\n{LONG}", [("", LONG), ("Causes", LONG), ("Care", LONG)]),
        (f"Causes:\n{LONG}", [("Causes", LONG)]),
        (f"Causes\nsalt\nheat.\n{LONG}", [("", f"Causes\nsalt\nheat.\n{LONG}")]),  # no paragraph follows
        (f"- a list item\n{LONG}", [("", f"- a list item\n{LONG}")]),
        (f"METHODS: {LONG} RESULTS: {LONG}", [("METHODS", LONG), ("RESULTS", LONG)]),
        (f"Materials and Methods. {LONG} Conclusions. {LONG}", [("Materials and Methods", LONG), ("Conclusions", LONG)]),
        (f"FIRST AID: {LONG} WHO TO CALL: {LONG}", [("FIRST AID", LONG), ("WHO TO CALL", LONG)]),
        (f"Results: {LONG}", [("", f"Results: {LONG}")]),  # a single label proves nothing
        (
            f"We saw good results: {LONG} There were methods: {LONG}",
            [("", f"We saw good results: {LONG} There were methods: {LONG}")],
        ),
        ("", [("", "")]),
    ],
)
def test_a_text_is_cut_at_its_headings(text, wanted):
    assert sections(text) == wanted
