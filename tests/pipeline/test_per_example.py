"""Per-example comparisons of embeddings at known angles."""

import numpy as np
import pytest

from adapt.checks import Measurement
from adapt.checks.kinds.retrieval import RetrievalData
from adapt.pipeline import per_example
from adapt.pipeline.cosine_comparison import ModelPair, compare_cosines, pair_series
from adapt.pipeline.per_example import (
    compare_check,
    compare_neighbours,
    gains,
    select_items,
    values_per_item,
)
from adapt.records import ScoredPair, Text, Triplet
from adapt.retrieval.cosine_histogram import BINS
from adapt.run_details import CheckComparison, PerExampleComparison, RelevantPassage


def unit(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], dtype=np.float32)


def angles(table):
    """A model whose vector of a text lies at a known angle."""
    return lambda texts, role="": np.stack([unit(table[text]) for text in texts])


PASSAGES = {"p0": 0, "p1": 20, "p2": 40, "p3": 60, "p4": 80, "p5": 100, "p6": 120}
BEFORE = {"q0": 1, "q1": 22, "q2": 59}  # nearest: p0, p1, p3
AFTER = {"q0": 1, "q1": 41, "q2": 59}


@pytest.fixture
def judged():
    corpus = [Text(name, name) for name in PASSAGES]
    queries = [Text(name, name) for name in BEFORE]
    return RetrievalData(queries, corpus, {"q0": {"p0": 1.0}, "q1": {"p2": 1.0}, "q2": {"p4": 1.0, "p5": 1.0}})


@pytest.fixture
def models():
    return ModelPair(angles({**PASSAGES, **BEFORE}), angles({**PASSAGES, **AFTER}))


def test_gains_are_sorted_counted_and_thinned():
    texts = [(f"q{i}",) for i in range(5)]
    found = gains(texts, np.array([0.5, 0.5, 1.0, 0.2, 0.0]), np.array([0.5, 1.0, 0.0, 0.3, 0.0]))
    assert (found.better, found.same, found.worse) == (2, 2, 1)
    assert [(item.texts, item.gain) for item in found.items] == [
        (("q1",), 0.5), (("q3",), pytest.approx(0.1)), (("q0",), 0.0), (("q4",), 0.0), (("q2",), -1.0),
    ]  # fmt: skip
    rng = np.random.default_rng(0)
    before, after = rng.random(5_000), rng.random(5_000)
    found = gains([("q",)] * 5_000, before, after)
    kept = [item.gain for item in found.items]
    assert len(kept) == per_example.MAX_ITEMS and kept == sorted(kept, reverse=True)
    assert found.better + found.same + found.worse == 5_000
    assert kept[0] == pytest.approx((after - before).max()) and kept[-1] == pytest.approx((after - before).min())


def test_ten_items_are_selected_four_gained_three_unchanged_three_lost():
    before = np.array([0.5] * 10 + [0.1, 0.9] + [0.5] * 8)
    after = before + np.array([0.4, 0.3, 0.2, 0.1, 0.05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -0.1, -0.2, -0.3, -0.4, 0.01])
    picked = select_items(before, after)
    assert [change for change, _ in picked] == ["gained"] * 4 + ["unchanged"] * 3 + ["lost"] * 3
    assert [item for _, item in picked] == [0, 1, 2, 3, 5, 6, 7, 18, 17, 16]
    assert select_items(np.zeros(3), np.array([0.0, 0.5, 0.0])) == [("gained", 1), ("unchanged", 0), ("unchanged", 2)]
    lost = select_items(np.ones(20), np.linspace(0.9, 0.99, 20))
    assert [change for change, _ in lost] == ["unchanged"] * 7 + ["lost"] * 3 and [item for _, item in lost[-3:]] == [0, 1, 2]


def test_neighbours_are_the_nearest_passages_with_the_ranks_of_the_relevant_ones(judged, models):
    found = {row.query: row for row in compare_neighbours(judged, np.array([1.0, 0.6, 0.5]), np.array([1.0, 1.0, 0.5]), models)}
    q1 = found["q1"]
    assert [hit.id for hit in q1.base_hits] == ["p1", "p2", "p0", "p3", "p4"]
    assert [hit.id for hit in q1.final_hits] == ["p2", "p3", "p1", "p4", "p0"]
    assert [hit.relevant for hit in q1.base_hits] == [False, True, False, False, False]
    assert q1.relevant == (RelevantPassage(id="p2", text="p2", base_rank=2, final_rank=1),)
    assert q1.base_hits[0].cosine == pytest.approx(np.cos(np.radians(2)), abs=1e-4)
    assert [(passage.id, passage.base_rank) for passage in found["q2"].relevant] == [("p4", 3), ("p5", 5)]
    assert (q1.change, q1.base, q1.final) == ("gained", 0.6, 1.0)


def test_a_query_is_no_neighbour_of_itself(models):
    corpus = [Text(name, name) for name in PASSAGES]
    data = RetrievalData([Text("p1", "p1")], corpus, {"p1": {"p2": 1.0}})
    [row] = compare_neighbours(data, np.array([0.0]), np.array([0.0]), models)
    assert [hit.id for hit in row.base_hits] == ["p0", "p2", "p3", "p4", "p5"] and row.relevant[0].base_rank == 2
    series, _ = pair_series(data, models)
    assert series["hard negatives"] == [("p1", "p0")]


