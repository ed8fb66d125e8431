"""The loss modules compute what sentence-transformers' losses compute, and train with its trainer."""

import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses as theirs
from sentence_transformers.util import pairwise_cos_sim

import adapt
from adapt import losses as ours
from adapt.losses.modules import token_ids

TEXTS = ["mild cough", "severe brain", "low dose", "high dose of honey", "the skin", "heart rises", "a nurse", "lung falls"]


@pytest.fixture
def model(embedder):
    return SentenceTransformer(str(embedder), device="cpu")


def columns(model, count, shift=0):
    """`count` columns of four different texts each."""
    rows = [[TEXTS[(4 * c + i + shift) % len(TEXTS)] + " " * (c > 1) + " child" * (c // 2) for i in range(4)] for c in range(count)]
    return [model.preprocess(row) for row in rows]


def value_and_gradient(loss, model, features, labels):
    model.zero_grad()
    model.eval()  # no dropout
    value = loss([dict(column) for column in features], labels)
    value.backward()
    return value.detach(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


def assert_equal(mine, other, model, count, labels):
    features = columns(model, count)
    (value, gradient), (wanted, slopes) = (value_and_gradient(loss, model, features, labels) for loss in (mine, other))
    torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)
    assert len(gradient) == len(slopes) > 0
    for a, b in zip(gradient, slopes, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


SCORES = torch.tensor([0.9, 0.1, 0.5, 0.5])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_multiple_negatives_equals_theirs_where_no_text_repeats(model, count):
    both = ours.MultipleNegativesRankingLoss(model), theirs.MultipleNegativesRankingLoss(model)
    assert_equal(*both, model, count, SCORES)


def test_symmetric_multiple_negatives_equals_theirs(model):
    mine = ours.MultipleNegativesRankingLoss(model, symmetric=True)
    other = theirs.MultipleNegativesRankingLoss(model, directions=("query_to_doc", "doc_to_query"), partition_mode="per_direction")
    assert_equal(mine, other, model, 2, SCORES)


@pytest.mark.parametrize(
    "names", [("CoSENTLoss", "CoSENTLoss"), ("AnglELoss", "AnglELoss"), ("CosineSimilarityLoss", "CosineSimilarityLoss")]
)
def test_losses_on_scores_equal_theirs(model, names):
    assert_equal(getattr(ours, names[0])(model), getattr(theirs, names[1])(model), model, 2, SCORES)


def test_contrastive_loss_equals_theirs(model):
    assert_equal(ours.ContrastiveLoss(model), theirs.ContrastiveLoss(model), model, 2, torch.tensor([1, 0, 1, 0]))


def test_online_contrastive_loss_is_theirs_over_the_batch_size(model):
    labels, features = torch.tensor([1, 0, 1, 0]), columns(model, 2)
    kinds = ours.OnlineContrastiveLoss, theirs.OnlineContrastiveLoss
    mine, other = (kind(model)([dict(f) for f in features], labels) for kind in kinds)
    torch.testing.assert_close(4 * mine, other)


@pytest.mark.parametrize(("distance", "metric"), [("cosine", "COSINE"), ("euclidean", "EUCLIDEAN"), ("manhattan", "MANHATTAN")])
def test_triplet_loss_equals_theirs_on_unit_vectors(model, distance, metric):
    mine = ours.TripletLoss(model, distance=distance, margin=0.5)
    other = theirs.TripletLoss(model, getattr(theirs.TripletDistanceMetric, metric), triplet_margin=0.5)
    features = columns(model, 3)
    values = [loss([dict(f) for f in features], SCORES) for loss in (mine, other)]
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=1e-4)  # their distance adds 1e-6 to each difference


def test_squared_triplet_loss_is_twice_the_cosine_one_at_half_the_margin(model):
    features = columns(model, 3)
    squared = ours.TripletLoss(model, margin=0.6)([dict(f) for f in features], SCORES)
    cosine = ours.TripletLoss(model, distance="cosine", margin=0.3)([dict(f) for f in features], SCORES)
    torch.testing.assert_close(squared, 2 * cosine)
    in_batch = ours.TripletLoss(model, in_batch="all")([dict(f) for f in features], SCORES)
    assert torch.isfinite(in_batch) and in_batch > 0


@pytest.mark.parametrize("labels", [torch.rand(4), torch.rand(4, 2), torch.rand(4, 3)], ids=["one", "margins", "scores"])
def test_margin_mse_equals_theirs_on_cosines(model, labels):
    count = 3 if labels.ndim == 1 else 4
    assert_equal(ours.MarginMSELoss(model), theirs.MarginMSELoss(model, pairwise_cos_sim), model, count, labels)


@pytest.mark.parametrize("inner", ["ours", "theirs"])
def test_matryoshka_equals_theirs(model, inner):
    kind = (ours if inner == "ours" else theirs).CoSENTLoss
    mine = ours.MatryoshkaLoss(model, kind(model), [32, 16, 8], [1.0, 0.5, 0.25])
    other = theirs.MatryoshkaLoss(model, theirs.CoSENTLoss(model), [32, 16, 8], [1.0, 0.5, 0.25])
    assert_equal(mine, other, model, 2, SCORES)
    with pytest.raises(ValueError, match="must lie in 1 to 32"):
        ours.MatryoshkaLoss(model, kind(model), [64])


def test_a_text_that_is_right_for_an_anchor_is_never_its_negative(model):
    """Two rows of one anchor: the other's positive is masked, so that the loss is that of either row with the third."""
    texts = ["mild cough", "mild cough", "a nurse"], ["low dose", "high dose", "the skin"]
    tokenized = [model.preprocess(column) for column in texts]
    found = ours.MultipleNegativesRankingLoss(model)([dict(f) for f in tokenized], SCORES)
    a, d = (torch.nn.functional.normalize(model(dict(f))["sentence_embedding"], dim=1) for f in tokenized)
    logits = 20 * a @ d.T
    logits[0, 1] = logits[1, 0] = float("-inf")
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(logits, torch.arange(3)))
    assert found < theirs.MultipleNegativesRankingLoss(model)([dict(f) for f in tokenized], SCORES)


def test_denoising_equals_the_stage_s_loss_and_depends_on_the_corrupted_text(model, language_model):
    loss = ours.DenoisingAutoEncoderLoss(model, str(language_model))
    noisy, originals = columns(model, 2)
    with torch.no_grad():
        value = loss([noisy, originals], SCORES)
        direct = loss.denoising(*map(token_ids, (noisy, originals)))
        other = loss([columns(model, 2, shift=1)[0], originals], SCORES)
    torch.testing.assert_close(value, direct)
    assert value > 0 and value != other


TRAINED = {
    "MultipleNegativesRankingLoss": {"anchor": TEXTS[:4], "positive": TEXTS[4:], "negative": TEXTS[2:6]},
    "TripletLoss": {"anchor": TEXTS[:4], "positive": TEXTS[4:], "negative": TEXTS[2:6]},
    "CoSENTLoss": {"sentence1": TEXTS[:4], "sentence2": TEXTS[4:], "score": [0.9, 0.1, 0.5, 0.3]},
    "SoftmaxLoss": {"sentence1": TEXTS[:4], "sentence2": TEXTS[4:], "label": [0, 1, 2, 0]},
    "DenoisingAutoEncoderLoss": {"corrupted": ["cough", "brain", "dose", "honey"], "original": TEXTS[:4]},
    "MatryoshkaLoss": {"anchor": TEXTS[:4], "positive": TEXTS[4:]},
}


@pytest.mark.parametrize("name", TRAINED)
def test_three_steps_with_sentence_transformers_trainer_move_the_model(model, name, tmp_path, language_model):
    datasets = pytest.importorskip("datasets")
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    more = {
        "MatryoshkaLoss": lambda: {"loss": ours.MultipleNegativesRankingLoss(model), "matryoshka_dims": [32, 16]},
        "DenoisingAutoEncoderLoss": lambda: {"decoder_name_or_path": str(language_model)},
    }.get(name, dict)()
    loss = getattr(ours, name)(model, **more)
    before = {n: p.detach().clone() for n, p in loss.named_parameters()}
    arguments = SentenceTransformerTrainingArguments(
        str(tmp_path),
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=1e-3,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
    )
    rows = datasets.Dataset.from_dict(TRAINED[name])
    SentenceTransformerTrainer(model=model, args=arguments, train_dataset=rows, loss=loss).train()
    moved = {n for n, p in loss.named_parameters() if not torch.equal(p, before[n])}
    assert any(n.startswith("model.") for n in moved)
    if name == "SoftmaxLoss":
        assert any(n.startswith("classifier.") for n in moved)
    if name == "DenoisingAutoEncoderLoss":
        assert any("decoder" in n and "crossattention" in n for n in moved)
    assert "@" in loss.citation and isinstance(loss.get_config_dict(), dict)
    model.save_pretrained(str(tmp_path / "saved"))  # with a model card that names the loss
    assert name in (tmp_path / "saved" / "README.md").read_text()


def test_losses_are_listed_lazily():
    assert "MultipleNegativesRankingLoss" in dir(adapt.losses)
    with pytest.raises(AttributeError):
        adapt.losses.NoSuchLoss  # noqa: B018
