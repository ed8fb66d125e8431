"""Mining beside sentence-transformers' `mine_hard_negatives`: row by row where it is right, and where it is not.

An assert that begins with `peer` on a test of a fault holds that it is still there: when it fails, the fault has been mended
and the test may join those of agreement.
"""

import random

import numpy as np
import pytest

from adapt import stages
from adapt.job import Job
from adapt.records import CrossEncoder, Encoder, Pair, Text

from .points import Points, mined, on_arc, peer


def corpus_of(seed, pairs=12, others=30):
    rng = random.Random(seed)
    word = lambda: "".join(rng.choices("abcdefghij", k=8))  # noqa: E731
    gold = [Pair(f"question {word()} {word()}", f"answer {word()} {word()}") for _ in range(pairs)]
    return gold, [Text(f"c{i}", f"passage {word()} {word()}") for i in range(others)]


AGREEING = [
    ({}, {}),
    ({"absolute_margin": 0.1}, {"absolute_margin": 0.1}),
    ({"absolute_margin": 0.0}, {"absolute_margin": 0.0}),
    ({"relative_margin": 0.05}, {"relative_margin": 0.05}),
    ({"relative_margin": 0.5}, {"relative_margin": 0.5}),
    ({"max_score": 0.3}, {"max_score": 0.3}),
    ({"min_score": -0.2}, {"min_score": -0.2}),
    (
        {"max_score": 0.6, "min_score": -0.4, "absolute_margin": 0.05},
        {"max_score": 0.6, "min_score": -0.4, "absolute_margin": 0.05},
    ),
]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("ours", "theirs"), AGREEING)
def test_rows_agree_where_the_peer_is_right(monkeypatch, ours, theirs, seed):
    pairs, corpus = corpus_of(seed)
    points = Points(size=4)  # positives may have negative cosines: bounds must hold below zero, too
    wanted = peer(points, pairs, corpus, **theirs)
    found = mined(monkeypatch, points, pairs, corpus, negatives=3, **{"relative_margin": None, **ours})
    assert {key: found[key] for key in wanted} == wanted
    assert len(wanted) > 2 and set(found) == {(p.anchor, p.positive) for p in pairs}
    assert all(len(found[key]) < 3 for key in set(found) - set(wanted))  # what the peer drops had too few


@pytest.mark.parametrize("seed", range(3))
def test_rows_agree_for_queries_with_several_positives_and_without_a_corpus(monkeypatch, seed):
    pairs, _ = corpus_of(seed)
    pairs += [Pair(pair.anchor, f"second {pair.positive}") for pair in pairs[:5]]
    points = Points(size=4)
    assert mined(monkeypatch, points, pairs, negatives=3, relative_margin=None) == peer(points, pairs)


def test_a_query_in_the_corpus_is_not_its_own_negative(monkeypatch):
    pairs, corpus = corpus_of(1)
    corpus.append(Text("q", pairs[0].anchor))
    key = (pairs[0].anchor, pairs[0].positive)
    assert pairs[0].anchor not in mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=30)[key]
    assert peer(Points(), pairs, corpus)[key][0] == pairs[0].anchor


def test_reversed_and_transitive_pairs_are_not_negatives(monkeypatch):
    pairs, corpus = corpus_of(2)
    (a, b), (c, d) = ((pairs[i].anchor, pairs[i].positive) for i in (0, 1))
    reverse = "asked the other way round"
    tied = [*pairs, Pair(reverse, a), Pair(c, b)]  # reverse ~ a: reversed;  a ~ b ~ c ~ d: through each other
    corpus = [*corpus, Text("r", reverse)]
    found = mined(monkeypatch, Points(), tied, corpus, relative_margin=None, negatives=40)[a, b]
    assert not {reverse, c, d, a} & set(found) and len(found) > 30
    theirs = peer(Points(), tied, corpus, num_negatives=40)[a, b]
    assert {reverse, d, a} <= set(theirs)


def test_range_min_counts_raw_ranks_not_what_the_margin_left(monkeypatch):
    names = ["too near", "near", "third", "fourth", "fifth", "sixth"]
    points = Points({"q": (1, 0), "p": on_arc(0.8)[0], **dict(zip(names, on_arc(0.9, 0.79, 0.6, 0.5, 0.4, 0.3), strict=True))})
    corpus = [Text(name, name) for name in names]
    settings = {"negatives": 2, "absolute_margin": 0.05, "relative_margin": None, "range_min": 2}
    # Raw ranks: too near, p, near, third, fourth ...: the positive counts, and so does what the margin takes.
    assert mined(monkeypatch, points, [Pair("q", "p")], corpus, **settings | {"absolute_margin": None})["q", "p"] == (
        "near",
        "third",
    )
    assert mined(monkeypatch, points, [Pair("q", "p")], corpus, **settings)["q", "p"] == ("third", "fourth")
    theirs = peer(points, [Pair("q", "p")], corpus, num_negatives=2, absolute_margin=0.05, range_min=2)
    assert theirs["q", "p"] == ("fifth", "sixth")
    assert mined(monkeypatch, points, [Pair("q", "p")], corpus, **settings | {"range_max": 4})["q", "p"] == ("third",)


