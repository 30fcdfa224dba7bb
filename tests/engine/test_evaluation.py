"""Evaluation against an adaptation written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from every_algorithm import each, fitting
from torch import nn
from torch.func import functional_call

from mamlzoo import trees
from mamlzoo.engine.adaptation import Adaptation, predictions
from mamlzoo.engine.binding import bind_seeds
from mamlzoo.engine.episodes import TestSet
from mamlzoo.engine.evaluation import evaluate
from mamlzoo.errors import PluginError
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.protonet import ProtoNet
from mamlzoo_models.mlp import MLP
from mamlzoo_tasks.blobs import Blobs
from mamlzoo_tasks.sine import Sine

CPU = torch.device("cpu")


def values(algorithm, task, seeds=(0, 1), tests=5, steps=3, plan="vmap"):
    bound = bind_seeds(task, MLP(), algorithm, seeds, CPU)
    generator = evaluate(bound, bound.meta, task, TestSet(task, tests, 0, CPU), steps, plan)
    while True:
        try:
            record = next(generator)
        except StopIteration as end:
            assert record.done == record.total
            return bound, end.value


def test_every_step_equals_plain_gradient_descent():
    bound, found = values(MAML(inner_lr=0.02), Sine())
    network = bound.learner.networks["network"]
    (episodes,) = TestSet(Sine(), 5, 0, CPU).blocks()
    for seed in range(2):
        for at in range(5):
            support, query = trees.index(episodes, at)
            phi = {name: value[seed].clone() for name, value in bound.meta["network"].items()}
            for step in range(4):
                loss = nn.functional.mse_loss(functional_call(network, phi, (query.x,)), query.y)
                assert found["mse"][seed, at, step] == pytest.approx(float(loss), rel=1e-5)
                phi = {name: value.requires_grad_() for name, value in phi.items()}
                loss = nn.functional.mse_loss(functional_call(network, phi, (support.x,)), support.y)
                gradients = torch.autograd.grad(loss, list(phi.values()))
                phi = {name: (p - 0.02 * g).detach() for (name, p), g in zip(phi.items(), gradients, strict=True)}


@pytest.mark.parametrize("name", each())
def test_plans_agree(name):
    found = fitting(name)
    _, batched = values(found.algorithm, found.task)
    _, looped = values(found.algorithm, found.task, plan="loop")
    for metric, array in batched.items():
        np.testing.assert_allclose(array, looped[metric], rtol=1e-4, atol=1e-6)


def test_many_blocks_are_joined_in_order():
    _, few = values(MAML(), Sine(), tests=5)
    _, many = values(MAML(), Sine(), tests=600)
    assert many["mse"].shape == (2, 600, 4)
    np.testing.assert_allclose(many["mse"][:, :5], few["mse"], rtol=1e-5)


def test_no_step_measures_the_initial_parameters_alone():
    _, found = values(MAML(), Sine(), steps=0)
    assert found["mse"].shape == (2, 5, 1)


def test_predictions_are_those_that_the_metrics_judge():
    bound, found = values(MAML(), Sine())
    (episodes,) = TestSet(Sine(), 5, 0, CPU).blocks()
    predicted = predictions(bound, bound.meta, episodes.support, episodes.query.x, 3)
    mse = (predicted - episodes.query.y).square().mean((-1, -2))
    np.testing.assert_allclose(mse.permute(1, 2, 0).numpy(), found["mse"], rtol=1e-5)


class Unclaimed(ProtoNet):
    """One that does not say that its adaptation is complete at once."""

    claims = frozenset({"query-loss"})


def test_what_adapts_at_once_is_judged_once_with_the_same_bits_at_every_step(monkeypatch):
    judged, measure = [], Adaptation.measure

    def counted(self, *args):
        judged.append(self)
        return measure(self, *args)

    monkeypatch.setattr(Adaptation, "measure", counted)
    _, each = values(Unclaimed(), Blobs())
    several = len(judged)
    _, once = values(ProtoNet(), Blobs())
    assert len(judged) - several == several - 3
    for metric, array in each.items():
        np.testing.assert_array_equal(array, once[metric])


class VectorMetric(Sine):
    """A metric that is no scalar."""

    name = "vector-metric"

    def metrics(self, prediction, target):
        return {"errors": (prediction - target)[:, 0]}


def test_a_metric_that_is_no_scalar_is_refused():
    with pytest.raises(PluginError, match="task 'vector-metric': metric 'errors' has shape"):
        values(MAML(), VectorMetric())
