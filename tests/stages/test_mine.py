import csv
import json

import numpy as np
import pytest

from adapt import stages
from adapt.errors import UserError
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.records import ConcatSequence, CrossEncoder, Encoder, Pair, Text

from .points import Points, mined, on_arc


def rows_of(file):
    with open(file, newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_mining_never_takes_what_the_pairs_tie_to_the_query(embedder, texts):
    t = [text.text for text in texts]
    copy = t[0] + " Again."
    pairs = [Pair("heart?", t[0]), Pair("kidney?", t[0]), Pair("kidney?", t[1]), Pair(t[2], "fever?"), Pair("fever?", t[3])]
    corpus = [*texts, Text("copy", copy), Text("q", "heart?")]
    for strategy in ("top", "random"):
        made = stages.find("mine")(negatives=30, relative_margin=None, sampling_strategy=strategy).run(
            pairs, Encoder(embedder), Job(2), corpus
        )
        assert [(m.anchor, m.positive) for m in made] == [(p.anchor, p.positive) for p in pairs]  # no pair is lost
        tied = {t[0], t[1], "heart?", "kidney?", copy}  # shared positives, other questions, near-copies
        assert not set(made[0].negatives) & tied and not set(made[2].negatives) & tied
        assert not set(made[3].negatives) & {t[2], t[3], "fever?"}
        assert len(made[0].origin.split()) == len(made[0].negatives) > 10


def test_mining_passes_over_hits_too_near_to_the_positive(embedder, texts):
    pairs = [Pair(f"{t.text.split('.')[0]}?", t.text) for t in texts[:8]]
    queries = embed(embedder, [p.anchor for p in pairs], Job(), "query")
    for share in (0.95, 0.5):
        made = stages.find("mine")(retrievers=("dense",), negatives=20, relative_margin=round(1 - share, 12)).run(
            pairs, Encoder(embedder), Job(2), texts
        )
        for row, triplet in enumerate(made):
            if triplet.origin == "random":
                continue
            found = embed(embedder, [triplet.positive, *triplet.negatives], Job(), "document") @ queries[row]
            assert (found[1:] <= share * found[0] + 1e-6).all()


def test_range_min_counts_raw_ranks(embedder, texts):
    pairs = [Pair("heart kidney?", texts[0].text)]
    full = stages.find("mine")(retrievers=("dense",), negatives=30, relative_margin=None).run(
        pairs, Encoder(embedder), Job(2), texts
    )
    late = stages.find("mine")(retrievers=("dense",), negatives=30, relative_margin=None, range_min=5).run(
        pairs, Encoder(embedder), Job(2), texts
    )
    ranks = [int(o.split("@")[1]) for o in full[0].origin.split()]
    assert late[0].origin.split() == [f"dense@{r}" for r in ranks if r > 5]


def test_groups_and_documents_of_a_pair_are_not_its_negatives_and_do_not_chain(monkeypatch):
    long = "a boilerplate answer that is long enough to have many five word pieces of which nearly all stay the same in a copy"
    pairs = [Pair("q1", long, group="asthma"), Pair("q2", "own answer", group="gout"), Pair("q3", "plain")]
    corpus = ConcatSequence([
        [Text("d1", long, "copd"), Text("d1", "rest of d1"), Text("d2", "inhaler", "asthma"), Text("d3", "cough", "copd")],
        [Text("d1", "d1 of another file"), Text("d4", "joint", group="gout"), Text("d5", long + " too"), Text("d6", "other")],
    ])  # fmt: skip
    everything = {"rest of d1", "inhaler", "cough", "d1 of another file", "joint", "other", "own answer", "plain"}
    found = {
        anchor: set(texts)
        for (anchor, _), texts in mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=20).items()
    }
    assert found["q1"] == everything - {"inhaler", "cough", "rest of d1"}  # its group, its text's group, its document; the copy
    assert found["q2"] == everything - {"own answer", "joint"} | {long, long + " too"}
    assert found["q3"] == everything - {"plain"} | {long, long + " too"}
    found = mined(monkeypatch, Points(), pairs, corpus, relative_margin=None, negatives=20, within_group=True)
    assert set(found["q1", long]) == everything - {"rest of d1"}


