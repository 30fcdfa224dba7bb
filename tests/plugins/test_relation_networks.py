"""Relation networks with a relation that can be worked out by hand: g(c, x) = θ·⟨c, x⟩."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.relation_networks import RelationNetworks

ZERO = torch.tensor(0.0, dtype=torch.float64)
SPEC = Spec((2,), 2, kind="classification")
SUPPORT = Batch(torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).double(), torch.tensor([0, 0, 1, 1]))
QUERY = Batch(torch.tensor([[1.0, 1.0], [0.0, 2.0]]).double(), torch.tensor([0, 1]))
PRODUCTS = [[4.0, 2.0], [0.0, 4.0]]
"""⟨c_k, x⟩ of the queries with the sums (4, 0) and (0, 2) of the classes' examples."""
THETA = 0.3


class Product(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor(THETA, dtype=torch.float64))

    def forward(self, pairs):
        one, two = pairs.chunk(2, -1)
        return self.theta * (one * two).sum(-1, keepdim=True)


def bound(algorithm):
    identity = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    nn.init.eye_(identity.weight)
    identity.requires_grad_(False)
    return mamlzoo.bind(algorithm, {"network": identity, "relation": Product()}, functional.cross_entropy, SPEC)


def meta_loss_and_gradient(**options):
    algorithm = RelationNetworks(embedding=2, **options)
    learner, meta = bound(algorithm)
    loss, logs = algorithm.meta_loss(learner, meta, Episode(SUPPORT, QUERY), ZERO)
    (gradient,) = torch.autograd.grad(loss, mamlzoo.leaves(meta))
    return loss.item(), gradient.item(), logs


def sigmoid(s):
    return 1 / (1 + math.exp(-s))


def test_relations_are_regressed_by_squared_errors():
    # With r = σ(θa), ∂(r − t)²/∂θ = 2(r − t)·r(1 − r)·a; the mean is over two queries and two classes.
    terms = [(sigmoid(THETA * a), float(q == k), a) for q, row in enumerate(PRODUCTS) for k, a in enumerate(row)]
    loss, gradient, _ = meta_loss_and_gradient()
    assert loss == pytest.approx(sum((r - t) ** 2 for r, t, _ in terms) / 4)
    assert gradient == pytest.approx(sum(2 * (r - t) * r * (1 - r) * a for r, t, a in terms) / 4)


def test_the_tasks_loss_is_that_of_the_scores_as_logits():
    rows = [[THETA * a for a in row] for row in PRODUCTS]
    expected = sum(math.log(sum(map(math.exp, row))) - row[label] for label, row in enumerate(rows)) / 2
    assert meta_loss_and_gradient(loss="task")[0] == pytest.approx(expected)
    assert meta_loss_and_gradient()[2]["loss"].item() == pytest.approx(expected)


def test_the_softmax_of_scores_is_the_chance_of_each_relation_where_one_alone_holds():
    algorithm = RelationNetworks(embedding=2)
    learner, meta = bound(algorithm)
    logits = algorithm.predict(learner, meta, algorithm.start(learner, meta, SUPPORT), QUERY.x)
    for found, row in zip(logits.softmax(-1).tolist(), PRODUCTS, strict=True):
        first, second = (sigmoid(THETA * a) for a in row)
        alone = [first * (1 - second), second * (1 - first)]
        assert found == pytest.approx([chance / sum(alone) for chance in alone])


def test_a_class_is_the_sum_of_its_examples_or_their_mean():
    for pool, classes in {"sum": [[4.0, 0.0], [0.0, 2.0]], "mean": [[2.0, 0.0], [0.0, 1.0]]}.items():
        algorithm = RelationNetworks(embedding=2, pool=pool)
        learner, meta = bound(algorithm)
        assert algorithm.start(learner, meta, SUPPORT).classes.tolist() == classes


def test_padding_among_the_queries_has_no_relation():
    algorithm = RelationNetworks(embedding=2)
    learner, meta = bound(algorithm)
    padded = Batch(
        torch.cat([QUERY.x, torch.full((1, 2), 1e3, dtype=torch.float64)]), torch.tensor([0, 1, 0]), torch.arange(3) < 2
    )
    alone, among = (algorithm.meta_loss(learner, meta, Episode(SUPPORT, query), ZERO)[0] for query in (QUERY, padded))
    assert torch.equal(alone, among)


def test_the_relation_is_a_network_of_pairs_that_any_model_can_be():
    assert RelationNetworks(embedding=7).networks(SPEC) == {
        "network": Spec((2,), 7, kind="classification"),
        "relation": Spec((14,), 1),
    }


def test_it_refuses_regression():
    with pytest.raises(
        mamlzoo.UsageError, match="'relation-networks' compares queries with classes, and the task is reg"
    ):
        RelationNetworks().networks(Spec((1,), 1))
