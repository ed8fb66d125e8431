"""Select pairs for a person to score in a spreadsheet, and turn the filled sheet into scored pairs.

Most pairs are sampled uniformly over the range of cosine similarity; the others are lexical neighbours, or random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from adapt import checks, files
from adapt.checks.leakage import ProtectedTexts, of_checks
from adapt.errors import UserError
from adapt.files.paths import require_distinct_output
from adapt.job import Job, Listener
from adapt.models import lookup
from adapt.prepare.sheet import Scale, read_sheet, refuse_unwritable, write_sheet
from adapt.recipe import loading
from adapt.records import ScoredPair, Text
from adapt.text.clean import clean, normalised
from adapt.text.near_duplicates import deduplicate
from adapt.text.scripts import count_words
from adapt.text.sentences import sentences

PAIRS = 100
WORDS = (4, 60)  # minimum and maximum words of a text in a pair; longer texts are split into sentences
MAX_CANDIDATES = 2_000  # texts that pairs are selected from
SHARES = {"cosine": 0.6, "bm25": 0.2, "random": 0.2}  # of the pairs, by sampler
COSINE_BINS = 10  # sampled uniformly
NEIGHBOURS = {"cosine": 20, "bm25": 5}
MAX_PAIRS_PER_TEXT = 2


def select_pairs(
    texts: Sequence[Text],
    embed: Callable[[Sequence[str]], np.ndarray],
    *,
    pairs: int = PAIRS,
    labelled: Sequence[ScoredPair] = (),
    protected: ProtectedTexts | None = None,
    seed: int = 13,
) -> list[ScoredPair]:
    """Pairs without scores (NaN), with their sampler as origin; each text is in at most `MAX_PAIRS_PER_TEXT` of them.

    Pairs in `labelled` and pairs with a text of held-out data (`protected`) are not selected. `embed` returns unit vectors
    [texts, d]. Raises UserError for too few texts.
    """
    from adapt.retrieval import bm25, dense
    from adapt.retrieval.candidates import Candidates, at_random, from_neighbours, joined, keys, mixed, quotas

    rng = np.random.default_rng(seed)
    units = _candidate_texts(texts, protected, rng)
    if len(units) < 4:
        raise UserError(f"{len(units)} texts of {WORDS[0]} to {WORDS[1]} words are too few to pair; give more texts")
    place = {normalised(text): number for number, text in enumerate(units)}
    known = [(place.get(normalised(p.sentence1), -1), place.get(normalised(p.sentence2), -1)) for p in labelled]
    first, second = np.array([pair for pair in known if min(pair) >= 0], dtype=np.int64).reshape(-1, 2).T
    vectors, everyone = embed(units), np.arange(len(units))
    drawn = at_random(len(units), 10 * pairs + len(units), rng)
    near = from_neighbours(everyone, dense.top(vectors, vectors, NEIGHBOURS["cosine"] + 1)[0])
    found, scores = bm25.top(units, units, NEIGHBOURS["bm25"] + 1)
    hits = from_neighbours(everyone, np.where(scores > 0, found, -1))
    alike = joined([near, drawn])
    cosines = np.einsum("ij,ij->i", vectors[alike.first], vectors[alike.second])
    parts: list[Candidates] = [
        alike.take(_round_robin(cosines, rng)),
        hits.take(rng.permutation(len(hits))),
        drawn.take(rng.permutation(len(drawn))),
    ]
    room = quotas(pairs, list(SHARES.values()))
    chosen = mixed(parts, room, len(units), keys(first, second, len(units)), MAX_PAIRS_PER_TEXT)
    names = list(SHARES)
    return [
        ScoredPair(units[chosen.first[i]], units[chosen.second[i]], float("nan"), names[chosen.sampler[i]])
        for i in rng.permutation(len(chosen))
    ]


def _candidate_texts(texts: Sequence[Text], protected: ProtectedTexts | None, rng: np.random.Generator) -> list[str]:
    """A sample of short texts, and of the sentences of long ones, without near-duplicates and held-out texts."""
    drawn = [clean(texts[i].text) for i in rng.permutation(len(texts))[:MAX_CANDIDATES]]
    short = [text for text in drawn if WORDS[0] <= count_words(text) <= WORDS[1]]
    long = [text for text in drawn if count_words(text) > WORDS[1]][: MAX_CANDIDATES // 2]  # each has several sentences
    cut = [sentence for _, sentence in sentences(long, *WORDS)]
    units = [*short, *cut]
    units = [units[i] for i in rng.permutation(len(units))[:MAX_CANDIDATES]]
    units = [units[i] for i in deduplicate(units)]
    excluded = protected.matches(units) if protected and protected.texts else {}
    return [text for text in units if text not in excluded]


def _round_robin(cosines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in round-robin order over the bins of cosine, which span the values from random pairs to the highest."""
    shuffled = rng.permutation(len(cosines))
    low, high = np.percentile(cosines, 1), cosines.max() + 1e-6
    bins = np.clip((cosines[shuffled] - low) / max(high - low, 1e-6) * COSINE_BINS, 0, COSINE_BINS - 1).astype(int)
    turn = np.zeros(len(bins), dtype=np.int64)
    for number in range(COSINE_BINS):
        turn[bins == number] = np.arange((bins == number).sum())
    return shuffled[np.lexsort((-bins, turn))]