def test_quotas_give_each_finder_its_share_and_the_other_fills_what_is_missing(monkeypatch):
    near = ["d one", "d two", "d three", "d four", "alpha d"]
    words = ["alpha d", "alpha x", "alpha beta y z w v u"]
    table = {"alpha beta": (1, 0), "right": on_arc(0.95)[0]}
    table |= dict(zip([*near, "alpha x", "alpha beta y z w v u"], on_arc(0.9, 0.8, 0.7, 0.6, 0.85, -0.5, -0.6), strict=True))
    corpus = [Text(text, text) for text in table if text not in ("alpha beta", "right")]
    pairs, settings = [Pair("alpha beta", "right")], {"retrievers": ("bm25", "dense"), "relative_margin": None, "fusion": "quota"}

    def found(**more):
        return mined(monkeypatch, Points(table), pairs, corpus, **settings, **more)["alpha beta", "right"]

    lexical = mined(monkeypatch, Points(table), pairs, corpus, retrievers=("bm25",), relative_margin=None, negatives=9)[
        "alpha beta", "right"
    ]
    assert set(lexical) == set(words)
    by_cosine = ("d one", "alpha d", "d two", "d three", "d four", "alpha x", "alpha beta y z w v u")
    assert found(negatives=4) == found(negatives=4, quotas=(2, 2)) == (
        *lexical[:2], *[text for text in by_cosine if text not in lexical[:2]][:2],
    )  # fmt: skip
    assert found(negatives=6, quotas=(5, 1)) == (*lexical, *[text for text in by_cosine if text not in lexical][:3])
    assert found(negatives=3, quotas=(1, 2))[0] == lexical[0]


def test_reciprocal_ranks_add_up_over_retrievers():
    from adapt.retrieval.fusion import by_quota, reciprocal_rank

    one, two = (np.array([7, 3, 9]), np.array([1, 2, 3])), (np.array([9, 3, 5]), np.array([1, 2, 8]))
    # 3: 2/62 = .03226; 9: 1/63 + 1/61 = .03227; 7: 1/61; 5: 1/68
    assert reciprocal_rank([one, two]).tolist() == [9, 3, 7, 5]
    assert reciprocal_rank([two]).tolist() == [9, 3, 5]
    assert by_quota([one[0], two[0]], [1, 2]) == [7, 9, 3]
    assert by_quota([one[0], two[0]], [2, 3]) == [7, 3, 9, 5]  # nothing is left to fill with
    assert by_quota([one[0], two[0]], [2, 2], without={3}) == [7, 9, 5]


def test_suspected_positives_are_written_for_review_the_most_suspicious_first(monkeypatch, tmp_path):
    points = Points({"q": (1, 0), "p": on_arc(0.8)[0], **dict(zip("abcde", on_arc(0.9, 0.79, 0.77, 0.7, 0.85), strict=True))})
    job = Job(2, out=tmp_path)
    corpus = [Text(name, name) for name in "abcde"]
    assert mined(monkeypatch, points, [Pair("q", "p")], corpus, job)["q", "p"] == ("d",)
    assert [
        (r["suspect"], r["score"], r["positive_score"], r["judge"], r["found"]) for r in rows_of(tmp_path / "suspected.csv")
    ] == [
        ("a", "0.9000", "0.8000", "cosine", "dense@1"),
        ("e", "0.8500", "0.8000", "cosine", "dense@2"),
        ("b", "0.7900", "0.8000", "cosine", "dense@4"),
        ("c", "0.7700", "0.8000", "cosine", "dense@5"),
    ]
    assert job.counts["suspected_positives"] == 4 and job.counts["short"] == 1
    assert [(r["negative"], r["found"]) for r in rows_of(tmp_path / "hardest.csv")] == [("d", "dense@6")]
    analysis = json.loads((tmp_path / "analysis.json").read_text())
    assert analysis["histograms"]["positives"][36] == 1 == analysis["histograms"]["negatives"][34]  # bins of 0.05 from -1
    assert sum(analysis["histograms"]["random"]) == 10_000 and analysis["overlap_with_positives"]["negatives"] == 0