def test_hard_negatives_are_the_irrelevant_passages_that_the_base_ranks_highest(judged, models):
    series, roles = pair_series(judged, models)
    assert roles == ("query", "document")
    assert series["positives"] == [("q0", "p0"), ("q1", "p2"), ("q2", "p4"), ("q2", "p5")]
    assert series["hard negatives"] == [("q0", "p1"), ("q1", "p1"), ("q2", "p3")]
    assert not set(series["random"]) & {*series["positives"], *series["hard negatives"]}
    assert {left for left, _ in series["random"]} == set(BEFORE) and len(series["random"]) > 1_000


def test_histograms_count_every_pair_once_and_the_overlap_is_the_shared_area(judged, models):
    found = compare_cosines(*pair_series(judged, models), models)
    width = 2 / BINS
    for side, table in ((found.base, BEFORE), (found.final, AFTER)):
        wanted = [np.cos(np.radians(table[q] - PASSAGES[p])) for q, p in (("q0", "p0"), ("q1", "p2"), ("q2", "p4"), ("q2", "p5"))]
        bins = [min(int((value + 1) / width), BINS - 1) for value in wanted]
        assert side.counts["positives"] == tuple(bins.count(number) for number in range(BINS))
        assert side.means["positives"] == pytest.approx(np.mean(wanted), abs=1e-4)
        shares = {name: np.array(counts) / sum(counts) for name, counts in side.counts.items()}
        for name, overlap in side.overlap.items():
            assert overlap == pytest.approx(np.minimum(shares["positives"], shares[name]).sum(), abs=1e-4)
    assert list(found.base.overlap) == ["hard negatives", "random"]


def test_pairs_and_triplets_have_series_of_their_own():
    model = angles({"a": 0, "b": 10, "c": 90, "d": 100})
    series, roles = pair_series([ScoredPair("a", "b", 0.9), ScoredPair("c", "d", 0.1)], ModelPair(model, model))
    assert roles == ("", "") and series["scored 0.5 and above"] == [("a", "b")] and series["scored below 0.5"] == [("c", "d")]
    assert set(series["random"]) == {("a", "d"), ("c", "b")}
    series, _ = pair_series([Triplet("a", "b", ("c", "d"))], ModelPair(model, model))
    assert series["positives"] == [("a", "b")] and series["hard negatives"] == [("a", "c"), ("a", "d")]
    assert pair_series([Text("1", "a")], ModelPair(model, model)) is None


def test_the_value_of_an_item_of_a_correlation_is_how_near_its_rank_is_to_the_gold_rank():
    gold = [0.0, 0.25, 0.5, 1.0]
    before = Measurement({"spearman": 0}, {"gold": gold, "predicted": [0.9, 0.2, 0.3, 0.4]})
    after = Measurement({"spearman": 0}, {"gold": gold, "predicted": [0.1, 0.2, 0.3, 0.4]})
    old, new = values_per_item("spearman", before, after)
    assert new.tolist() == [1, 1, 1, 1] and old == pytest.approx([0, 2 / 3, 2 / 3, 2 / 3])
    matches = Measurement({"ap": 0}, {"gold": [0.0, 0.0, 1.0, 1.0], "predicted": [0.1, 0.2, 0.3, 0.4]})
    assert values_per_item("ap", matches, matches)[0] == pytest.approx([1, 2 / 3, 2 / 3, 1])
    assert values_per_item("v_measure", Measurement({}, {}), Measurement({}, {})) is None


def test_long_texts_are_cut_to_one_line(judged):
    assert per_example.shorten("a\n b " * 1_000).startswith("a b a b")
    assert len(per_example.shorten("word " * 30_000)) == per_example.MAX_CHARACTERS


def test_a_comparison_agrees_with_the_measurements_of_its_run(recipe_file, embedder, tmp_path):
    from adapt.job import Job
    from adapt.pipeline import plan
    from adapt.pipeline.measurements import Measurements
    from adapt.recipe import loading
    from adapt.records import Encoder
    from adapt.report import html
    from adapt.report.run_folder import RunFolder
    from tests.report.conftest import run_result

    recipe = loading.load(str(recipe_file))
    measures = Measurements(Job(recipe.seed, embedding_cache=tmp_path / "vectors"))
    model, digests = Encoder(embedder), plan.check_digests(recipe)
    measured = {
        name: measures.measure(model, spec.kind, spec.test, "test", digests[name]["test"]) for name, spec in recipe.checks.items()
    }
    found = per_example.compare(recipe, measures, model, model, measured, measured)
    assert PerExampleComparison.model_validate_json(found.model_dump_json()) == found
    assert found == per_example.compare(recipe, measures, model, model, measured, measured)
    assert list(found.checks) == ["retrieval"]  # the guard is no target
    check = found.checks["retrieval"]
    assert check.items == 5 and (check.gains.better, check.gains.same, check.gains.worse) == (0, 5, 0)
    assert sorted(item.base for item in check.gains.items) == sorted(measured["retrieval"].items["ndcg@10"])
    assert check.cosines.base == check.cosines.final
    for row in check.neighbours:
        rank = row.relevant[0].base_rank
        assert row.base == pytest.approx(1 / np.log2(rank + 1) if rank <= 10 else 0)  # nDCG@10 of a single relevant passage
    assert "Nearest passages, base and final model" in html.page(RunFolder(run_result().in_folder(tmp_path), found))


def test_a_check_without_values_or_pairs_of_its_own_has_an_empty_comparison(models):
    measured = Measurement({"v_measure": 0.5}, {})
    compared = compare_check("clustering", "v_measure", [Text("1", "a")], measured, measured, models)
    assert compared == CheckComparison(kind="clustering", metric="v_measure")
