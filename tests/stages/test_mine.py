from adapt import stages
from adapt.engine.encoder import embed
from adapt.job import Job
from adapt.records import Encoder, Pair, Text


def test_mining_never_takes_what_the_pairs_tie_to_the_query(embedder, texts):
    t = [text.text for text in texts]
    copy = t[0] + " Again."
    pairs = [Pair("heart?", t[0]), Pair("kidney?", t[0]), Pair("kidney?", t[1]), Pair(t[2], "fever?"), Pair("fever?", t[3])]
    corpus = [*texts, Text("copy", copy), Text("q", "heart?")]
    for strategy in ("top", "random"):
        made = stages.find("mine")(negatives=30, max_share=None, strategy=strategy).run(pairs, Encoder(embedder), Job(2), corpus)
        assert [(m.anchor, m.positive) for m in made] == [(p.anchor, p.positive) for p in pairs]  # no pair is lost
        tied = {t[0], t[1], "heart?", "kidney?", copy}  # shared positives, other questions, near-copies
        assert not set(made[0].negatives) & tied and not set(made[2].negatives) & tied
        assert not set(made[3].negatives) & {t[2], t[3], "fever?"}
        assert len(made[0].origin.split()) == len(made[0].negatives) > 10


def test_mining_passes_over_hits_too_near_to_the_positive(embedder, texts):
    pairs = [Pair(f"{t.text.split('.')[0]}?", t.text) for t in texts[:8]]
    queries = embed(embedder, [p.anchor for p in pairs], Job(), "query")
    for share in (0.95, 0.5):
        made = stages.find("mine")(finders=("dense",), negatives=20, max_share=share).run(pairs, Encoder(embedder), Job(2), texts)
        for row, triplet in enumerate(made):
            if triplet.origin == "random":
                continue
            found = embed(embedder, [triplet.positive, *triplet.negatives], Job(), "document") @ queries[row]
            assert (found[1:] <= share * found[0] + 1e-6).all()


def test_range_min_counts_raw_ranks(embedder, texts):
    pairs = [Pair("heart kidney?", texts[0].text)]
    full = stages.find("mine")(finders=("dense",), negatives=30, max_share=None).run(pairs, Encoder(embedder), Job(2), texts)
    late = stages.find("mine")(finders=("dense",), negatives=30, max_share=None, range_min=5).run(
        pairs, Encoder(embedder), Job(2), texts
    )
    ranks = [int(o.split("@")[1]) for o in full[0].origin.split()]
    assert late[0].origin.split() == [f"dense@{r}" for r in ranks if r > 5]