def sheet_file(
    texts: str,
    out: Path,
    *,
    model: str,
    gold: Sequence[str] = (),
    recipe: str | None = None,
    pairs: int = PAIRS,
    seed: int = 13,
    listener: Listener,
) -> list[str]:
    """Write a sheet of pairs from a file of texts; returns a summary, one line each.

    Pairs of the `gold` files, and texts in the dev and test data of `recipe`, are excluded. Raises UserError.
    """
    from adapt.inference.encoding import embed

    refuse_unwritable(out)
    found: list[Text] = files.read(texts, "texts")
    labelled = [pair for file in gold for pair in files.read(file, "scored")]
    protected = (
        of_checks(loading.load(recipe).checks, lambda kind, source, split: checks.find(kind).read(source, split))
        if recipe
        else None
    )
    folder = lookup.find_model(model)
    lookup.verify_weights(folder)
    job = Job(seed, listener=listener)
    chosen = select_pairs(
        found,
        lambda some: embed(folder, some, job, label="selecting pairs"),
        pairs=pairs,
        labelled=labelled,
        protected=protected,
        seed=seed,
    )
    how = write_sheet(chosen, out)
    few = f" (fewer than the requested {pairs:,}: the texts give no more)" if len(chosen) < pairs else ""
    return [
        f"{out}: {len(chosen):,} pairs to score{few}; fill in the column score in a spreadsheet; instructions: {how}",
        f"then: adapt label --read {out} --out gold.csv",
    ]


def gold_file(sheet: Path, out: Path, scale: Scale = "auto") -> list[str]:
    """Add the scored rows of a sheet to the scored pairs in `out`, which need not exist; returns a summary, one line each.

    The sheet's score replaces that of a pair in `out`. Raises UserError with every problem of the sheet at once.
    """
    require_distinct_output(out, [sheet])
    found, unscored = read_sheet(sheet, scale)
    with files.reading(files.ReadOptions()):  # written by this command: the user's options are for the sheet
        earlier: list[ScoredPair] = files.read(out, "scored") if out.exists() else []
    merged = {frozenset({normalised(p.sentence1), normalised(p.sentence2)}): p for p in [*earlier, *found]}
    files.write(list(merged.values()), out)
    mean = np.mean([pair.score for pair in found])
    summary = f"{out}: {len(merged):,} scored pairs, {len(found):,} of them from {sheet} (mean score {mean:.2f} of 0 to 1)"
    return [summary, *([f"without a score: {len(unscored):,} rows ({_spans(unscored)})"] if unscored else [])]


def _spans(numbers: Sequence[int]) -> str:
    """Row numbers as ranges: 3, 7-12."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    words = ["-".join(map(str, span)) for span in spans]
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")
