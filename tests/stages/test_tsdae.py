import pytest

from adapt import stages
from adapt.errors import UserError
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.records import Encoder, Text


def test_an_embedding_model_stays_nearer_to_its_base_than_in_the_papers_training(embedder, texts):
    probe = [t.text for t in texts]
    base = embed(embedder, probe, Job())
    moved = {}
    for base_type in ("embedding-model", "language-model"):
        stage = stages.find("tsdae")(base_type=base_type, epochs=4, batch_size=8, learning_rate=1e-3, retain=5.0)
        made = stage.run(Encoder(embedder), texts, Job(1))
        moved[base_type] = 1 - float((embed(made.path, probe, Job()) * base).sum(1).mean())
    assert 0 < moved["embedding-model"] < 0.5 * moved["language-model"]


def test_tsdae_keeps_the_pooling_of_its_base(embedder, language_model, texts):
    from adapt.models.bi_encoder import load_encoder

    for base, mode in ((embedder, "mean"), (language_model, "cls")):
        job = Job(1)
        made = stages.find("tsdae")(max_steps=1).run(Encoder(base), texts, job)
        assert load_encoder(made.path)[1].pooling_mode == mode
        assert job.counts["base_type"] == ("embedding-model" if mode == "mean" else "language-model")


def test_tsdae_learns_to_reconstruct(language_model, texts):
    job = Job(1)
    stages.find("tsdae")(epochs=8, batch_size=8, learning_rate=3e-3).run(Encoder(language_model), texts, job)
    assert job.counts["last_loss"] < job.counts["first_loss"] - 0.5


def test_tsdae_without_a_usable_sentence_says_so(embedder):
    with pytest.raises(UserError, match="min_words"):
        stages.find("tsdae")().run(Encoder(embedder), [Text("1", "Too short.")], Job())


@pytest.mark.parametrize("name", ["mlm", "simcse"])
def test_masked_language_modelling_and_simcse_lower_their_loss(language_model, texts, name):
    job = Job(1)
    rate = 3e-3 if name == "mlm" else 1e-3
    stages.find(name)(epochs=20, batch_size=8, learning_rate=rate).run(Encoder(language_model), texts, job)
    assert job.counts["last_loss"] < job.counts["first_loss"] - (0.2 if name == "mlm" else 0.05)


def test_for_an_encoder_without_a_decoder_the_error_names_stages_that_work(tmp_path, language_model, texts):
    from transformers import MPNetConfig, MPNetModel

    config = MPNetConfig(
        vocab_size=200, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, max_position_embeddings=80
    )
    MPNetModel(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((language_model / name).read_bytes())
    with pytest.raises(UserError, match="Use mlm"):
        stages.find("tsdae")(max_steps=1).run(Encoder(tmp_path), texts, Job(1))
    for name in ("mlm", "simcse"):
        stages.find(name)(max_steps=1).run(Encoder(tmp_path), texts, Job(1))


@pytest.mark.parametrize("base_type", ["language-model", "embedding-model"])
def test_a_killed_run_goes_on_to_the_same_bits_decoder_and_all(embedder, texts, tmp_path, monkeypatch, base_type):
    from adapt.training import loop

    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    stage = stages.find("tsdae")(base_type=base_type, epochs=2, batch_size=8, dropout=0.1)

    def job(name, listener=lambda event: None):
        (tmp_path / name).mkdir(exist_ok=True)
        return Job(1, tmp_path / f"{name}-out", tmp_path / name, listener)

    def interrupt(event):
        if event.kind == "progress" and event.text == "tsdae" and event.data["done"] >= 60:
            raise KeyboardInterrupt

    for name in ("whole", "cut"):
        (tmp_path / f"{name}-out").mkdir()
    whole = stage.run(Encoder(embedder), texts, job("whole"))
    with pytest.raises(KeyboardInterrupt):
        stage.run(Encoder(embedder), texts, job("cut", interrupt))
    assert (tmp_path / "cut" / "checkpoint.pt").is_file()
    again = stage.run(Encoder(embedder), texts, job("cut"))
    assert (whole.path / "model.safetensors").read_bytes() == (again.path / "model.safetensors").read_bytes()


def test_held_out_loss_uses_the_same_corruption_each_time(language_model, texts):
    job = Job(1)
    stage = stages.find("tsdae").from_options(held_out=0.2, epochs=4, batch_size=8, learning_rate=1e-3)
    stage.run(Encoder(language_model), texts, job)
    assert job.counts["held_out_loss"] > 0 and job.counts["best_step"] >= 1
