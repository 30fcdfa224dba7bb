"""Matching networks: attention by cosines, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch
from mamlzoo_algorithms.matching_networks import MatchingNetworks


def identity(size=2):
    network = nn.Linear(size, size, bias=False, dtype=torch.float64)
    nn.init.eye_(network.weight)
    return network


def shares(algorithm, support, query, classes):
    """The probabilities of queries where embeddings are the inputs themselves."""
    spec = mamlzoo.Spec((2,), classes, kind="classification")
    learner, meta = mamlzoo.bind(algorithm, identity(), functional.cross_entropy, spec)
    fast = algorithm.start(learner, meta, support)
    return algorithm.predict(learner, meta, fast, torch.tensor(query, dtype=torch.float64)).exp()


def batch(x, y):
    return Batch(torch.tensor(x, dtype=torch.float64), torch.tensor(y))


def test_a_querys_class_has_the_attention_to_its_examples():
    # Cosines with (3, 0): 1, 0 and 1; with (−1, −1): −1/√2 each.
    support = batch([[1.0, 0.0], [0.0, 5.0], [2.0, 0.0]], [0, 1, 0])
    found = shares(MatchingNetworks(), support, [[3.0, 0.0], [-1.0, -1.0]], 2)
    first = 2 * math.e / (2 * math.e + 1)
    torch.testing.assert_close(found, torch.tensor([[first, 1 - first], [2 / 3, 1 / 3]], dtype=torch.float64))


def test_no_class_is_ever_certain_with_cosines_as_they_are():
    support = batch([[1.0, 0.0], [-1.0, 0.0], [-2.0, 0.0]], [0, 1, 2])
    found = shares(MatchingNetworks(), support, [[1.0, 0.0]], 3)
    assert found[0, 0].item() == pytest.approx(math.e**2 / (math.e**2 + 2))


def test_a_sharp_softmax_takes_the_nearest_example():
    # The mean of class 1 is nearer to the query in angle, a single example of class 0 is nearest.
    support = batch([[1.0, 0.1], [-1.0, 0.0], [1.0, 0.3], [1.0, 0.4]], [0, 0, 1, 1])
    found = shares(MatchingNetworks(sharpness=1e5), support, [[1.0, 0.0]], 2)
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.0]], dtype=torch.float64))


def test_great_sharpness_keeps_numbers_finite():
    algorithm, spec = MatchingNetworks(sharpness=1e4), mamlzoo.Spec((2,), 2, kind="classification")
    learner, meta = mamlzoo.bind(algorithm, identity(), functional.cross_entropy, spec)
    support, query = batch([[1.0, 0.0], [0.0, 1.0]], [0, 1]), batch([[1.0, 0.2]], [1])
    loss, _ = algorithm.meta_loss(learner, meta, mamlzoo.Episode(support, query), torch.tensor(0.0))
    assert loss.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, mamlzoo.leaves(meta)))


def test_an_embedding_of_zero_is_like_nothing():
    support = batch([[0.0, 0.0], [1.0, 0.0]], [0, 1])
    found = shares(MatchingNetworks(), support, [[1.0, 0.0]], 2)
    torch.testing.assert_close(found, torch.tensor([[1.0, math.e]], dtype=torch.float64) / (1 + math.e))


def test_it_refuses_regression():
    with pytest.raises(mamlzoo.UsageError, match="'matching-networks' classifies by the labels of .* choose a classif"):
        MatchingNetworks().networks(mamlzoo.Spec((1,), 1))


def in_context(steps=2, size=3):
    """The algorithm with full context embeddings of three numbers, bound, and its networks."""
    torch.manual_seed(0)
    algorithm, spec = (
        MatchingNetworks(embedding=size, context_steps=steps),
        mamlzoo.Spec((2,), 2, kind="classification"),
    )
    networks = {
        name: nn.Linear(2, size) if isinstance(wanted, mamlzoo.Spec) else wanted()
        for name, wanted in algorithm.networks(spec).items()
    }
    networks = {name: network.double() for name, network in networks.items()}
    return algorithm, *mamlzoo.bind(algorithm, networks, functional.cross_entropy, spec), networks


def test_in_full_context_the_support_set_is_read_by_torchs_bidirectional_lstm():
    algorithm, learner, meta, networks = in_context()
    lstm = nn.LSTM(3, 3, bidirectional=True).double()
    for name, suffix in {"forwards": "", "backwards": "_reverse"}.items():
        own = networks[name].lstm.state_dict()
        lstm.load_state_dict({f"{at}_l0{suffix}": value for at, value in own.items()}, strict=False)
    support = batch([[1.0, 0.0], [0.0, 5.0], [2.0, 0.0]], [0, 1, 0])
    embedded = networks["network"](support.x)
    one, two = lstm(embedded)[0].chunk(2, -1)
    torch.testing.assert_close(algorithm.start(learner, meta, support).embedded, embedded + one + two)


def test_in_full_context_a_query_reads_the_support_set():
    """Two reads of two examples, written out."""
    algorithm, learner, meta, networks = in_context()
    support, x = batch([[1.0, 0.0], [0.0, 5.0]], [0, 1]), torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    fast = algorithm.start(learner, meta, support)
    first, second = fast.embedded
    own = networks["network"](x)
    # Of h₀ = 0 all examples get the same attention.
    h, c = networks["reader"].lstm(torch.cat([own, (first + second)[None] / 2], -1))
    h = h + own
    one, two = (h[0] @ first).exp(), (h[0] @ second).exp()
    h, _ = networks["reader"].lstm(torch.cat([own, (one * first + two * second)[None] / (one + two)], -1), (h, c))
    h = h + own
    cosines = functional.cosine_similarity(h, fast.embedded)
    found = algorithm.predict(learner, meta, fast, x)[0].softmax(-1)
    torch.testing.assert_close(found, cosines.softmax(-1))


def test_in_full_context_padding_is_not_read():
    algorithm, learner, meta, _ = in_context()
    support, query = batch([[1.0, 0.0], [9.0, 9.0], [0.0, 5.0]], [0, 1, 1]), batch([[3.0, 1.0]], [1])
    there = torch.tensor([True, False, True])
    padded, alone = Batch(support.x, support.y, there), Batch(support.x[there], support.y[there])
    losses = [
        algorithm.meta_loss(learner, meta, mamlzoo.Episode(given, query), torch.tensor(0.0))[0]
        for given in (padded, alone)
    ]
    torch.testing.assert_close(*losses)
