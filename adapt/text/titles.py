"""Find the title that raw text begins with: on a line of its own, before the first section, or run into the first sentence.

Collections of abstracts often lose what stood between title and body: "Garlic and blood lipids in kidney patients We compared".
Only its capital tells where the body begins. A capital has to be explained: the word is a name (the corpus writes it so in
mid-sentence), or the title has capitals throughout, or a sentence begins. The split that explains them best is taken.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

from adapt.text.clean import clean
from adapt.text.sections import is_label, sections

MOST_WORDS = 40  # of a title
LEAST_WORDS = 3
EVIDENCE = 4.0  # nats by which the split must explain the capitals better than no title does
COMMON = 0.5  # share of the texts that must show a run-in title before any is believed: in other corpora they are accidents
_FINAL = re.compile(r"[.;:,]$")
_SENTENCE = re.compile(r"(?<=[^\s.][^\s.][.?!])\s+(?![a-z])")  # near enough for counts: no initials, no e.g.
_WORD = re.compile(r"[^\W\d_][\w'-]*")


def titled(texts: Sequence[str]) -> list[tuple[str, str]]:
    """(title, body) of each text, title "" where it has none; cleaned, but for the body's lines, which stay lines.

    A first line counts when it is short, has no final stop and more follows, and so does what stands before the first section;
    a first sentence when it is a short question. Titles run into the text are believed where most of the other texts show one.
    """
    texts = ["\n".join(map(clean, text.splitlines())).strip().lstrip("# ") for text in texts]
    split = [_SENTENCE.split(clean(text)) for text in texts]
    habits = _Habits(sentence for sentences in split for sentence in sentences[1:])
    sure = [_first_line(text) or _before_sections(text) or _question(s) for text, s in zip(texts, split, strict=True)]
    run_in = ["" if title else habits.title(sentences[0]) for title, sentences in zip(sure, split, strict=True)]
    if sum(map(bool, run_in)) < COMMON * sure.count(""):
        run_in = [""] * len(texts)
    titles = [title or found for title, found in zip(sure, run_in, strict=True)]
    return [(title, _after(text, len(title.split()))) for title, text in zip(titles, texts, strict=True)]


def _after(text: str, words: int) -> str:
    return text.split(maxsplit=words)[words] if words else text


def _first_line(text: str) -> str:
    line, _, rest = text.partition("\n")
    rest = rest.strip()
    goes_on = not rest or rest[0].islower()  # a line broken in mid-sentence
    return "" if goes_on or len(line.split()) > MOST_WORDS or _FINAL.search(line) or is_label(line) else line


def _question(sentences: Sequence[str]) -> str:
    first = sentences[0]
    return first if len(sentences) > 1 and first.endswith("?") and LEAST_WORDS <= len(first.split()) <= MOST_WORDS else ""


def _before_sections(text: str) -> str:
    (heading, lead), *more = sections(text)
    lead = clean(lead)
    return lead if more and not heading and LEAST_WORDS <= len(lead.split()) <= MOST_WORDS and not _FINAL.search(lead) else ""


class _Habits:
    """How often the words of a corpus begin a sentence, and how they are written elsewhere."""

    def __init__(self, sentences: Iterable[str]):
        self.start: Counter[str] = Counter()
        self.capital: Counter[str] = Counter()
        self.small: Counter[str] = Counter()
        self.end: Counter[str] = Counter()
        for sentence in sentences:
            place, word = 0, ""
            for place, word in enumerate(_WORD.findall(sentence)):
                table = self.start if place == 0 else self.capital if word[0].isupper() else self.small
                table[word.lower()] += 1
            if place:
                self.end[word.lower()] += 1
        self.starts = sum(self.start.values()) + 1
        self.others = sum(self.capital.values()) + sum(self.small.values()) + 1

    def title(self, sentence: str) -> str:
        words = sentence.split()[: MOST_WORDS + 20]
        cores = [found.group() if (found := _WORD.search(word)) else "" for word in words]
        prose, titled = ([0.0, *accumulate(self._explains(word, style) for word in cores[1:])] for style in ("prose", "title"))
        best, place = prose[-1] + EVIDENCE, 0
        for p in range(LEAST_WORDS, min(MOST_WORDS, len(words) - 2) + 1):
            if not cores[p][:1].isupper() or not words[p][0].isupper() or words[p - 1][-1] in ",;:(-–":
                continue
            score = max(prose[p - 1], titled[p - 1]) + self._ends(cores[p - 1]) + self._begins(cores[p]) + prose[-1] - prose[p]
            if score > best:
                best, place = score, p
        return " ".join(words[:place])

    def _explains(self, word: str, style: str) -> float:
        """Log-probability that the word is written as it is, capital or not."""
        if not word:
            return 0.0
        lower = word.lower()
        if style == "title":
            capital = 0.9 if len(word) > 4 else 0.5
        else:
            capital = (self.capital[lower] + 0.05) / (self.capital[lower] + self.small[lower] + 1)
            if any(c.isupper() for c in word[1:]):
                capital = 0.9
        return math.log(capital if word[0].isupper() else 1 - capital)

    def _begins(self, word: str) -> float:
        """Log-odds that a word begins a sentence rather than stands in one."""
        lower = word.lower()
        return math.log((self.start[lower] + 0.2) / self.starts) - math.log(
            (self.capital[lower] + self.small[lower] + 1) / self.others
        )

    def _ends(self, word: str) -> float:
        """Log-odds that a title ends with a word; never in its favour, since titles end otherwise than sentences do."""
        lower = word.lower()
        ends = (self.end[lower] + 1) / self.starts
        return min(0.0, math.log(ends) - math.log((self.capital[lower] + self.small[lower] + 1) / self.others))
