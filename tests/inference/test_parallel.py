import numpy as np
import pytest
import torch

from adapt.inference import parallel
from adapt.inference.encoding import embed, forward
from adapt.job import Job
from adapt.models.bi_encoder import load_encoder, token_ids
from adapt.models.dropout import has_dropout, set_dropout
from adapt.training.loop import _set_checkpointing

from ..conftest import assert_alike

TEXTS = [
    "The heart helps.",
    "Fever.",
    "A mild rash and a cough after the tablet in the morning.",
    "Fever falls.",
    "Kidney dose falls.",
] * 30


@pytest.fixture
def threads():
    """Sets how many threads torch computes with, for one test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def gradients(model, ids, wanted):
    model.train()
    model.zero_grad()
    vectors = forward(model, ids)
    (vectors * wanted).sum().backward()
    return vectors.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("mixed", [False, True])
def test_apart_in_mixed_precision_and_with_activations_computed_again(embedder, threads, mixed, checkpointing):
    model = load_encoder(embedder, "bf16" if mixed else "fp32")
    set_dropout(model, 0.0)
    _set_checkpointing(model, checkpointing)
    ids = token_ids(model, TEXTS)
    wanted = torch.randn(len(ids), model.get_embedding_dimension(), generator=torch.Generator().manual_seed(0))
    found = []
    for count in (1, 2):
        threads(count)
        vectors, slopes = gradients(model, ids, wanted)
        found.append((vectors, torch.cat([slope.flatten() for slope in slopes.values()])))
    (alone, one), (apart, two) = found
    assert torch.allclose(alone, apart, atol=2e-2 if mixed else 1e-6)
    assert (one - two).norm() < (2e-2 if mixed else 1e-5) * one.norm()


@pytest.mark.parametrize("count", [2, 3])
def test_cores_side_by_side_give_the_vectors_and_gradients_of_one(embedder, threads, count):
    model = load_encoder(embedder)
    set_dropout(model, 0.0)
    ids = token_ids(model, TEXTS)
    wanted = torch.randn(len(ids), model.get_embedding_dimension(), generator=torch.Generator().manual_seed(0))
    threads(1)
    vectors, slopes = gradients(model, ids, wanted)
    threads(count)
    assert len(parallel.partition(model.train(), list(map(len, ids)), 1_024)) == count
    apart, others = gradients(model, ids, wanted)
    again, same = gradients(model, ids, wanted)
    assert torch.allclose(vectors, apart, atol=1e-6)
    assert slopes.keys() == others.keys() and len(slopes) > 10
    assert_alike([others[name] for name in slopes], slopes.values(), bf16=2e-2, rtol=1e-4, atol=1e-6)
    assert torch.equal(apart, again) and all(torch.equal(others[name], same[name]) for name in others)


@pytest.mark.parametrize("count", [1, 2])
def test_a_step_after_another_has_the_gradients_of_a_first_one_to_the_bit(embedder, threads, count):
    threads(count)
    model = load_encoder(embedder)
    set_dropout(model, 0.0)
    ids, parameters = token_ids(model, TEXTS), list(model.parameters())
    table = model[0].auto_model.get_input_embeddings().weight

    def after(*steps):
        model.zero_grad(set_to_none=True)
        model.train()
        places = []
        for rows in steps:
            parallel.zero_gradients(model, parameters)
            assert all(p.grad is None or (p.dim() == 2 and not p.grad.any()) for p in parameters)
            vectors = forward(model, [ids[i] for i in rows])
            (vectors @ vectors.T).square().sum().backward()
            places.append(table.grad.data_ptr())
        assert len(set(places)) == 1 and not table.grad.is_sparse
        return [None if p.grad is None else p.grad.clone() for p in parameters]

    alone, later = after(range(0, 100)), after(range(50, 150), range(0, 100))
    assert all(a is b is None or torch.equal(a, b) for a, b in zip(alone, later, strict=True))


def test_gradients_reach_what_is_given_and_nothing_that_is_frozen(threads):
    threads(2)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    module[0].requires_grad_(False)
    given = torch.randn(6, 3, requires_grad=True)
    found = parallel.forward_parts(module, lambda rows, given: module(given[rows]), [[[5, 0], [1]], [[2, 3, 4]]], given)
    assert torch.allclose(found, module(given)[[5, 0, 1, 2, 3, 4]])
    found.square().sum().backward()
    slope, own = given.grad.clone(), module[1].weight.grad.clone()
    given.grad = module[1].weight.grad = None
    module(given).square().sum().backward()
    assert torch.allclose(slope, given.grad) and torch.allclose(own, module[1].weight.grad)
    assert module[0].weight.grad is None


def test_cores_compute_in_the_modes_of_who_asks(threads):
    threads(2)

    def modes(_):
        return torch.get_num_threads(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    with torch.inference_mode():
        assert set(parallel.map_parts(modes, range(8))) == {(1, True, False)}
    with torch.no_grad():
        assert set(parallel.map_parts(modes, range(8))) == {(1, False, False)}
    assert torch.get_num_threads() == 2


def test_an_error_on_one_core_is_raised(threads):
    threads(2)
    with pytest.raises(ZeroDivisionError):
        list(parallel.map_parts(lambda part: 1 // part, [1, 1, 0, 1]))


def test_dropout_is_drawn_on_one_core_so_that_a_seed_means_the_same(embedder, threads):
    threads(2)
    model = load_encoder(embedder).train()
    set_dropout(model, 0.3)
    assert has_dropout(model)
    ids = token_ids(model, TEXTS)
    torch.manual_seed(5)
    first = forward(model, ids)
    torch.manual_seed(5)
    assert torch.equal(first, forward(model, ids))
    with torch.no_grad():  # as for an encoder that is held still while its decoder learns
        torch.manual_seed(5)
        assert torch.equal(first, forward(model, ids))
    set_dropout(model, 0.0)
    assert not has_dropout(model)


def test_embeddings_have_the_same_bits_on_any_number_of_cores(embedder, threads):
    threads(1)
    alone = embed(embedder, TEXTS * 4, Job())
    threads(2)
    assert np.array_equal(alone, embed(embedder, TEXTS * 4, Job()))
