"""Keep dev and test data out of training: find rows that share a text, exactly or nearly, a pair or a group with them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from adapt import checks
from adapt.checks import ProtectedItem, Source
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Labelled, Pair, Parallel, ScoredPair, Text, Triplet
from adapt.text.clean import normalised
from adapt.text.near_duplicates import NearDuplicateIndex

Mode = Literal["remove", "stop", "allow"]
# What a row shares with dev or test data, most specific first: a row counts once, for the first kind that applies.
KINDS = {
    "pair": "the same pair, in either order",
    "exact": "a text of dev or test data, ignoring case and punctuation",
    "near_duplicate": "a near-duplicate of dev or test data (5-gram Jaccard ≥ 0.8)",
    "group": "a group of dev or test data",
    "negatives": "a hard negative that is in dev or test data",
}
EXAMPLES = 10  # leaks that an error message lists
CHUNK = 4_096  # texts compared per progress interval


class CheckSpec(Protocol):
    """A check of a recipe: its kind, and the sources of its dev and test data (None where there are none)."""

    @property
    def kind(self) -> str: ...
    @property
    def dev(self) -> Source | None: ...
    @property
    def test(self) -> Source | None: ...


@dataclass(frozen=True)
class Leak:
    """A row that leaks: its number (from 1), its kind (see `KINDS`), and the check whose data contain what it shares."""

    row: int
    kind: str
    check: str


@dataclass(frozen=True)
class ProtectedTexts:
    """The dev and test data of all checks: each text, pair of normalised texts and group with the name of a check that has it."""

    texts: dict[str, str] = field(default_factory=dict)
    pairs: dict[frozenset[str], str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)

    @cached_property
    def normalised(self) -> dict[str, str]:
        return {normalised(text): check for text, check in reversed(self.texts.items())}

    @cached_property
    def index(self) -> NearDuplicateIndex:
        return NearDuplicateIndex(list(self.texts))

    def matches(self, texts: Iterable[str], job: Job | None = None) -> dict[str, tuple[str, str]]:
        """{text: ("exact" or "near_duplicate", check)} for those of `texts` that are in dev or test data."""
        others = list(dict.fromkeys(texts))
        found = {text: ("exact", self.normalised[name]) for text in others if (name := normalised(text)) in self.normalised}
        others = [text for text in others if text not in found]
        names = list(self.texts.values())
        progress = job.progress("leakage check against dev and test data", len(others), "texts") if job else None
        for start in range(0, len(others), CHUNK):
            chunk = others[start : start + CHUNK]
            for i, j, _ in self.index.find(chunk):
                found.setdefault(chunk[i], ("near_duplicate", names[j]))
            if progress:
                progress.advance(len(chunk))
        return found


@dataclass(frozen=True)
class FilteredRows:
    """The rows that may be trained on, the number of leaks of each kind (see `KINDS`), and the first of them.

    With `mode` "allow" the leaking rows are among `kept`. `unlabelled`: all rows are plain texts. Training on these is a
    transductive setting: the model sees the passages of the test data, but no queries and no relevance judgements.
    """

    kept: Sequence[object]
    counts: Counter[str]
    examples: list[Leak]
    mode: Mode = "remove"
    unlabelled: bool = False

    def summary(self) -> str:
        """The number of leaks and what was done with them, in words."""
        total = self.counts.total()
        if not total:
            return "no row is in dev or test data"
        what = f"{total:,} rows overlap with dev or test data ({_listed(self.counts)})"
        if self.mode != "allow":
            return f"{what}, removed"
        return f"{what}, kept because of `leaks: allow`" + (": unlabelled text, a transductive setting" if self.unlabelled else "")


def sides(record: object) -> tuple[str, ...]:
    """The texts that training treats as similar: all texts of a record but its hard negatives."""
    if isinstance(record, Text):
        return (record.text,)
    if isinstance(record, (Pair, Triplet)):
        return (record.anchor, record.positive)
    if isinstance(record, Parallel):
        return (record.source, record.target)
    assert isinstance(record, (ScoredPair, Labelled))
    return (record.sentence1, record.sentence2)


def protect(data: Mapping[str, Iterable[ProtectedItem]]) -> ProtectedTexts:
    """The protected items of several checks as one; the keys are names for error messages, "retrieval dev"."""
    found = ProtectedTexts()
    for name, items in data.items():
        for item in items:
            found.texts.update({text: found.texts.get(text, name) for text in item.texts if text})
            if len(item.texts) > 1:
                found.pairs.setdefault(frozenset(map(normalised, item.texts[:2])), name)
            if item.group:
                found.groups.setdefault(item.group, name)
    return found


def of_checks(specs: Mapping[str, CheckSpec], read: Callable[[str, Source, str], object]) -> ProtectedTexts:
    """The protected texts of a recipe's checks, {name: check}; `read(kind, source, split)` returns the data of one."""
    sources = {(name, split): getattr(spec, split) for name, spec in specs.items() for split in ("dev", "test")}
    return protect(
        {
            f"{name} {split}": checks.find(specs[name].kind).protected_items(read(specs[name].kind, source, split))
            for (name, split), source in sources.items()
            if source is not None
        }
    )


