"""Retrieval's metrics against trec_eval and sentence-transformers, its ties, groups and files."""

import math
import random

import numpy as np
import pytest

from adapt import checks
from adapt.checks.kinds.retrieval import RetrievalData
from adapt.errors import UserError
from adapt.records import Text

from ..conftest import SAMPLES, sentence
from .fake import Fake


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
    found = checks.find("retrieval").measure(RetrievalData(queries, corpus, relevant), Fake(table))
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


def test_retrieval_agrees_with_trec_eval_where_passages_tie():
    import ir_measures
    from ir_measures import AP, RR, P, R, nDCG

    rng = np.random.default_rng(8)
    corpus = [Text(f"d{i}", f"passage {i}") for i in range(120)]
    queries = [Text(f"q{i}", f"query {i}") for i in range(30)]
    relevant = {q.id: {t.id: float(rng.integers(1, 4)) for t in rng.choice(corpus, 4, replace=False)} for q in queries}
    table = {t.text: rng.integers(-1, 2, size=4).astype(float) for t in [*corpus, *queries]}  # products are small whole numbers
    found = checks.find("retrieval").measure(RetrievalData(queries, corpus, relevant, at=(1, 7)), Fake(table))
    scored = {q.id: {t.id: float(table[q.text] @ table[t.text]) for t in corpus} for q in queries}
    assert any(len(set(scores.values())) < 12 for scores in scored.values())
    wanted = {
        "ndcg@10": nDCG @ 10, "recall@100": R @ 100, "map": AP, "precision@10": P @ 10,
        "ndcg@1": nDCG @ 1, "ndcg@7": nDCG @ 7, "recall@7": R @ 7, "precision@7": P @ 7, "precision@1": P @ 1,
    }  # fmt: skip
    # trec_eval gives a tie to the name that sorts last, we to wrong passages before right ones, to lower grades before higher.
    scored = {q: {f"{9 - relevant[q].get(d, 0):.0f} {d}": s for d, s in scores.items()} for q, scores in scored.items()}
    qrels = {q: {f"{9 - g:.0f} {d}": int(g) for d, g in grades.items()} for q, grades in relevant.items()}
    theirs = ir_measures.calc_aggregate(list(wanted.values()), qrels, scored)
    for name, measure in wanted.items():
        assert found.metrics[name] == pytest.approx(theirs[measure], abs=1e-9), name
    for k in (7, 10):  # RR@k comes from another program, with another order of ties: here it is RR of the first k
        first = {q: dict(sorted(s.items(), key=lambda hit: (hit[1], hit[0]), reverse=True)[:k]) for q, s in scored.items()}
        assert found.metrics[f"mrr@{k}"] == pytest.approx(ir_measures.calc_aggregate([RR], qrels, first)[RR], abs=1e-9)


@pytest.mark.parametrize("few", [0, 1_000])
def test_ranks_are_the_places_in_an_exact_search_counted_or_sorted(monkeypatch, few):
    from adapt.checks import ranking
    from adapt.retrieval import dense

    monkeypatch.setattr(ranking, "FEW", few)
    monkeypatch.setattr(ranking, "BLOCK", 1_000)
    rng = np.random.default_rng(few)
    for digits in (0, 1, 7):  # ties everywhere, some, none
        queries, passages = (np.round(rng.normal(size=(n, 3)), digits).astype(np.float32) for n in (30, 200))
        wanted = [rng.choice(200, rng.integers(1, 9), replace=False).tolist() for _ in queries]
        never = rng.integers(-1, 200, size=30)
        never[3], wanted[4] = wanted[3][0], [never[4], 5] if never[4] != 5 else [5]
        for number, found in enumerate(ranking.ranks(queries, passages, wanted, never)):
            places, own = wanted[number], never[number]
            # An exact search gives ties to the lower index: here those wanted stand last, in their order.
            order = [*(i for i in range(200) if i not in places), *places]
            full = [order[i] for i in dense.top(queries[number : number + 1], passages[order], 200)[0][0]]
            seen = [i for i in full if i != own]
            assert found.tolist() == [seen.index(place) if place != own else 200 for place in places]


def test_a_model_that_tells_nothing_apart_gets_nothing_whatever_the_order_of_the_corpus():
    corpus = [Text(f"d{i}", f"passage {i}") for i in range(50)]
    queries = [Text(f"q{i}", f"query {i}") for i in range(5)]
    relevant = {q.id: {f"d{i}": 1.0} for i, q in enumerate(queries)}  # the answers stand first
    check = checks.find("retrieval")
    for vector in ([1.0, 0.0], [0.0, 0.0], [np.nan, 0.0]):
        blind = Fake({t.text: vector for t in [*corpus, *queries]})
        for texts in (corpus, corpus[::-1]):
            found = check.measure(RetrievalData(queries, texts, relevant), blind).metrics
            assert found["ndcg@10"] == found["mrr@10"] == 0 and found["map"] <= 1 / 50, vector


