import pytest
import torch

from adapt.errors import UserError
from adapt.losses.denoising import Denoising
from adapt.models.bi_encoder import load_encoder, pad_batch

TEXTS = ["The heart helps the kidney.", "Fever falls after the tablet.", "A mild rash and a cough."]
NOISY = ["The heart.", "Fever tablet.", "rash cough."]


def ids(model, texts):
    return model.tokenizer(texts)["input_ids"]


def test_loss_and_gradients_equal_sentence_transformers_on_the_same_ids(language_model):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.losses import DenoisingAutoEncoderLoss

    torch.manual_seed(0)
    encoder = load_encoder(language_model)
    mine = Denoising(encoder, language_model, tied=True, seed=0).eval()
    twin = SentenceTransformer(modules=[encoder[0].__class__(str(language_model)), encoder[1]], device="cpu")
    theirs = DenoisingAutoEncoderLoss(twin, tie_encoder_decoder=True).eval()
    theirs.decoder.load_state_dict(mine.decoder.state_dict())  # new layers are random: give both the same
    noisy, clean = ids(encoder, NOISY), ids(encoder, TEXTS)
    cpu = torch.device("cpu")
    value = mine(noisy, clean)
    other = theirs([pad_batch(noisy, 0, cpu), pad_batch(clean, 0, cpu)], None)
    assert value.item() == pytest.approx(other.item(), abs=1e-5)
    value.backward()
    other.backward()
    ours = dict(encoder[0].auto_model.named_parameters())
    compared = 0
    for name, parameter in twin[0].auto_model.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(ours[name].grad, parameter.grad, atol=1e-5, rtol=1e-4)
            compared += 1
    assert compared > 20


def test_tied_halves_share_their_parameters_and_untied_ones_do_not(language_model):
    for tied in (True, False):
        encoder = load_encoder(language_model)
        module = Denoising(encoder, language_model, tied=tied, seed=0)
        body, decoder = encoder[0].auto_model, module.decoder.bert
        assert (body.encoder.layer[0].output.dense.weight is decoder.encoder.layer[0].output.dense.weight) == tied


def test_the_probe_passes_a_decoder_that_sees_what_the_encoder_read(language_model):
    for tied in (True, False):
        encoder = load_encoder(language_model)
        Denoising(encoder, language_model, tied=tied, seed=0).check_that_it_sees_its_input(ids(encoder, TEXTS))


def test_a_loss_that_does_not_depend_on_what_is_read_is_refused(language_model, monkeypatch):
    """A decoder that never looks at the sentence vector, as decoder-only models are: no error says so, only the slope does."""
    encoder = load_encoder(language_model)
    module = Denoising(encoder, language_model, tied=False, seed=0)
    restore = module.restore
    monkeypatch.setattr(module, "restore", lambda vectors, originals: restore(vectors.detach() * 0, originals))
    with pytest.raises(UserError, match=r"does not depend on the encoder's input.*Use mlm.*simcse"):
        module.check_that_it_sees_its_input(ids(encoder, TEXTS))


def test_a_frozen_encoder_gets_no_gradient(language_model):
    encoder = load_encoder(language_model)
    module = Denoising(encoder, language_model, tied=False, seed=0, decoder_layers=1)
    assert module.decoder.config.num_hidden_layers == 1
    module.encoder_frozen = True
    module(ids(encoder, NOISY), ids(encoder, TEXTS)).backward()
    assert all(p.grad is None for p in encoder.parameters())
    assert any(p.grad is not None for p in module.decoder.parameters())


SMALL = {"vocab_size": 200, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
BODIES = {  # a tiny random body of each family, and whether a decoder can read its sentence vector
    "bert": (lambda t: t.BertModel(t.BertConfig(**SMALL)), True),
    "roberta": (lambda t: t.RobertaModel(t.RobertaConfig(**SMALL, pad_token_id=0)), True),
    "electra": (lambda t: t.ElectraModel(t.ElectraConfig(**SMALL, embedding_size=32)), True),
    "mpnet": (lambda t: t.MPNetModel(t.MPNetConfig(**SMALL, pad_token_id=0)), False),
    "distilbert": (
        lambda t: t.DistilBertModel(t.DistilBertConfig(vocab_size=200, dim=32, n_layers=1, n_heads=2, hidden_dim=32)),
        False,
    ),
    "modernbert": (
        lambda t: t.ModernBertModel(
            t.ModernBertConfig(**SMALL, pad_token_id=0, bos_token_id=2, cls_token_id=2, eos_token_id=3, sep_token_id=3)
        ),
        False,
    ),
    "llama": (lambda t: t.LlamaModel(t.LlamaConfig(**SMALL)), False),
    # It has cross-attention, and its last token, which is pooled, has seen the others.
    "gpt2": (
        lambda t: t.GPT2Model(t.GPT2Config(vocab_size=200, n_embd=32, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3)),
        True,
    ),
}


@pytest.mark.parametrize("family", BODIES)
def test_an_encoder_that_no_decoder_can_read_is_refused_and_told_what_works(family, tmp_path, language_model):
    import transformers

    torch.manual_seed(0)
    make, works = BODIES[family]
    make(transformers).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((language_model / name).read_bytes())
    encoder = load_encoder(tmp_path)

    def probe():
        Denoising(encoder, tmp_path, tied=True, seed=0).check_that_it_sees_its_input(ids(encoder, TEXTS))

    if works:
        return probe()
    with pytest.raises(UserError, match=r"Use mlm .* simcse"):
        probe()


def test_attention_to_one_key_is_collapsed_without_a_difference(language_model):
    encoder = load_encoder(language_model)
    module = Denoising(encoder, language_model, tied=True, seed=0)
    layers = [part.crossattention for part in module.decoder.modules() if hasattr(part, "crossattention")]
    states, vectors = torch.randn(3, 7, 32), torch.randn(3, 1, 32)
    assert len(layers) == 2
    for layer in layers:
        assert layer.forward.__name__ == "forward" and "forward" in vars(layer)  # replaced
        wanted = type(layer).forward(layer.eval(), states, None, vectors)[0]
        torch.testing.assert_close(layer(states, None, vectors)[0], wanted, atol=1e-6, rtol=1e-5)
        several = torch.randn(3, 4, 32)
        torch.testing.assert_close(layer(states, None, several)[0], type(layer).forward(layer, states, None, several)[0])
        torch.manual_seed(5)
        dropped = layer.train()(states, None, vectors)[0]
        torch.manual_seed(5)
        torch.testing.assert_close(dropped, type(layer).forward(layer, states, None, vectors)[0])  # with dropout as it was
