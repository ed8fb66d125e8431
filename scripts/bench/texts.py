"""Benchmark texts, made from `corpora/medical`: deterministic, in any number."""

import json
import random
from functools import lru_cache
from pathlib import Path

from adapt.files import read
from adapt.records import ScoredPair, Triplet
from adapt.text.sentences import sentences

MEDICAL = Path(__file__).parents[2] / "corpora" / "medical"


@lru_cache
def spoken() -> list[str]:
    """The sentences of the medical passages, in order."""
    passages = read(str(MEDICAL / "passages.jsonl"), "texts")
    return [sentence for _, sentence in sentences([p.text for p in passages], 3, 60)]


def of_words(count: int, least: int, most: int, seed: int = 0, typical: float | None = None) -> list[str]:
    """`count` different texts of `least` to `most` words, from consecutive sentences.

    Lengths are drawn evenly, or (`typical`, a median) from a log-normal distribution, as those of real passages are.
    """
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        drawn = rng.uniform(least, most) if typical is None else typical * rng.lognormvariate(0, 0.6)
        words: list[str] = []
        place, wanted = rng.randrange(len(spoken())), int(min(max(drawn, least), most))
        while len(words) < wanted:
            words += spoken()[place % len(spoken())].split()
            place += 1
        found[" ".join(words[:wanted])] = None
    return list(found)


def triplets(count: int, words: int = 48, seed: int = 0) -> list[Triplet]:
    """Questions, the passage that answers, and another passage of the topic; passages are cut to `words` words."""
    rows = [json.loads(line) for line in (MEDICAL / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    topics: dict[str, list[str]] = {}
    for row in rows:
        topics.setdefault(row["topic"].split("/")[0], []).append(row["positive"])
    rng = random.Random(seed)

    def cut(text: str) -> str:
        return " ".join(text.split()[: rng.randint(words // 3, words)])

    chosen = rng.sample(rows, len(rows))
    found, seen = [], set()
    for row in chosen:
        others = [text for text in topics[row["topic"].split("/")[0]] if text != row["positive"]]
        if row["positive"] not in seen and others:  # a positive once: stock has no way to mask it
            seen.add(row["positive"])
            found.append(Triplet(row["anchor"], cut(row["positive"]), (cut(rng.choice(others)),)))
    return found[:count]


def scored(count: int, seed: int = 0) -> list[ScoredPair]:
    """Rated pairs of sentences."""
    rows = read(str(MEDICAL / "gold.csv"), "scored")
    return random.Random(seed).sample(list(rows), count)


def pairs(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Pairs of sentences and short passages, 4 to 60 words each, as candidates for labelling are."""
    texts = of_words(2 * count, 4, 60, seed, typical=16)
    return list(zip(texts[:count], texts[count:], strict=True))