@pytest.mark.parametrize("few", [0, 1_000])
def test_vectors_that_are_no_numbers_find_nothing(monkeypatch, few):
    from adapt.checks import ranking

    monkeypatch.setattr(ranking, "FEW", few)
    queries = np.array([[1, 0], [np.nan, 0]], dtype=np.float32)
    passages = np.array([[0.5, 0], [np.nan, 0], [0.9, 0]], dtype=np.float32)
    found = [ranks.tolist() for ranks in ranking.ranks(queries, passages, [[0, 1, 2], [0, 2]], [-1, -1])]
    assert found == [[1, 3, 0], [3, 3]]


def test_retrieval_agrees_with_sentence_transformers(embedder):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    from adapt.job import Job
    from adapt.pipeline.measurements import BiEncoderModel

    rng = random.Random(4)
    corpus = [Text(f"d{i}", sentence(rng, 12)) for i in range(60)]
    queries = [Text(f"q{i}", sentence(rng, 5)) for i in range(15)]
    relevant = {q.id: {f"d{j}": 1.0 for j in rng.sample(range(60), 3)} for q in queries}
    theirs = InformationRetrievalEvaluator(
        {q.id: q.text for q in queries}, {t.id: t.text for t in corpus}, {q: set(grades) for q, grades in relevant.items()},
        map_at_k=[60], name="t", accuracy_at_k=[10], precision_recall_at_k=[5, 10],
    )(SentenceTransformer(str(embedder), device="cpu"))  # fmt: skip
    found = (
        checks.find("retrieval").measure(RetrievalData(queries, corpus, relevant, at=(5,)), BiEncoderModel(embedder, Job())).metrics
    )
    for ours, name in [
        ("ndcg@10", "ndcg@10"), ("mrr@10", "mrr@10"), ("map", "map@60"), ("precision@10", "precision@10"), ("recall@5", "recall@5")
    ]:  # fmt: skip
        assert found[ours] == pytest.approx(theirs[f"t_cosine_{name}"], abs=1e-9), ours


def test_queries_that_share_a_passage_are_one_group_and_topics_come_from_query_or_passage():
    corpus = [Text("d0", "a"), Text("d1", "b", topic="bones"), Text("d2", "c", topic="skin"), Text("d3", "d")]
    queries = [Text("q0", "e", topic="heart"), Text("q1", "f"), Text("q2", "g"), Text("q3", "h")]
    relevant = {"q0": {"d0": 1.0}, "q1": {"d1": 1.0, "d2": 2.0}, "q2": {"d0": 1.0, "d1": 1.0}, "q3": {"d3": 1.0}}
    table = {t.text: [1.0, float(i)] for i, t in enumerate([*corpus, *queries])}
    found = checks.find("retrieval").measure(RetrievalData(queries, corpus, relevant), Fake(table))
    assert found.groups == ["d0", "d0", "d0", "d3"]  # q0 and q1 share nothing, but each shares with q2
    assert found.topics == ["heart", "skin", "bones", ""]  # the most relevant passage that has a topic
    plain = checks.find("retrieval").measure(RetrievalData([Text("q", "e")], [Text("d", "a")], {"q": {"d": 1.0}}), Fake(table))
    assert plain.topics == ()


def test_clusters_are_the_connected_components_of_shared_keys():
    from adapt.checks.groups import clusters

    rng = np.random.default_rng(2)
    keys = [[f"k{k}" for k in rng.choice(90, rng.integers(1, 4), replace=False)] for _ in range(60)]
    reached = {i: {i} for i in range(60)}
    for i in range(60):  # breadth first, by brute force
        while more := {j for j in range(60) if j not in reached[i] and any(set(keys[j]) & set(keys[k]) for k in reached[i])}:
            reached[i] |= more
    found = clusters(keys)
    assert 1 < len(set(found)) < 60
    assert all((found[i] == found[j]) == (j in reached[i]) for i in range(60) for j in range(60))
    assert all(found[i] == keys[min(reached[i])][0] for i in range(60))  # named by the first key of the first item
    assert len(set(clusters([[], [], ["a"]]))) == 3  # without a key: alone
    assert clusters([]) == []


def test_trec_judgements_are_read_and_ids_that_stand_twice_are_told(tmp_path):
    (tmp_path / "corpus.jsonl").write_text('{"_id": "d1", "text": "one"}\n{"_id": "d2", "text": "two"}\n')
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "first"}\n')
    (tmp_path / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d2 0\n")
    assert checks.find("retrieval").read(str(tmp_path)).relevant == {"q1": {"d1": 2.0}}
    (tmp_path / "qrels.txt").write_text("q1 0 d1 2\nq1 0 d9 1\nq1 0\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "first"}\n{"_id": "q1", "text": "again"}\n')
    with pytest.raises(UserError) as caught:
        checks.find("retrieval").read(str(tmp_path))
    assert [next(w for w in ("q1'", "line 3") if w in p) for p in caught.value.problems] == ["q1'", "line 3"]


def test_ranks_to_cut_at_are_whole_numbers():
    folder = str(SAMPLES / "data" / "beir")
    assert checks.find("retrieval").read({"folder": folder, "at": [1, 3], "pool": 1}).at == (1, 3)
    with pytest.raises(UserError, match="list of ranks"):
        checks.find("retrieval").read({"folder": folder, "at": ["ten"]})


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
