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
    r"\bVoice\b|cli/voice": "ProgressPrinter",
    r"\bmute\(": "quiet",
    r"\b_?Reader\b": "CrossEncoderModel, PairScorer or RecipeParser",
    r"[Rr]ead(ing|s)? in (int8|eight bits)": "int8 inference",
    r"\bFound\b": "RunFolder",
    r"[Ss]tage by hand": "a single stage",
    r"set back to": "reverted",
    r"\bset back\b": "reverted",
    r"go(es)? back to the model before": "reverted",
    r"blended: [0-9.]+ of the change kept": "blended (α = 0.75)",
    r"\bon_card\b|\bCARD\b": "GPU",
    r"\bsmallest[_ ]gain": "minimum detectable effect",
    r"gain to be seen": "minimum detectable effect",
    r"\b_?likeness\(": "similarity or correlation",
    r"fall(s|en|ing)? in\b(?! (the|a|one|love|rank))": "collapses, collapsed",
    r"stood already|stand already|steps that stood": "cached",
    r"[Vv]ectors that stand|whose vectors stand": "cached embeddings",
    r"[Aa]nswers in a row": "evaluations without improvement",
    r"asked \d+ times|so many looks at": "evaluated",
    r"\b_?Watch\b|\btired\b": "EarlyStopping, should_stop",
    r"goes on at step|go on at step": "resuming at step",
    r"is luck\b": "is noisy",
    r"does not ask\b": "disables the check",
    r"teach mistakes": "are too noisy",
    r"off the shelf": "pre-trained",
    r"so many seeds": "N seeds",
    r"tell the spread": "mean and standard deviation",
    r"every random choice": "random seed",
    r"is there already": "already exists",
    r"stands nowhere": "is not defined by an earlier step",
    r"nothing above makes": "no earlier step produces it",
    r"stands twice|stand twice": "duplicate",
    r"\bJoined\b|\bOnDemand\b": "ConcatSequence, LazySequence",
    r"of the house|\bthe house\b": "the project, or drop it",
    r"\bstand_ins\b|\bon_request\b": "default_inputs, explicit_inputs",
    r"\bHEEDED\b|\bheed(s|ed)?\b": "LOSS_SETTINGS, used by",
    r"\bpull(s|ed)? towards": "distillation towards, or regularised towards",
    r"as it came in": "the initial model",
    r"\b[Ll]esson\b": "Objective",
    r"\bfirst_of_each\b|\bNear\b\(": "deduplicate, NearDuplicateIndex",
    r"too like\b": "a near-duplicate of",
    r"signs of life": "progress interval",
    r"\bstrangers\b": "eligible",
    r"[Aa] second judge|slower and better than": "cross-encoder filter for false negatives",
    r"it was asked about|called positive by": "candidates_scored, cross_encoder_positive_rate",
    r"what two models make of": "per-example comparison",
    r"\b_standing\b|\bBoth\b\(": "normalised_rank, ModelPair",
    r"\bhand_over\b|\bhanded over\b|\bhandover\b": "export",
    r"who does not want to know": "no-op event handler",
    r"change places": "are exchanged",
    r"no independent evidence": "cluster bootstrap",
    r"[Tt]akes? back what hurts|is never done twice|never done twice": "rolls back, cached",
    r"\bhears?\b|listeners hear": "is called with, handles",
    r"\b[Nn]ouns\b": "records",
    r"\bwhoever\b": "the caller",
    r"someone to tell": "event handler",
    r"what came of it|what came back": "the result",
    r"worth a look": "worth scoring",
    r"held against": "compared with",
    r"without being asked|unasked": "by default",
    r"\bproduct: ClassVar": "output_name",
    r"\.word\(\)|\.makes\(\)": "name(), output_kind()",
    r"\bcarr(y|ies|ied) out\b|\bcarry_out\b": "run, execute",
    r"\bends? well\b": "succeed",
    r"speaks? that language|does not speak": "is not trained on the domain",
    r"\bpeople'?s words\b": "user text",
    r"stands? word for word|word for word within": "verbatim",
    r"\bby its? very\b|the very (same|text|sentence)": "the same",
    r"\bmisfits\b": "incompatibilities",
    r"\bodds and ends\b": "miscellany",
    r"[Ww]hat it is worth|what each (part|step) is worth": "ablation",
    r"\bmost alike\b|nearly alike": "most similar",
    r"\bstands? in (dev|test|training|held)|stand in two": "occurs in",
    r"\bhere alone\b": "only here",
    r"\bbelow which .* says\b": "fewer than",
    r"\bgone through\b": "processed",
    r"worth scoring": "to be scored",
    r"nobody labelled": "unlabelled",
    r"\bwho gave\b|looked through\b": "the scorer, searched",
    r"\bwould teach\b|can't teach": "too noisy, can't be learnt from",
    r"\bas they stand\b|\btaken for one\b": "unchanged, counts as",
    r"words do not tell|bytes tell": "is not clearly detected, is the length of",
    r"\b(is|are) believed\b": "is used",
    r"\b(it|that) never saw\b": "held-out",
    r"\bnames one twice\b": "has duplicates",
    r"is no column|is no known": "is not a known column",
    r"\bwhatever the case\b|which is which": "in any case",
    r"\ballotted\b|\bin its turn\b": "allocate, interleaved",
    r"belong with every": "are excluded for every",
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
