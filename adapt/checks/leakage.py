"""Keep what a check measures on out of training: rows that share a text, exactly or nearly, a pair or a group with dev or test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet
from adapt.text.clean import normalised
from adapt.text.near_duplicates import NearDuplicateIndex

Mode = Literal["remove", "stop", "allow"]
# How a row may leak, the plainest first: a row counts for the first that fits.
KINDS = {
    "pair": "the very pair, in either order",
    "exact": "a text of dev or test, but for case and punctuation",
    "nearly": "a near-copy (5-gram Jaccard ≥ 0.8)",
    "group": "a group of dev or test",
    "negatives": "a hard negative that stands in dev or test",
}
SHOWN = 10  # places that an error or a report names
TEXTS = 4_096  # compared between two signs of life


@dataclass(frozen=True)
class Leak:
    """One row that leaks: its number (from 1), how (see `KINDS`), and the check that holds what it shares."""

    row: int
    kind: str
    check: str


@dataclass(frozen=True)
class ProtectedTexts:
    """What the checks measure on; each text, pair of normalised texts and group with the name of a check that holds it."""

    texts: dict[str, str] = field(default_factory=dict)
    pairs: dict[frozenset[str], str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    @cached_property
    def normal(self) -> dict[str, str]:
        return {normalised(text): check for text, check in reversed(self.texts.items())}

    @cached_property
    def index(self) -> NearDuplicateIndex:
        return NearDuplicateIndex(list(self.texts))

    def found_in(self, texts: Sequence[str], job: Job | None = None) -> dict[str, tuple[str, str]]:
        """{text: (exact or nearly, check)} for those of `texts` that stand in the held-out data."""
        unlike = list(dict.fromkeys(texts))
        found = {text: ("exact", self.normal[name]) for text in unlike if (name := normalised(text)) in self.normal}
        unlike = [text for text in unlike if text not in found]
        checks = list(self.texts.values())
        progress = job.progress("comparing with dev and test", len(unlike), "texts") if job else None
        for start in range(0, len(unlike), TEXTS):
            some = unlike[start : start + TEXTS]
            for i, j, _ in self.index.find(some):
                found.setdefault(some[i], ("nearly", checks[j]))
            if progress:
                progress.advance(len(some))
        return found


@dataclass(frozen=True)
class Clean:
    """What may be trained on, and what was found: rows by kind (see `KINDS`), and the first places.

    With `mode` "allow" the leaking rows are among `kept`. Of `unlabelled` text that is fair, if said: the model reads passages
    that it will be asked for, but never who asks for them (a transductive setting).
    """

    kept: list[Any]
    found: Counter[str]
    places: list[Leak]
    mode: Mode = "remove"
    unlabelled: bool = False

    def counts(self) -> dict[str, int]:
        """For a receipt: `held_out_exact` and so on; where rows were let in, `allowed_exact` or `transductive_exact` instead."""
        word = "held_out" if self.mode != "allow" else "transductive" if self.unlabelled else "allowed"
        return {f"{word}_{kind}": self.found[kind] for kind in KINDS}

    def said(self) -> str:
        """In words: how many leaked, how, and what became of them."""
        total = sum(self.found.values())
        if not total:
            return "none stands in dev or test data"
        what = f"{total:,} too like dev or test data ({_told(self.found)})"
        if self.mode != "allow":
            return f"{what} left out"
        return f"{what} kept, as `leaks: allow` asks" + (": unlabelled text, a transductive setting" if self.unlabelled else "")


def sides(record: Any) -> tuple[str, ...]:
    """The texts of a record that training would learn from as alike; hard negatives are none of them."""
    if isinstance(record, Text):
        return (record.text,)
    if isinstance(record, (Pair, Triplet)):
        return (record.anchor, record.positive)
    if isinstance(record, Parallel):
        return (record.source, record.target)
    assert isinstance(record, (ScoredPair, Labelled))
    return (record.sentence1, record.sentence2)


def gather(data: Mapping[str, Any]) -> ProtectedTexts:
    """All that is held out: {name to tell users, "retrieval dev": what that check's `read` gave}."""
    held = ProtectedTexts()
    for check, rows in data.items():
        for texts, group in _items(rows):
            held.texts.update({text: held.texts.get(text, check) for text in texts if text})
            if len(texts) > 1:
                held.pairs.setdefault(frozenset(map(normalised, texts[:2])), check)
            if group:
                held.groups.setdefault(group, check)
    return held


def of_checks(checks: Mapping[str, Any], read: Callable[[str, Any, str], Any]) -> ProtectedTexts:
    """All that a recipe's checks hold out in dev and test; `read(kind, source, split)` gives the data of one."""
    sources = {(name, split): getattr(spec, split) for name, spec in checks.items() for split in ("dev", "test")}
    return gather(
        {f"{n} {split}": read(checks[n].kind, source, split) for (n, split), source in sources.items() if source is not None}
    )


def _items(data: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """(its texts, the first two of which belong together; its group) for each item that a check asks about."""
    if hasattr(data, "relevant"):  # questions and the judged passages of a corpus
        passages = {text.id: text for text in data.corpus}
        for query in data.queries:
            yield (query.text,), query.group
            for name in data.relevant.get(query.id, ()):
                if (passage := passages.get(name)) is None:  # judged, but not in the corpus
                    continue
                # Where the corpus names titles, training may hold the body alone.
                yield (query.text, passage.text, *([passage.body] if passage.title else [])), passage.group
        return
    for row in data:
        if hasattr(row, "positives"):  # a question with a list of its own
            yield (row.query,), ""
            yield from (((row.query, positive), "") for positive in row.positives)
        elif isinstance(row, Text):  # where the group is what a probe must tell apart, training shares it
            yield (row.text,), "" if row.group == row.topic else row.group
        else:
            yield sides(row), getattr(row, "group", "")


def clean(
    records: Sequence[Any],
    held: ProtectedTexts,
    mode: Mode = "remove",
    source: str = "the rows",
    numbers: Sequence[int] | None = None,
    job: Job | None = None,
) -> Clean:
    """`records` without those that leak; a triplet loses its leaking negatives, and goes where none is left.

    `source` and `numbers` (each record's row in it; from 1 in order where not given) tell users where a row stands. With mode
    "stop" a leak raises UserError, with "allow" all records are kept. `job` shows progress.
    """
    read = dict.fromkeys(text for record in records for text in (*sides(record), *getattr(record, "negatives", ())))
    verdicts = held.found_in(list(read), job)
    kept: list[Any] = []
    found: Counter[str] = Counter()
    places: list[Leak] = []
    for place, record in enumerate(records):
        leak, rest = _leak(record, held, verdicts)
        if leak is None:
            kept.append(record)
            continue
        found[leak[0]] += 1
        if len(places) < SHOWN:
            places.append(Leak(numbers[place] if numbers else place + 1, *leak))
        if mode == "allow" or rest is not None:
            kept.append(record if mode == "allow" else rest)
    if found and mode == "stop":
        first = [f"  row {leak.row} → {leak.check or 'dev or test'}: {KINDS[leak.kind]}" for leak in places]
        more = sum(found.values()) - len(places)
        raise UserError(
            [
                f"{source}: {sum(found.values()):,} of {len(records):,} rows stand in dev or test data ({_told(found)})",
                *first,
                *([f"  and {more:,} more"] if more else []),
                "  take them out, or set leaks: remove (they are left out) or allow (they are trained on, and declared)",
            ]
        )
    return Clean(kept, found, places, mode, bool(records) and all(isinstance(record, Text) for record in records))


def _leak(record: Any, held: ProtectedTexts, verdicts: Mapping[str, tuple[str, str]]) -> tuple[tuple[str, str] | None, Any]:
    """((kind, check) or None, what of the record may be kept or None)."""
    own = sides(record)
    hits = sorted(verdicts[text] for text in own if text in verdicts)  # "exact" before "nearly"
    if hits:
        pair = held.pairs.get(frozenset(map(normalised, own))) if len(own) > 1 else None
        return (("pair", pair) if pair is not None else hits[0]), None
    group = getattr(record, "group", "")
    if group and group in held.groups:
        return ("group", held.groups[group]), None
    if isinstance(record, Triplet):
        wrong = [verdicts[text] for text in record.negatives if text in verdicts]
        if wrong:
            rest = tuple(text for text in record.negatives if text not in verdicts)
            return ("negatives", wrong[0][1]), replace(record, negatives=rest) if rest else None
    return None, None


def _told(found: Mapping[str, int]) -> str:
    return ", ".join(f"{found[kind]:,} {kind}" for kind in KINDS if found.get(kind))
