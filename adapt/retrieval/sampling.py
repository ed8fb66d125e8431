"""Find candidate pairs of text units to be scored: neighbours by BM25 or by an encoder, or random pairs."""

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
    """The distinct texts of gold pairs, then the texts or (`split`) their sentences of `min_words` to `max_words` words."""
    units = [side for pair in gold for side in (pair.sentence1, pair.sentence2)]
    if split:
        units += [s for _, s in sentences([t.text for t in texts], min_words, max_words)]
    else:
        units += [t.text for t in texts]
    return list({normalised(text): text for text in units}.values())


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
    """Candidates without the pairs of gold; `sizes`: {sampler (bm25, dense, random or kde): number of candidates}.

    kde mixes the candidates of random, bm25 and, with a model, dense. The result is saved in `job.work`, from where a resumed
    run loads it.
    """
    file = job.work / "candidates.npz"
    saved = arrays.load(file, FIELDS, job.note)
    if saved is None:
        index = {normalised(unit): number for number, unit in enumerate(units)}
        sides = [[index[normalised(pair.sentence1)], index[normalised(pair.sentence2)]] for pair in gold]
        first, second = np.array(sides, dtype=np.int64).reshape(-1, 2).T
        # kde needs candidates in the whole range of scores: nearest neighbours for high scores, random pairs for low ones.
        broad = ("random", "bm25", *(["dense"] if model else []))
        parts = {}
        for sampler in dict.fromkeys(s for name in sizes for s in ((name,) if name != "kde" else broad)):
            parts[sampler] = _sample(sampler, units, max(sizes.values()), model, job, top_k, language, precision)
        mix = [parts[s] if s != "kde" else joined([parts[name] for name in broad]) for s in sizes]
        candidates = mixed(mix, list(sizes.values()), len(units), keys(first, second, len(units)), per_text, fill)
        saved = {name: getattr(candidates, name) for name in FIELDS}
        arrays.save(file, **saved)
    return Candidates(*(saved[name] for name in FIELDS))


def _sample(
    sampler: str,
    units: Sequence[str],
    count: int,
    model: Encoder | None,
    job: Job,
    top_k: int,
    language: str,
    precision: InferencePrecision,
) -> Candidates:
    """The candidates of one sampler, best rank first; the order of anchors is random."""
    if sampler == "random":
        return at_random(len(units), 2 * count + 50, np.random.default_rng([job.seed, 1]))
    # More anchors than needed, since neighbours overlap; not all, since search takes time.
    anchors = np.random.default_rng(job.seed).permutation(len(units))[: max(50, 2 * count)]
    k = top_k + 1  # the nearest neighbour of a text is itself
    if sampler == "bm25":
        neighbours, scores = bm25.top(units, [units[i] for i in anchors], k, language)
        return from_neighbours(anchors, np.where(scores > 0, neighbours, -1))
    from adapt.inference.encoding import embed

    assert model is not None
    vectors = embed(model.path, units, job, label="silver candidates", precision=precision)
    return from_neighbours(anchors, dense.top(vectors[anchors], vectors, k)[0])
