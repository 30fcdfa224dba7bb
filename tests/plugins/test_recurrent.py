"""The recurrent learner, held against torch's own GRU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Input, Noise, Spec
from mamlzoo_algorithms.recurrent import Recurrent

ZERO = torch.tensor(0.0)
SPEC = Spec((2,), 3, kind="classification")
SUPPORT = Batch(torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([2, 0, 1, 1, 0]))
QUERY = Batch(torch.randn(4, 2, generator=torch.Generator().manual_seed(1)), torch.tensor([0, 1, 2, 1]))


def bound(algorithm):
    torch.manual_seed(0)
    wanted = algorithm.networks(SPEC)
    networks = {"network": nn.Linear(*wanted["network"].input_shape, 3), "cell": wanted["cell"]()}
    return *mamlzoo.bind(algorithm, networks, functional.cross_entropy, SPEC), networks


def test_the_state_is_what_a_gru_remembers_of_inputs_and_labels():
    learner, meta, networks = bound(Recurrent(state=4))
    gru = nn.GRU(5, 4)
    gru.load_state_dict({f"{name}_l0": value for name, value in networks["cell"].state_dict().items()})
    _, expected = gru(torch.cat([SUPPORT.x, functional.one_hot(SUPPORT.y, 3)], -1))
    state = Recurrent(state=4).start(learner, meta, SUPPORT)
    torch.testing.assert_close(state, expected)
    outputs = networks["network"](torch.cat([QUERY.x, expected.expand(4, -1)], -1))
    torch.testing.assert_close(Recurrent(state=4).predict(learner, meta, state, QUERY.x), outputs)


def test_padding_between_examples_leaves_the_state_as_it_was():
    algorithm = Recurrent(state=4)
    learner, meta, _ = bound(algorithm)
    there = torch.tensor([True, False, True, True, False])
    padded = replace(SUPPORT, x=SUPPORT.x.masked_fill(~there[:, None], torch.inf), mask=there)
    alone = Batch(SUPPORT.x[there], SUPPORT.y[there])
    assert torch.equal(algorithm.start(learner, meta, padded), algorithm.start(learner, meta, alone))
    loss = algorithm.meta_loss(learner, meta, Episode(padded, QUERY), ZERO)[0]
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, mamlzoo.leaves(meta)))


def test_the_meta_loss_is_the_query_loss_behind_the_set_as_it_comes():
    algorithm = Recurrent(state=4)
    learner, meta, _ = bound(algorithm)
    state = algorithm.start(learner, meta, SUPPORT)
    expected = functional.cross_entropy(algorithm.predict(learner, meta, state, QUERY.x), QUERY.y)
    assert torch.equal(algorithm.meta_loss(learner, meta, Episode(SUPPORT, QUERY), ZERO)[0], expected)


def test_training_sets_are_read_in_the_order_that_is_drawn():
    learner, meta, _ = bound(Recurrent(state=4))
    noise = Noise(torch.tensor(7))
    order = noise.anew(torch.tensor(7)).permutation(5)
    assert order.tolist() != [0, 1, 2, 3, 4]
    shuffled = Episode(Batch(SUPPORT.x[order], SUPPORT.y[order]), QUERY)
    expected = Recurrent(state=4).meta_loss(learner, meta, shuffled, ZERO)[0]
    found = Recurrent(state=4, shuffle=True).meta_loss(
        replace(learner, noise=noise), meta, Episode(SUPPORT, QUERY), ZERO
    )[0]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("shuffle", [False, True])
def test_episodes_at_once_are_episodes_one_after_another(shuffle):
    settings = {"iterations": 2, "meta_batch": 3, "test_tasks": 2, "seeds": [0, 1], "threads": 1}
    algorithm = Recurrent(state=4, shuffle=shuffle)
    one, two = (
        mamlzoo.run("sine", "mlp", algorithm, plan=plan, options={"task.shots": 4, "model.hidden": (8,)}, **settings)
        for plan in ("vmap", "loop")
    )
    for a, b in zip(mamlzoo.leaves(one.meta), mamlzoo.leaves(two.meta), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_it_refuses_inputs_that_are_no_vectors():
    with pytest.raises(
        mamlzoo.UsageError, match=r"takes inputs that are vectors of numbers, .* are \[n, 1, 6, 6\]; choo"
    ):
        Recurrent().networks(Spec((1, 6, 6), 3, kind="classification"))
    with pytest.raises(mamlzoo.UsageError, match=r"are \[n, 3\] of whole numbers below 9"):
        Recurrent().networks(Spec(inputs=Input((3,), vocabulary=9), output_size=1))
