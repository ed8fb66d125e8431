"""A model folder that is incomplete, foreign or damaged is refused with what is wrong; sound ones of every kind are read."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer

from adapt.errors import UserError
from adapt.inference.encoding import embed
from adapt.job import Job
from adapt.models import lookup, model_folder
from adapt.models.bi_encoder import load_encoder, save_encoder
from adapt.models.cross_encoder import CrossEncoderModel
from tests import tiny
from tests.models import damages

TEXTS = ["The heart helps.", "A mild rash and a cough.", "Kidney dose falls in the morning."]


@pytest.fixture(scope="module")
def sound(tmp_path_factory, language_model):
    place = tmp_path_factory.mktemp("sound")
    return {
        "plain": language_model,
        "embedder": tiny.embedder(language_model, place / "embedder", dense=16),
        "cross-encoder": tiny.cross_encoder(language_model, place / "cross-encoder"),
    }


KINDS = {
    "plain": damages.BODY,
    "embedder": damages.EMBEDDER,
    "cross-encoder": {
        **damages.CROSS_ENCODER,
        **{n: damages.BODY[n] for n in ("layers-missing", "nan-everywhere", "no-tokenizer")},
    },
}
TRIALS = [(kind, name) for kind, found in KINDS.items() for name in found]


def test_there_are_as_many_damages_as_the_issue_asks_for():
    assert len(damages.BODY) + len(damages.EMBEDDER) + len(damages.CROSS_ENCODER) >= 80


@pytest.mark.parametrize(("kind", "name"), TRIALS)
def test_a_damaged_model_is_refused_and_its_code_never_runs(kind, name, sound, tmp_path):
    folder = tmp_path / "spoiled"
    shutil.copytree(sound[kind], folder)
    KINDS[kind][name](folder)
    with pytest.raises(UserError) as caught:
        lookup.verify_weights(folder)
        CrossEncoderModel(folder) if kind == "cross-encoder" else load_encoder(folder)
    assert caught.value.problems and all(str(folder) in problem for problem in caught.value.problems)
    assert not (tmp_path / damages.CANARY).exists()


def test_what_is_missing_is_listed_with_its_number(language_model, tmp_path):
    shutil.copytree(language_model, tmp_path / "half")
    damages.BODY["layers-missing"](tmp_path / "half")
    with pytest.raises(UserError, match=r"half: 16 of \d+ weights are missing: encoder\.layer\.1\..* and 13 more"):
        load_encoder(tmp_path / "half")
    shutil.copytree(language_model, tmp_path / "mute")
    damages.BODY["no-tokenizer"](tmp_path / "mute")
    with pytest.raises(UserError, match="mute: holds no tokenizer"):
        lookup.verify_weights(tmp_path / "mute")


def test_a_new_head_and_a_pooler_that_nothing_reads_are_no_fault(language_model, tmp_path):
    shutil.copytree(language_model, tmp_path / "model")
    damages.without("pooler")(tmp_path / "model")
    assert load_encoder(tmp_path / "model") and CrossEncoderModel(tmp_path / "model", new_head_seed=1)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_trained_and_saved_in_fp32(kind, embedder, tmp_path):
    shutil.copytree(embedder, tmp_path / "half")
    file = tmp_path / "half" / "model.safetensors"
    save_file({n: t.to(getattr(torch, kind)) for n, t in load_file(file).items()}, file, metadata={"format": "pt"})
    damages.settings("config.json", dtype=kind)(tmp_path / "half")
    model = load_encoder(tmp_path / "half")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    save_encoder(model, tmp_path / "saved")
    assert model_folder.stored_types(tmp_path / "saved") == {"F32"}
    assert model_folder.stored_types(tmp_path / "half") == {{"float16": "F16", "bfloat16": "BF16"}[kind]}


def test_a_causal_model_gives_the_vector_of_its_last_token_a_bert_that_of_its_first(language_model, tmp_path):
    causal = tiny.language_model(tmp_path / "causal", "llama")
    assert load_encoder(causal)[1].pooling_mode == "lasttoken"
    assert load_encoder(language_model)[1].pooling_mode == "cls"
    vectors = embed(causal, TEXTS, Job())
    assert np.linalg.norm(vectors[0] - vectors[1]) > 1e-3
    cls = tiny.embedder(causal, tmp_path / "first-token", pooling="cls")
    with pytest.raises(UserError, match="gives every text the same vector"):
        load_encoder(cls)


def test_static_embeddings_are_read_as_sentence_transformers_reads_them_and_saved_so(tmp_path):
    folder = tiny.static(tmp_path / "static")
    wanted = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(embed(folder, TEXTS, Job()), wanted, atol=1e-6)
    again = save_encoder(load_encoder(folder), tmp_path / "again")
    np.testing.assert_allclose(
        SentenceTransformer(str(again), device="cpu").encode(TEXTS, normalize_embeddings=True), wanted, atol=1e-6
    )


def test_a_pooling_without_the_prompt_leaves_its_tokens_out(language_model, tmp_path, monkeypatch):
    monkeypatch.setenv("ADAPT_PRECISION", "fp32")
    prompts = {"query": "is it: ", "document": "the "}
    folder = tiny.embedder(language_model, tmp_path / "model", include_prompt=False, prompts=prompts)
    theirs = SentenceTransformer(str(folder), device="cpu")
    wanted = theirs.encode_document(TEXTS, normalize_embeddings=True)
    ids = load_encoder(folder)
    assert type(ids[1]).__name__ == "PromptExcludingPooling"
    np.testing.assert_allclose((embed(folder, TEXTS, Job(), "document") * wanted).sum(1), 1, atol=1e-3)
    apart = embed(tiny.embedder(language_model, tmp_path / "other", prompts=prompts), TEXTS, Job(), "document")
    assert (apart * wanted).sum(1).min() < 0.999
    again = save_encoder(ids, tmp_path / "again")
    np.testing.assert_allclose(
        SentenceTransformer(str(again), device="cpu").encode_document(TEXTS, normalize_embeddings=True), wanted, atol=1e-5
    )


def test_passage_and_corpus_are_prompts_for_documents():
    assert lookup.prompt_for_role({"query": "q: ", "passage": "p: "}, None, "document") == "p: "
    assert lookup.prompt_for_role({"document": "", "corpus": "c: "}, None, "document") == "c: "
    assert lookup.prompt_for_role({"document": "d: ", "passage": "p: "}, None, "document") == "d: "
    assert lookup.prompt_for_role({"passage": "p: "}, None, "query") == ""


def test_a_dot_product_model_is_measured_by_the_dot_product(language_model, tmp_path):
    from adapt.pipeline.measurements import BiEncoderModel

    folder = tiny.embedder(language_model, tmp_path / "dot", unit=False, similarity_fn_name="dot")
    damages.settings("config_sentence_transformers.json", similarity_fn_name="dot")(folder)
    theirs = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    pairs = [(TEXTS[0], TEXTS[1]), (TEXTS[1], TEXTS[2])]
    wanted = [theirs[0] @ theirs[1], theirs[1] @ theirs[2]]
    np.testing.assert_allclose(BiEncoderModel(folder, Job(embedding_cache=tmp_path / "kept")).score(pairs), wanted, rtol=0.02)
    assert abs(wanted[0]) > 1.5  # no cosine
    assert np.abs(BiEncoderModel(folder, Job(embedding_cache=tmp_path / "kept"), "cosine").score(pairs)).max() <= 1 + 1e-5
    assert model_folder.similarity(save_encoder(load_encoder(folder), tmp_path / "saved")) == "cosine"


def test_a_cross_encoder_reads_as_many_tokens_as_it_has_positions(language_model):
    reader = CrossEncoderModel(language_model, new_head_seed=1)
    ids = reader.ids(["heart " * 200], ["lung " * 200], 600)
    assert len(ids[0][0]) == 64 and reader(ids).isfinite().all()


def test_positions_of_roberta_begin_after_the_padding_index():
    from transformers import RobertaConfig, RobertaModel

    from adapt.models.bi_encoder import max_positions

    sizes = {"vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    assert max_positions(RobertaModel(RobertaConfig(max_position_embeddings=34, pad_token_id=1, **sizes))) == 32
