import pytest

from adapt import stages
from adapt.engine.encoder import embed
from adapt.errors import UserError
from adapt.job import Job
from adapt.records import Encoder, Text


def test_gentle_tsdae_stays_nearer_to_the_base_than_the_papers_way(embedder, texts):
    probe = [t.text for t in texts]
    base = embed(embedder, probe, Job())
    moved = {}
    for start, rate in (("tuned", 1e-3), ("raw", 1e-3)):
        stage = stages.find("tsdae")(start=start, epochs=4, batch_size=8, learning_rate=rate, anchor=5.0)
        made = stage.run(Encoder(embedder), texts, Job(1))
        moved[start] = 1 - float((embed(made.path, probe, Job()) * base).sum(1).mean())
    assert 0 < moved["tuned"] < 0.5 * moved["raw"]


def test_tsdae_keeps_the_pooling_of_its_base(embedder, language_model, texts):
    from adapt.engine.encoder import open_encoder

    for base, mode in ((embedder, "mean"), (language_model, "cls")):
        job = Job(1)
        made = stages.find("tsdae")(max_steps=1).run(Encoder(base), texts, job)
        assert open_encoder(made.path)[1].pooling_mode == mode
        assert job.counts["treated_as"] == ("tuned" if mode == "mean" else "raw")


def test_tsdae_learns_to_restore(language_model, texts):
    job = Job(1)
    stages.find("tsdae")(epochs=20, batch_size=8, learning_rate=3e-3).run(Encoder(language_model), texts, job)
    assert job.counts["last_loss"] < job.counts["first_loss"] - 0.5


def test_tsdae_without_a_usable_sentence_says_so(embedder):
    with pytest.raises(UserError, match="min_words"):
        stages.find("tsdae")().run(Encoder(embedder), [Text("1", "Too short.")], Job())
