"""Find the pairs among units of text that are worth scoring: near each other by BM25 or by an encoder, or drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from adapt.job import Job
from adapt.records import Encoder, ScoredPair, Text
from adapt.retrieval import bm25, dense
from adapt.retrieval.candidates import Candidates, at_random, from_neighbours, joined, keys, mixed
from adapt.runtime.precision import InferencePrecision
from adapt.storage import arrays
from adapt.text.clean import normalised
from adapt.text.sentences import sentences

FIELDS = ("first", "second", "sampler", "rank")


def units_of(texts: Sequence[Text], gold: Sequence[ScoredPair], split: bool, min_words: int, max_words: int) -> list[str]:
    """The different texts, or (`split`) their sentences of so many words, after the sides of all gold pairs."""
    found = [side for pair in gold for side in (pair.sentence1, pair.sentence2)]
    if split:
        found += [s for _, s in sentences([t.text for t in texts], min_words, max_words)]
    else:
        found += [t.text for t in texts]
    return list({normalised(text): text for text in found}.values())


def find(
    units: Sequence[str],
    gold: Sequence[ScoredPair],
    sizes: Mapping[str, int],
    model: Encoder | None,
    job: Job,
    *,
    top_k: int,
    per_text: int | None,
    fill: bool,
    language: str,
    precision: InferencePrecision,
) -> Candidates:
    """Candidates without the pairs of gold: `sizes` says how many each sampler gives, bm25, dense, random or kde.

    kde is a pool of all the others, `dense` where there is a model. Saved in `job.work`, and read from there where a killed run
    has found them.
    """
    file = job.work / "candidates.npz"
    saved = arrays.load(file, FIELDS, job.note)
    if saved is None:
        place = {normalised(unit): number for number, unit in enumerate(units)}
        sides = [[place[normalised(pair.sentence1)], place[normalised(pair.sentence2)]] for pair in gold]
        first, second = np.array(sides, dtype=np.int64).reshape(-1, 2).T
        # kde needs all regions of the score: nearest neighbours for the high ones, random pairs for the low.
        broad = ("random", "bm25", *(["dense"] if model else []))
        parts = {}
        for sampler in dict.fromkeys(s for name in sizes for s in ((name,) if name != "kde" else broad)):
            parts[sampler] = _proposed(sampler, units, max(sizes.values()), model, job, top_k, language, precision)
        mix = [parts[s] if s != "kde" else joined([parts[name] for name in broad]) for s in sizes]
        found = mixed(mix, list(sizes.values()), len(units), keys(first, second, len(units)), per_text, fill)
        saved = {name: getattr(found, name) for name in FIELDS}
        arrays.save(file, **saved)
    return Candidates(*(saved[name] for name in FIELDS))


def _proposed(
    sampler: str,
    units: Sequence[str],
    count: int,
    model: Encoder | None,
    job: Job,
    top_k: int,
    language: str,
    precision: InferencePrecision,
) -> Candidates:
    """What one sampler proposes, best rank first; the order of anchors is random."""
    if sampler == "random":
        return at_random(len(units), 2 * count + 50, np.random.default_rng([job.seed, 1]))
    # A few times the anchors that are needed, since neighbours overlap; not all, since search costs too.
    anchors = np.random.default_rng(job.seed).permutation(len(units))[: max(50, 2 * count)]
    k = top_k + 1  # the nearest neighbour of a text is itself
    if sampler == "bm25":
        found, scores = bm25.top(units, [units[i] for i in anchors], k, language)
        return from_neighbours(anchors, np.where(scores > 0, found, -1))
    from adapt.inference.encoding import embed

    assert model is not None
    vectors = embed(model.path, units, job, label="silver candidates", precision=precision)
    return from_neighbours(anchors, dense.top(vectors[anchors], vectors, k)[0])