def test_no_pair_is_dropped_for_want_of_negatives(monkeypatch):
    pairs, corpus = corpus_of(3)
    job = Job(2)
    found = mined(monkeypatch, Points(size=4), pairs, corpus, job, negatives=20, absolute_margin=0.3, relative_margin=None)
    assert list(found) == [(p.anchor, p.positive) for p in pairs] and all(found.values())
    assert job.counts["short"] + job.counts["random"] > 3 and job.counts["left_out"] == 0
    theirs = peer(Points(size=4), pairs, corpus, num_negatives=20, absolute_margin=0.3)
    assert len(theirs) < len(pairs)


class Judge:
    """A cross-encoder that counts its calls and scores by a table; for sentence-transformers too."""

    def __init__(self, scores, default=0.1):
        self.scores, self.default, self.calls, self.asked = scores, default, 0, []

    def __call__(self, folder, pairs, job, label="", calibrated=False, **more):
        assert calibrated
        return np.array(self.predict(pairs).tolist())

    def predict(self, pairs, **_):
        import torch

        self.calls += 1
        self.asked += [tuple(pair) for pair in pairs]
        return torch.tensor([self.scores.get(tuple(pair), self.default) for pair in pairs], dtype=torch.float64)


def test_a_cross_encoder_filters_without_being_asked_for_a_margin_and_in_few_calls(monkeypatch, tmp_path):
    pairs, corpus = corpus_of(4, pairs=20, others=100)
    plain = mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=3)
    first = {(anchor, negatives[0]): 0.9 for (anchor, _), negatives in plain.items()}
    second = {(anchor, negatives[1]): 0.45 for (anchor, _), negatives in plain.items()}
    right = {(p.anchor, p.positive): 0.47 for p in pairs}
    judge = Judge(first | second | right)
    monkeypatch.setattr("adapt.inference.scoring.predict", judge)
    found = mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=3, cross_encoder=CrossEncoder(tmp_path))
    assert all(found[key][:2] == plain[key][1:] and len(found[key]) == 3 for key in plain)  # called a positive: passed over
    assert judge.calls == 2 and len(judge.asked) == len(set(judge.asked)) == 20 * (1 + 3 + 1)  # no more than needed
    judge = Judge(first | second | right)
    monkeypatch.setattr("adapt.inference.scoring.predict", judge)
    found = mined(monkeypatch, Points(), pairs, corpus, relative_margin=0.1, negatives=3, cross_encoder=CrossEncoder(tmp_path))
    assert not any((anchor, text) in first | second for (anchor, _), texts in found.items() for text in texts)  # 0.45 > 0.9 · 0.47
    theirs = Judge(first)
    assert peer(Points(), pairs, corpus, cross_encoder=theirs) == plain and theirs.calls == 0  # ignored
    peer(Points(), pairs, corpus, cross_encoder=theirs, max_score=0.5)
    assert theirs.calls == len(pairs) + 1


def test_random_choice_depends_on_the_job_s_seed_alone(monkeypatch):
    pairs, corpus = corpus_of(5)

    def draw(seed):
        random.seed(random.randrange(1_000) + seed)  # the global state must not matter
        return mined(monkeypatch, Points(), pairs, corpus, Job(seed), sampling_strategy="random", relative_margin=None, negatives=3)

    assert draw(1) == draw(1) != draw(2)
    assert sum(draw(1)[key] == draw(2)[key] for key in draw(1)) < 3
    top = mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=3)
    assert sum(set(draw(1)[key]) == set(top[key]) for key in top) < 3
    once, again = (peer(Points(), pairs, corpus, sampling_strategy="random") for _ in range(2))
    assert once != again  # no seed to give


def test_vectors_that_were_kept_are_those_of_the_model_that_asks(monkeypatch, embedder, texts, tmp_path):
    from adapt.models.bi_encoder import load_encoder, save_encoder

    other = load_encoder(embedder)
    for parameter in other.parameters():
        parameter.data = -parameter.data.flip(0)
    save_encoder(other, tmp_path / "other")
    pairs = [Pair(f"{t.text.split('.')[0]}?", t.text) for t in texts[:6]]
    stage = stages.find("mine")(retrievers=("dense",), relative_margin=None)
    fresh = {m: stage.run(pairs, Encoder(m), Job(2), texts) for m in (embedder, tmp_path / "other")}
    for model, wanted in fresh.items():
        assert stage.run(pairs, Encoder(model), Job(2, embedding_cache=tmp_path / "vectors"), texts) == wanted
    assert fresh[embedder] != fresh[tmp_path / "other"]
    pairs, corpus = corpus_of(6)
    one = peer(Points(size=4), pairs, corpus, cache_folder=str(tmp_path / "cache"))
    assert peer(Points(size=5), pairs, corpus, cache_folder=str(tmp_path / "cache")) == one != peer(Points(size=5), pairs, corpus)