def test_a_cross_encoder_judges_on_calibrated_scores(monkeypatch, language_model, tmp_path):
    from adapt.inference.scoring import predict
    from adapt.models import calibration
    from adapt.models.calibration import fit
    from adapt.models.cross_encoder import CrossEncoderModel

    folder = tmp_path / "judge"
    folder.mkdir()
    CrossEncoderModel(language_model, new_head_seed=3).save(folder)
    pairs = [Pair(f"{word} of the heart", f"the {word} rises slow with {word}") for word in ("fever", "cough", "rash", "pain")]
    corpus = [Text(w, f"{w} falls {w} in the night") for w in "kidney liver lung brain skin bone blood dose tablet cream".split()]
    texts = [t.text for t in corpus] + [p.positive for p in pairs]
    asked = [(p.anchor, text) for p in pairs for text in texts]
    raw = predict(folder, asked, Job())
    # The raw scores of a new head all lie on one side of 0.5; calibrated, their upper half is positive.
    calibration.save(folder, fit(raw, (raw > np.median(raw)).astype(float), "isotonic"), {})
    table = dict(zip(asked, predict(folder, asked, Job(), calibrated=True), strict=True))
    assert (raw > 0.5).all() or (raw < 0.5).all()
    job = Job(2, out=tmp_path)
    found = mined(monkeypatch, Points(), pairs, corpus, job, CrossEncoder(folder), relative_margin=None, negatives=30)
    for pair in pairs:
        wanted = {text for text in texts if text != pair.positive and table[pair.anchor, text] <= 0.5}
        assert set(found[pair.anchor, pair.positive]) == wanted or not wanted
    told = json.loads((tmp_path / "analysis.json").read_text())["cross_encoder_positive_rate"]
    assert told["negatives"] == 0 and 0.3 < told["candidates_scored"] < 0.7
    assert {row["judge"] for row in rows_of(tmp_path / "suspected.csv")} == {"cross-encoder"}


def test_a_miner_takes_the_model_s_place_in_search_and_filter(monkeypatch):
    from pathlib import Path

    near, far, both = (1, 0.5), (0, 1), {"q": (1, 0), "p": (1, 0.1)}
    tables = {"model": Points(both | {"a": near, "b": far}), "miner": Points(both | {"a": far, "b": near})}
    monkeypatch.setattr("adapt.inference.encoding.embed", lambda folder, texts, job, **_: tables[folder.name](texts))
    stage = stages.find("mine")(retrievers=("dense",), negatives=1)
    given = [Pair("q", "p")], Encoder(Path("model")), Job(2), [Text("a", "a"), Text("b", "b")]
    assert stage.run(*given)[0].negatives == ("a",)
    assert stage.run(*given, miner=Encoder(Path("miner")))[0].negatives == ("b",)
    assert "miner" in stage.explicit_inputs and "miner" in [want.name for want in stage.inputs()]


def test_a_bm25_hit_shares_a_word_with_the_query(monkeypatch):
    pairs, corpus = [Pair("heart", "the heart rises")], [Text("1", "heart falls"), Text("2", "kidney")]
    found = mined(monkeypatch, Points(), pairs, corpus, retrievers=("bm25",), relative_margin=None)
    assert found["heart", "the heart rises"] == ("heart falls",)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"range_min": 50}, "range_min 50 leaves nothing"),
        ({"quotas": (2, 2)}, "quotas are for fusion 'quota'"),
        ({"quotas": (2, 3), "fusion": "quota"}, "one for each of 2 retrievers, 4 in all"),
        ({"quotas": (4,), "fusion": "quota"}, "one for each of 2 retrievers, 4 in all"),
        ({"retrievers": ("bm25", "bm25")}, "retrievers has duplicates"),
        ({"max_cross_encoder_score": None, "relative_margin": None}, "cross_encoder has no score bound"),
    ],
)
def test_settings_that_do_not_fit_are_told(settings, sentence):
    stage = stages.find("mine")(**settings)
    assert [problem for problem in stage.problems({"cross_encoder": "cross-encoder"}) if sentence in problem]
    assert not stages.find("mine")(quotas=(3, 1), fusion="quota").problems({})


def test_an_unknown_language_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'arabic', 'danish'.*'swedish' or 'none'"):
        stages.find("mine")(language="klingon")


def test_a_pool_in_which_all_belongs_together_is_refused(monkeypatch):
    with pytest.raises(UserError, match="give a corpus"):
        mined(monkeypatch, Points(), [Pair("q", "p"), Pair("r", "p")])
