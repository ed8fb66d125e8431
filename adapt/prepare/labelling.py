"""Have a person score the pairs that teach most: a sheet of well-chosen ones for a spreadsheet, and what came back as gold.

Most look alike to a model, in every degree, so that the whole scale is seen; the others share words, or are drawn at random.
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
WORDS = (4, 60)  # of a text that a person is asked to read; longer ones are cut into their sentences
UNITS = 2_000  # texts that pairs are looked for among
SHARES = {"cosine": 0.6, "bm25": 0.2, "random": 0.2}
BINS = 10  # of cosine, drawn from alike
NEIGHBOURS = {"cosine": 20, "bm25": 5}
PER_TEXT = 2  # pairs that one text stands in at the most


def choose(
    texts: Sequence[Text],
    embed: Callable[[Sequence[str]], np.ndarray],
    *,
    pairs: int = PAIRS,
    labelled: Sequence[ScoredPair] = (),
    held: ProtectedTexts | None = None,
    seed: int = 13,
) -> list[ScoredPair]:
    """Pairs worth a person's time, without scores (NaN), their sampler as origin; each text stands in two at the most.

    None is labelled already or has a text that stands in held-out data. `embed` gives unit vectors [texts, d].
    """
    from adapt.retrieval import bm25, dense
    from adapt.retrieval.candidates import Candidates, at_random, from_neighbours, joined, keys, mixed, quotas

    rng = np.random.default_rng(seed)
    units = _units(texts, held, rng)
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
        alike.take(_spread(cosines, rng)),
        hits.take(rng.permutation(len(hits))),
        drawn.take(rng.permutation(len(drawn))),
    ]
    room = quotas(pairs, list(SHARES.values()))
    chosen = mixed(parts, room, len(units), keys(first, second, len(units)), PER_TEXT)
    names = list(SHARES)
    return [
        ScoredPair(units[chosen.first[i]], units[chosen.second[i]], float("nan"), names[chosen.sampler[i]])
        for i in rng.permutation(len(chosen))
    ]


def _units(texts: Sequence[Text], held: ProtectedTexts | None, rng: np.random.Generator) -> list[str]:
    """Short texts as they are, long ones' sentences; a draw of them without near-copies and held-out texts."""
    drawn = [clean(texts[i].text) for i in rng.permutation(len(texts))[:UNITS]]
    short = [text for text in drawn if WORDS[0] <= count_words(text) <= WORDS[1]]
    long = [text for text in drawn if count_words(text) > WORDS[1]][: UNITS // 2]  # they have several sentences each
    cut = [sentence for _, sentence in sentences(long, *WORDS)]
    units = [*short, *cut]
    units = [units[i] for i in rng.permutation(len(units))[:UNITS]]
    units = [units[i] for i in deduplicate(units)]
    barred = held.matches(units) if held and held.texts else {}
    return [text for text in units if text not in barred]


def _spread(cosines: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in an order that takes one of each bin of cosine in turn, from random pairs' to the highest."""
    shuffled = rng.permutation(len(cosines))
    low, high = np.percentile(cosines, 1), cosines.max() + 1e-6
    bins = np.clip((cosines[shuffled] - low) / max(high - low, 1e-6) * BINS, 0, BINS - 1).astype(int)
    turn = np.zeros(len(bins), dtype=np.int64)
    for number in range(BINS):
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
    """Write a sheet from a file of texts; returns what to tell the user.

    Pairs of the `gold` files, and texts in the dev and test data of `recipe`, are left out. Raises UserError.
    """
    from adapt.inference.encoding import embed

    refuse_unwritable(out)
    found: list[Text] = files.read(texts, "texts")
    labelled = [pair for file in gold for pair in files.read(file, "scored")]
    held = (
        of_checks(loading.load(recipe).checks, lambda kind, source, split: checks.find(kind).read(source, split))
        if recipe
        else None
    )
    folder = lookup.find_model(model)
    lookup.verify_weights(folder)
    job = Job(seed, listener=listener)
    chosen = choose(
        found,
        lambda some: embed(folder, some, job, label="looking for pairs"),
        pairs=pairs,
        labelled=labelled,
        held=held,
        seed=seed,
    )
    how = write_sheet(chosen, out)
    few = f" ({pairs:,} were asked for: the texts give no more)" if len(chosen) < pairs else ""
    return [
        f"{out}: {len(chosen):,} pairs to score{few}; open it in a spreadsheet and fill the column score. {how} says how",
        f"then: adapt label --read {out} --out gold.csv",
    ]


def gold_file(sheet: Path, out: Path, scale: Scale = "auto") -> list[str]:
    """Write what a sheet's rows say so far as scored pairs, beside what `out` holds already; returns what to tell the user.

    A pair that `out` holds takes its new score. Raises UserError with every problem of the sheet at once.
    """
    require_distinct_output(out, [sheet])
    found, unscored = read_sheet(sheet, scale)
    with files.reading(files.ReadOptions()):  # this command wrote it: the user's settings are for the sheet
        earlier: list[ScoredPair] = files.read(out, "scored") if out.exists() else []
    merged = {frozenset({normalised(p.sentence1), normalised(p.sentence2)}): p for p in [*earlier, *found]}
    files.write(list(merged.values()), out)
    mean = np.mean([pair.score for pair in found])
    said = f"{out}: {len(merged):,} scored pairs, {len(found):,} of them from {sheet} (mean score {mean:.2f} of 0 to 1)"
    return [said, *([f"without a score yet: {len(unscored):,} rows ({_spans(unscored)})"] if unscored else [])]


def _spans(numbers: Sequence[int]) -> str:
    """Row numbers in few words: 3, 7-12."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1][1:] = [number]
        else:
            spans.append([number])
    words = ["-".join(map(str, span)) for span in spans]
    return ", ".join(words[:10]) + (f" and {len(words) - 10} more" if len(words) > 10 else "")
