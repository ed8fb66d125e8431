"""Words that the field has better names for stay out of code, comments, messages and documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("adapt", "recipes", "scripts", "tests", "corpora")
ENDINGS = {".py", ".md", ".yaml", ".j2", ".cfg", ".toml", ""}
# A regular expression → what to write instead.
WORDS = {
    r"\bCrew\b|\bcrew\b": "ProcessGroup",
    r"go(es)? back to the model before": "reverted",
    r"\bon_card\b|\bCARD\b": "GPU",
    r"goes on at step|go on at step": "resuming at step",
    r"stands nowhere": "is not defined by an earlier step",
    r"nothing above makes": "no earlier step produces it",
    r"\bJoined\b|\bOnDemand\b": "ConcatSequence, LazySequence",
    r"\bstand_ins\b|\bon_request\b": "default_inputs, explicit_inputs",
    r"\bfirst_of_each\b|\bNear\b\(": "deduplicate, NearDuplicateIndex",
    r"[Aa] second judge|slower and better than": "cross-encoder filter for false negatives",
    r"what two models make of": "per-example comparison",
    r"who does not want to know": "no-op event handler",
    r"no independent evidence": "cluster bootstrap",
    r"[Tt]akes? back what hurts|is never done twice|never done twice": "rolls back, cached",
    r"\bhears?\b|listeners hear": "is called with, handles",
    r"someone to tell": "event handler",
    r"\bno kind\b.{0,20}\ball\b$": "unknown",
    r"\.word\(\)|\.makes\(\)": "name(), output_kind()",
    r"\bends? well\b": "succeed",
    r"speaks? that language|does not speak": "is not trained on the domain",
    r"\bpeople'?s words\b": "user text",
    r"\bodds and ends\b": "miscellany",
    r"[Ww]hat it is worth|what each (part|step) is worth": "ablation",
    r"\bmost alike\b|nearly alike": "most similar",
}


def texts() -> dict[Path, list[str]]:
    """The lines of every text file of the project, this one excepted."""
    files = [*ROOT.glob("*.md"), ROOT / "setup.cfg"]
    for folder in FOLDERS:
        files += [file for file in (ROOT / folder).rglob("*") if file.is_file() and file.suffix in ENDINGS]
    skipped = {Path(__file__).resolve()}
    return {
        file: file.read_text(encoding="utf-8").splitlines()
        for file in files
        if file.resolve() not in skipped and "__pycache__" not in file.parts and "samples" not in file.parts
    }


@pytest.fixture(scope="module")
def lines() -> dict[Path, list[str]]:
    found = texts()
    assert len(found) > 250
    return found


@pytest.mark.parametrize("pattern", WORDS)
def test_the_field_has_a_better_word(pattern, lines):
    expression = re.compile(pattern)
    hits = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file, content in lines.items()
        for number, line in enumerate(content, 1)
        if expression.search(line)
    ]
    assert not hits, f"write {WORDS[pattern]}:\n" + "\n".join(hits[:20])


@pytest.mark.parametrize("pattern", WORDS)
def test_an_expression_is_sound(pattern):
    assert WORDS[pattern] and not re.search(pattern, WORDS[pattern]), "the replacement would be rejected as well"
