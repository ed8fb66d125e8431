"""Conversions of rows: NLI rows, scored pairs, clusters and clicks to pairs, scored pairs or triplets."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

from adapt.files.parsers import parse_labelled, parse_scored_pair
from adapt.files.values import GROUP, MATCH_THRESHOLD, Row, RowError, number_in, optional_in, require_text, text_in
from adapt.records import Labelled, Pair, ScoredPair, Triplet

CLICKED, CLICKS = ("clicked", "document", "passage", "text"), ("clicks", "count")
SMALL_CLUSTER = 5  # texts; all pairs of such a cluster are ten
MIN_CLICKS = 2  # a single click may be a slip


def nli_pair(row: Row, number: int) -> Pair | None:
    """An NLI row as a pair of premise and entailed hypothesis; None for another label."""
    found = parse_labelled(row, number)
    return Pair(found.sentence1, found.sentence2, origin="entailment") if found and found.label == 0 else None


def nli_scored_pair(row: Row, number: int) -> ScoredPair | None:
    """An NLI row as a scored pair: 1 for entailment, 0 for neutral and contradiction; None without a label."""
    found = parse_labelled(row, number)
    return ScoredPair(found.sentence1, found.sentence2, float(found.label == 0), "nli") if found else None


def nli_triplets(rows: list[Labelled], left_out: Counter[str]) -> list[Triplet]:
    """NLI rows as triplets: a premise, each hypothesis that it entails, and all that contradict it as negatives.

    As in SimCSE (Gao et al. 2021, https://arxiv.org/abs/2104.08821), but with several negatives. The rows of a premise may be
    anywhere in the file. A hypothesis with both labels is not used; a premise without one of the two labels is left out.
    """
    by_premise: dict[str, tuple[dict[str, None], ...]] = {}
    for row in rows:
        by_premise.setdefault(row.sentence1, ({}, {}, {}))[row.label][row.sentence2] = None
    triplets = []
    for premise, (entailed, _, contradicting) in by_premise.items():
        right = [text for text in entailed if text not in contradicting]
        wrong = tuple(text for text in contradicting if text not in entailed)
        if not right or not wrong:
            left_out["premises without both an entailed and a contradicting hypothesis"] += 1
            continue
        triplets += [Triplet(premise, text, wrong, "nli") for text in right]
    return triplets


def pair_of_scored(row: Row, number: int) -> Pair | None:
    """A scored pair as a pair; None for a score below MATCH_THRESHOLD (0.8)."""
    found = parse_scored_pair(row, number)
    return Pair(found.sentence1, found.sentence2, origin=found.origin or "rated") if found.score >= MATCH_THRESHOLD else None


def parse_cluster(row: Row, number: int) -> tuple[str, list[str]]:
    texts = row["cluster"]
    if not isinstance(texts, list):
        raise RowError(f"column 'cluster' holds {type(texts).__name__}, expected a list of texts (or a column 'text' beside it)")
    return optional_in(row, "id", *GROUP) or str(number), [require_text(text, "cluster") for text in texts]


def parse_cluster_member(row: Row, number: int) -> tuple[str, list[str]]:
    name = optional_in(row, "cluster")
    if not name:
        raise RowError("column 'cluster' is empty")
    return name, [text_in(row, ("text",))]


def cluster_pairs(parts: list[tuple[str, list[str]]], left_out: Counter[str]) -> list[Pair]:
    """Duplicate clusters as pairs: all pairs of a cluster of up to five texts, each text with the next of a larger one.

    A larger cluster of n texts gives n - 1 pairs instead of n(n - 1)/2, so that it does not dominate. The pairs of a cluster have
    its name as their group.
    """
    clusters: dict[str, dict[str, None]] = {}
    for name, texts in parts:
        clusters.setdefault(name, {}).update(dict.fromkeys(texts))
    pairs = []
    for name, members in clusters.items():
        texts = list(members)
        if len(texts) < 2:
            left_out["clusters of one text"] += 1
        tied = combinations(texts, 2) if len(texts) <= SMALL_CLUSTER else pairwise(texts)
        pairs += [Pair(first, second, name, "cluster") for first, second in tied]
    return pairs


def parse_click(row: Row, number: int) -> tuple[str, str, float]:
    return text_in(row, ("query",)), text_in(row, CLICKED), number_in(row, CLICKS)


def clicked_pairs(clicks: list[tuple[str, str, float]], left_out: Counter[str]) -> list[Pair]:
    """Click logs as pairs: a query and each document clicked `MIN_CLICKS` (2) times or more, its most clicked first.

    Clicks of one query on one document are added up over the rows; documents with equal counts keep the file's order.
    """
    counts: dict[str, Counter[str]] = {}
    for query, document, count in clicks:
        counts.setdefault(query, Counter())[document] += count  # type: ignore[assignment]
    pairs = []
    for query, documents in counts.items():
        kept = [document for document, count in documents.most_common() if count >= MIN_CLICKS]
        if len(kept) < len(documents):
            left_out["clicked fewer than two times"] += len(documents) - len(kept)
        pairs += [Pair(query, document, origin="click") for document in kept]
    return pairs