def filter_leaks(
    records: Sequence[object],
    protected: ProtectedTexts,
    mode: Mode = "remove",
    source: str = "the rows",
    numbers: Sequence[int] | None = None,
    job: Job | None = None,
) -> FilteredRows:
    """`records` without those that leak. A triplet loses its leaking negatives, and is removed where none is left.

    `source` and `numbers` (each record's row in it; counted from 1 by default) locate rows in messages. With mode "stop" a leak
    raises UserError, with "allow" all records are kept. `job` shows progress.
    """
    matches = protected.matches((text for record in records for text in (*sides(record), *getattr(record, "negatives", ()))), job)
    kept: list[object] = []
    counts: Counter[str] = Counter()
    examples: list[Leak] = []
    for position, record in enumerate(records):
        leak, rest = _leak(record, protected, matches)
        if leak is None:
            kept.append(record)
            continue
        counts[leak[0]] += 1
        if len(examples) < EXAMPLES:
            examples.append(Leak(numbers[position] if numbers else position + 1, *leak))
        if mode == "allow" or rest is not None:
            kept.append(record if mode == "allow" else rest)
    if counts and mode == "stop":
        first = [f"  row {leak.row} → {leak.check or 'dev or test'}: {KINDS[leak.kind]}" for leak in examples]
        more = counts.total() - len(examples)
        raise UserError(
            [
                f"{source}: {counts.total():,} of {len(records):,} rows overlap with dev or test data ({_listed(counts)})",
                *first,
                *([f"  and {more:,} more"] if more else []),
                "  remove them, or set leaks: remove (they are left out) or allow (they are trained on, and reported)",
            ]
        )
    return FilteredRows(kept, counts, examples, mode, bool(records) and all(isinstance(record, Text) for record in records))


def _leak(
    record: object, protected: ProtectedTexts, matches: Mapping[str, tuple[str, str]]
) -> tuple[tuple[str, str] | None, object | None]:
    """((kind, check) or None, the part of the record that may be kept or None)."""
    own = sides(record)
    found = [matches[text] for text in own if text in matches]
    if found:
        pair = protected.pairs.get(frozenset(map(normalised, own))) if len(own) > 1 else None
        return (("pair", pair) if pair is not None else min(found)), None  # "exact" before "near_duplicate"
    group = getattr(record, "group", "")
    if group and group in protected.groups:
        return ("group", protected.groups[group]), None
    if isinstance(record, Triplet):
        wrong = [matches[text] for text in record.negatives if text in matches]
        if wrong:
            rest = tuple(text for text in record.negatives if text not in matches)
            return ("negatives", wrong[0][1]), replace(record, negatives=rest) if rest else None
    return None, None


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[kind]:,} {kind.replace('_', '-')}" for kind in KINDS if counts.get(kind))
