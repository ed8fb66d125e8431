"""Find the title at the start of a raw text: on a line of its own, before the first section, or joined to the first sentence.

Collections of abstracts often lose the separator of title and body: "Garlic and blood lipids in kidney patients We compared".
Only a capital then marks the start of the body. Each capital has one of three explanations: the word is a name (the corpus
capitalises it in mid-sentence), the title is in title case, or a sentence begins. The most probable split is used.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from adapt.text.clean import clean
from adapt.text.sections import is_label, sections

MAX_TITLE_WORDS = 40
MIN_TITLE_WORDS = 3
MIN_LOG_LIKELIHOOD_GAIN = 4.0  # in nats, over the text without a title
MIN_RUN_IN_SHARE = 0.5  # minimum fraction of texts with a run-in title; in corpora with fewer they are false positives
_FINAL = re.compile(r"[.;:,]$")
_SENTENCE = re.compile(r"(?<=[^\s.][^\s.][.?!])\s+(?![a-z])")  # approximate, for counts only: does not split after initials or e.g.
_WORD = re.compile(r"[^\W\d_][\w'-]*")


def titled(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(title, body) of each text, title "" if it has none; both cleaned, with the body's line breaks kept.

    A first line is a title if it is short, has no final punctuation and text follows; so is the text before the first section.
    A first sentence is a title if it is a short question. Run-in titles are used if most of the other texts have one.
    """
    texts = ["\n".join(map(clean, text.splitlines())).strip().lstrip("# ") for text in texts]
    split = [_SENTENCE.split(clean(text)) for text in texts]
    capitalisation = _Capitalisation(sentence for sentences in split for sentence in sentences[1:])
    certain = [_first_line(text) or _before_sections(text) or _question(s) for text, s in zip(texts, split, strict=True)]
    run_in = ["" if title else capitalisation.title(sentences[0]) for title, sentences in zip(certain, split, strict=True)]
    if sum(map(bool, run_in)) < MIN_RUN_IN_SHARE * certain.count(""):
        run_in = [""] * len(texts)
    titles = [title or found for title, found in zip(certain, run_in, strict=True)]
    return [(title, _after(text, len(title.split()))) for title, text in zip(titles, texts, strict=True)]


def _after(text: str, words: int) -> str:
    return text.split(maxsplit=words)[words] if words else text


def _first_line(text: str) -> str:
    line, _, rest = text.partition("\n")
    rest = rest.strip()
    continues = not rest or rest[0].islower()  # a line broken in mid-sentence
    return "" if continues or len(line.split()) > MAX_TITLE_WORDS or _FINAL.search(line) or is_label(line) else line


def _question(sentences: Sequence[str]) -> str:
    first = sentences[0]
    return first if len(sentences) > 1 and first.endswith("?") and MIN_TITLE_WORDS <= len(first.split()) <= MAX_TITLE_WORDS else ""


def _before_sections(text: str) -> str:
    (heading, lead), *more = sections(text)
    lead = clean(lead)
    fits = MIN_TITLE_WORDS <= len(lead.split()) <= MAX_TITLE_WORDS and not _FINAL.search(lead)
    return lead if more and not heading and fits else ""


class _Capitalisation:
    """How often each word of a corpus begins or ends a sentence, and how often it is capitalised inside one."""

    def __init__(self, sentences: Iterable[str]):
        self.start: Counter[str] = Counter()
        self.capitalised: Counter[str] = Counter()
        self.lower_case: Counter[str] = Counter()
        self.end: Counter[str] = Counter()
        for sentence in sentences:
            position, word = 0, ""
            for position, word in enumerate(_WORD.findall(sentence)):
                counter = self.start if position == 0 else self.capitalised if word[0].isupper() else self.lower_case
                counter[word.lower()] += 1
            if position:
                self.end[word.lower()] += 1
        self.starts = sum(self.start.values()) + 1
        self.others = sum(self.capitalised.values()) + sum(self.lower_case.values()) + 1

    def title(self, sentence: str) -> str:
        words = sentence.split()[: MAX_TITLE_WORDS + 20]
        cores = [found.group() if (found := _WORD.search(word)) else "" for word in words]
        prose, titled = (
            [0.0, *accumulate(self._log_likelihood(word, style) for word in cores[1:])] for style in ("prose", "title")
        )
        best, length = prose[-1] + MIN_LOG_LIKELIHOOD_GAIN, 0
        for p in range(MIN_TITLE_WORDS, min(MAX_TITLE_WORDS, len(words) - 2) + 1):
            if not cores[p][:1].isupper() or not words[p][0].isupper() or words[p - 1][-1] in ",;:(-–":
                continue
            score = max(prose[p - 1], titled[p - 1]) + self._ends(cores[p - 1]) + self._begins(cores[p]) + prose[-1] - prose[p]
            if score > best:
                best, length = score, p
        return " ".join(words[:length])

    def _log_likelihood(self, word: str, style: str) -> float:
        """Log-probability of the case of the word's first letter."""
        if not word:
            return 0.0
        lower = word.lower()
        if style == "title":
            capital = 0.9 if len(word) > 4 else 0.5
        else:
            capital = (self.capitalised[lower] + 0.05) / (self.capitalised[lower] + self.lower_case[lower] + 1)
            if any(c.isupper() for c in word[1:]):
                capital = 0.9
        return math.log(capital if word[0].isupper() else 1 - capital)

    def _begins(self, word: str) -> float:
        """Log-odds that a word begins a sentence rather than occurs inside one."""
        lower = word.lower()
        return math.log((self.start[lower] + 0.2) / self.starts) - math.log(
            (self.capitalised[lower] + self.lower_case[lower] + 1) / self.others
        )

    def _ends(self, word: str) -> float:
        """Log-odds that a title ends with a word; at most 0, since titles do not end as sentences do."""
        lower = word.lower()
        ends = (self.end[lower] + 1) / self.starts
        return min(0.0, math.log(ends) - math.log((self.capitalised[lower] + self.lower_case[lower] + 1) / self.others))
