"""Every metric against the reference implementation of the field, on random data with ties."""

import math

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from adapt import checks
from adapt.checks.retrieval import Judged
from adapt.errors import UserError
from adapt.records import ScoredPair, Text, Triplet

from ..conftest import SAMPLES


class Fake:
    """A model whose vectors are given by text."""

    def __init__(self, table):
        self.table = {text: np.asarray(v, dtype=np.float32) for text, v in table.items()}

    def embed(self, texts, role=""):
        return np.stack([self.table[text] for text in texts])

    def score(self, pairs):
        return np.array([float(self.table[a] @ self.table[b]) for a, b in pairs])


def test_every_kind_is_found_by_name_and_by_ending():
    assert set(checks.names()) >= {"pairs", "retrieval", "sts", "triplets"}
    assert checks.kind_of("general-sts") == "sts" and checks.kind_of("sts-general") is None
    for kind in checks.names():
        check = checks.find(kind)
        assert check.main and check.__class__.__doc__


def test_retrieval_agrees_with_trec_eval_through_ir_measures():
    import ir_measures
    from ir_measures import AP, RR, R, nDCG

    rng = np.random.default_rng(5)
    corpus = [Text(f"d{i}", f"passage {i}") for i in range(150)]
    queries = [Text(f"q{i}", f"query {i}") for i in range(25)]
    relevant = {
        q.id: {f"d{j}": float(rng.integers(1, 4)) for j in rng.choice(150, rng.integers(1, 6), replace=False)} for q in queries
    }
    table = {t.text: rng.normal(size=6) for t in [*corpus, *queries]}
    found = checks.find("retrieval").measure(Judged(queries, corpus, relevant), Fake(table))
    scored = {
        q.id: {t.id: float(table[q.text].astype(np.float32) @ table[t.text].astype(np.float32)) for t in corpus} for q in queries
    }
    qrels = {q: {d: int(g) for d, g in grades.items()} for q, grades in relevant.items()}
    wanted = {"ndcg@10": nDCG @ 10, "mrr@10": RR @ 10, "recall@100": R @ 100, "map": AP}
    theirs = ir_measures.calc_aggregate(list(wanted.values()), qrels, scored)
    for name, measure in wanted.items():
        assert found.metrics[name] == pytest.approx(theirs[measure], abs=1e-9), name
        assert np.mean(found.items[name]) == pytest.approx(found.metrics[name])
    assert found.rows == 25


def test_retrieval_by_hand_with_graded_relevance():
    data = checks.find("retrieval").read(str(SAMPLES / "data" / "beir"))
    assert [q.id for q in data.queries] == ["q1", "q2"]  # a query that nobody judged is left out
    axes = {"Heart The heart pumps blood.": [1, 0, 0], "The kidney filters blood.": [0, 1, 0], "Bones hold the body up.": [0, 0, 1]}
    asked = {"what moves blood around": [0.5, 0.6, 0.55], "what cleans blood": [0, 1, 0]}
    found = checks.find("retrieval").measure(data, Fake({**axes, **asked}))
    gain = (1 + 2 / math.log2(4)) / (2 + 1 / math.log2(3))  # grades 1, 0, 2 in rank order; 2, 1 at best
    assert found.items["ndcg@10"] == pytest.approx([gain, 1.0])
    assert found.items["mrr@10"] == [1.0, 1.0] and found.items["map"] == pytest.approx([(1 + 2 / 3) / 2, 1.0])


def test_a_pool_keeps_all_judged_passages():
    source = {name: str(SAMPLES / "data" / "beir" / file) for name, file in
              [("corpus", "corpus.jsonl"), ("queries", "queries.jsonl"), ("qrels", "qrels/test.tsv")]}  # fmt: skip
    assert {t.id for t in checks.find("retrieval").read({**source, "pool": 0}).corpus} == {"d1", "d2"}


def test_broken_beir_folders_say_what_is_missing(tmp_path):
    with pytest.raises(UserError, match=r"has no corpus\.jsonl"):
        checks.find("retrieval").read(str(tmp_path))


@pytest.mark.parametrize("seed", range(3))
def test_sts_agrees_with_scipy_ties_included(seed):
    rng = np.random.default_rng(seed)
    pairs = [ScoredPair(f"a{i}", f"b{i}", round(float(rng.random()), 1)) for i in range(80)]
    vectors = {side: np.round(rng.normal(size=2), 1) for p in pairs for side in (p.sentence1, p.sentence2)}
    model = Fake(vectors)
    found = checks.find("sts").measure(pairs, model)
    predicted = model.score([(p.sentence1, p.sentence2) for p in pairs])
    gold = [p.score for p in pairs]
    assert found.metrics["spearman"] == pytest.approx(spearmanr(gold, predicted).statistic, abs=1e-9)
    assert found.metrics["pearson"] == pytest.approx(pearsonr(gold, predicted).statistic, abs=1e-9)


def test_triplet_accuracy_by_hand_for_both_distances():
    table = {"a": [1, 0], "near": [3, 0.1], "far": [0.5, 0.5], "tie": [1, 0]}
    rows = [Triplet("a", "near", ("far",)), Triplet("a", "tie", ("a",)), Triplet("a", "far", ("near",))]
    found = checks.find("triplets").measure(rows, Fake(table))
    assert found.items["cosine_accuracy"] == [1.0, 0.0, 0.0]  # by angle `near` wins; a tie is no success
    assert found.items["euclidean_accuracy"] == [0.0, 0.0, 1.0]  # by distance the short vector is nearer


def test_triplet_accuracy_agrees_with_sentence_transformers(embedder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import TripletEvaluator

    from adapt.job import Job
    from adapt.measure import OnDisk

    rows = [
        Triplet(f"heart {w}.", f"kidney {w}.", (f"skin {w} cough.",)) for w in ("pain", "rash", "fever", "dose", "left", "mild")
    ]
    theirs = TripletEvaluator([r.anchor for r in rows], [r.positive for r in rows], [r.negatives[0] for r in rows], name="t")
    wanted = theirs(SentenceTransformer(str(embedder), device="cpu"))["t_cosine_accuracy"]
    assert checks.find("triplets").measure(rows, OnDisk(embedder, Job())).metrics["cosine_accuracy"] == pytest.approx(wanted)


def test_pairs_agree_with_scikit_learn_by_hand():
    table = {"a": [1.0, 0.0], "b": [0.9, 0.1], "c": [0.2, 0.8], "d": [0.5, 0.5]}
    rows = [ScoredPair("a", "b", 1.0), ScoredPair("a", "c", 0.0), ScoredPair("a", "d", 1.0), ScoredPair("b", "d", 0.0)]
    found = checks.find("pairs").measure(rows, Fake(table))  # cosines 0.9, 0.2, 0.5, 0.5: one tie across the classes
    assert found.metrics["auc"] == pytest.approx((2 + 1 + 0.5) / 4)
