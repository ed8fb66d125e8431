"""Near-duplicates against brute force: every pair at Jaccard 0.8 and above, and no other."""

import random

import numpy as np
import pytest

from adapt.text import near_duplicates as room
from adapt.text.near_duplicates import NearDuplicateIndex, deduplicate, near_duplicates

VOCABULARY = [f"w{i}" for i in range(400)]


def jaccard(left, right):
    """By the definition, on the 5-grams themselves."""
    left, right = (
        {tuple(w[i : i + 5]) for i in range(max(1, len(w) - 4))} for w in (left.casefold().split(), right.casefold().split())
    )
    return len(left & right) / len(left | right)


def changed(rng, text, words):
    """The text with so many words replaced, put in or taken out, each at its own place."""
    tokens = text.split()
    for place in sorted(rng.sample(range(len(tokens)), words), reverse=True):
        tokens[place : place + 1] = rng.choice([["other"], ["one", "more"], []])
    return " ".join(tokens)


@pytest.mark.parametrize(("seed", "length"), [(3, 60), (4, 200), (5, 12)])
def test_near_finds_exactly_the_pairs_that_brute_force_finds(seed, length):
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(VOCABULARY, k=length)) for _ in range(60)]
    for text in texts[:40]:  # copies on both sides of the threshold
        texts.append(changed(rng, text, rng.randrange(1 + length // 25)))
    left, right = texts[20:], texts[:80]
    wanted = {(i, j): alike for i, a in enumerate(left) for j, b in enumerate(right) if (alike := jaccard(a, b)) >= 0.8}
    found = list(near_duplicates(left, right))
    assert {(i, j): pytest.approx(alike) for i, j, alike in found} == wanted
    assert [pair[:2] for pair in found] == sorted(wanted) and len(wanted) > 60  # the same texts, and some copies
    assert list(NearDuplicateIndex(left).self_pairs()) == [(i, j, alike) for i, j, alike in near_duplicates(left, left) if i < j]


def test_of_many_planted_near_copies_nearly_all_are_found_and_nothing_else():
    rng = random.Random(8)
    held = [" ".join(rng.choices(VOCABULARY, k=60)) for _ in range(1_000)]
    copies = [changed(rng, text, rng.choice([1, 2])) for text in held]
    wanted = {i for i, (text, copy) in enumerate(zip(held, copies, strict=True)) if jaccard(text, copy) >= 0.8}
    others = [" ".join(rng.choices(VOCABULARY, k=60)) for _ in range(1_000)]
    found = list(NearDuplicateIndex(held).find([*copies, *others]))
    assert all(i == j and alike >= 0.8 for i, j, alike in found)
    assert len(wanted) > 500 and len({i for i, _, _ in found}) >= 0.999 * len(wanted)


def test_compiled_comparison_counts_as_the_other_does(monkeypatch):
    rng = random.Random(9)
    texts = [" ".join(rng.choices(VOCABULARY[:30], k=rng.randrange(1, 80))) for _ in range(200)]
    texts += [changed(rng, text, 1) for text in texts]
    by_numpy = list(near_duplicates(texts, texts))
    monkeypatch.setattr(room, "COMPILED", 0)
    assert list(near_duplicates(texts, texts)) == by_numpy and len(by_numpy) > 400


def test_work_in_small_portions_finds_the_same(monkeypatch):
    rng = random.Random(10)
    texts = [" ".join(rng.choices(VOCABULARY, k=50)) for _ in range(80)]
    texts += [changed(rng, text, 1) for text in texts]
    whole = list(near_duplicates(texts, texts))
    monkeypatch.setattr(room, "MAX_COMPARED", 300)
    monkeypatch.setattr(room, "BLOCK", 7)
    assert list(near_duplicates(texts, texts)) == whole


def test_signatures_estimate_the_overlap():
    rng = random.Random(11)
    texts = [" ".join(rng.choices(VOCABULARY, k=120)) for _ in range(200)]
    copies = [changed(rng, text, 1 + i % 6) for i, text in enumerate(texts)]
    known = room._Hashes()
    left, right = (room._shingled(some, known).signatures for some in (texts, copies))
    errors = (left == right).mean(1) - [jaccard(a, b) for a, b in zip(texts, copies, strict=True)]
    assert abs(errors.mean()) < 0.01 and np.abs(errors).max() < room.SLACK  # sd 0.04 each


def test_short_texts_are_near_only_to_themselves():
    assert list(near_duplicates(["left leg"], ["left arm", "Left leg."])) == [(0, 1, 1.0)]
    assert list(near_duplicates(["a b c d"], ["a b c d e", "b c d", "A, b; c? d!"])) == [(0, 2, 1.0)]


def test_empty_texts_and_empty_lists_do_no_harm():
    assert list(near_duplicates(["", "!"], ["", "a"])) == [(0, 0, 1.0), (1, 0, 1.0)]
    assert list(near_duplicates([], ["a"])) == list(near_duplicates(["a"], [])) == [] and deduplicate([]) == []


def test_scripts_without_spaces_are_compared_by_characters():
    text = "高血压患者应当每天测量血压并按照医生的建议服用药物"
    assert [(i, j) for i, j, _ in near_duplicates([text], [text[:-1], text[: len(text) // 2]])] == [(0, 0)]


def test_the_first_of_near_duplicates_is_kept():
    assert deduplicate(["a b c d e f g h", "x y z", "A b c d e f g h!"]) == [0, 1]
