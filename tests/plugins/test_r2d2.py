"""R2-D2: the ridge regression's closed form, and the meta-gradient of one neuron by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms.least_squares import LeastSquares
from mamlzoo_algorithms.r2d2 import R2D2
from mamlzoo_algorithms.ridge import ridge_weights

ZERO = torch.tensor(0.0, dtype=torch.float64)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def linear(inputs, outputs, weight):
    network = nn.Linear(inputs, outputs, bias=False, dtype=torch.float64)
    network.weight.data = weight
    return network


def augmented(features, targets, penalty):
    """The same minimum as that of plain least squares with √λ·I below X and 0 below Y."""
    size = features.shape[1]
    rows = torch.cat([features, penalty**0.5 * torch.eye(size, dtype=torch.float64)])
    return torch.linalg.lstsq(rows, torch.cat([targets, targets.new_zeros(size, targets.shape[1])])).solution


@pytest.mark.parametrize(("examples", "size"), [(3, 5), (5, 3), (4, 4)])
def test_either_form_is_the_minimum(examples, size):
    features, targets = normal(examples, size), normal(examples, 2, seed=1)
    found = ridge_weights(features, targets, torch.tensor(0.3, dtype=torch.float64))
    torch.testing.assert_close(found, augmented(features, targets, 0.3))


def test_the_meta_gradient_of_one_neuron():
    # Features θx: W = θ·Σxy / (θ²·Σx² + λ), and the prediction of x is g·x with g = θW = θ²·Σxy / (θ²·Σx² + λ).
    theta, ridge = 0.7, 0.4
    support, query = (Batch(normal(6, 1, seed=seed), normal(6, 1, seed=seed + 1)) for seed in (0, 2))
    algorithm = R2D2(embedding=1, ridge=ridge)
    network = linear(1, 1, torch.tensor([[theta]], dtype=torch.float64))
    learner, meta = mamlzoo.bind(algorithm, network, functional.mse_loss, Spec((1,), 1))
    loss, _ = algorithm.meta_loss(learner, meta, Episode(support, query), ZERO)
    by_weight, by_log_ridge, by_log_scale = torch.autograd.grad(
        loss, [meta["network"]["weight"], *meta["head"].values()], allow_unused=True
    )
    xx, xy = float((support.x**2).sum()), float((support.x * support.y).sum())
    whole = theta**2 * xx + ridge
    g = theta**2 * xy / whole
    by_g = float((2 * query.x * (g * query.x - query.y)).mean())
    assert loss.item() == pytest.approx(float((g * query.x - query.y).square().mean()))
    assert by_weight.item() == pytest.approx(by_g * 2 * theta * ridge * xy / whole**2)
    assert by_log_ridge.item() == pytest.approx(-by_g * ridge * theta**2 * xy / whole**2)
    assert by_log_scale is None  # α has no part in a regression


def test_logits_are_the_scaled_ridge_regression_of_the_classes_as_numbers():
    weight, x = normal(3, 2), normal(5, 2, seed=1)
    algorithm, spec = R2D2(embedding=3, ridge=2.0, scale=5.0), Spec((2,), 3, kind="classification")
    learner, meta = mamlzoo.bind(algorithm, linear(2, 3, weight), functional.cross_entropy, spec)
    fast = algorithm.start(learner, meta, Batch(x, torch.tensor([0, 1, 2, 0, 1])))
    targets = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    expected = 5 * (x @ weight.T) @ augmented(x @ weight.T, targets, 2.0)
    torch.testing.assert_close(algorithm.predict(learner, meta, fast, x), expected, rtol=1e-6, atol=1e-6)


def test_a_weak_ridge_goes_through_the_support_points_where_there_are_fewer_than_features():
    algorithm, x, y = R2D2(embedding=5, ridge=1e-9), normal(4, 3), normal(4, 1, seed=1)
    network = nn.Sequential(linear(3, 5, normal(5, 3, seed=2)), nn.Tanh())
    learner, meta = mamlzoo.bind(algorithm, network, functional.mse_loss, Spec((3,), 1))
    fast = algorithm.start(learner, meta, Batch(x, y))
    torch.testing.assert_close(algorithm.predict(learner, meta, fast, x), y, rtol=1e-6, atol=1e-6)


def test_on_the_inputs_themselves_it_is_the_ridge_regression_of_least_squares():
    x, y = normal(7, 3), normal(7, 2, seed=1)
    support, spec = Batch(x - x.mean(0), y - y.mean(0)), Spec((3,), 2)  # least squares has an intercept
    predictions = []
    for algorithm, networks in (
        (R2D2(embedding=3, ridge=0.8), linear(3, 3, torch.eye(3, dtype=torch.float64))),
        (LeastSquares(ridge=0.8), {}),
    ):
        learner, meta = mamlzoo.bind(algorithm, networks, functional.mse_loss, spec)
        fast = algorithm.start(learner, meta, support)
        predictions.append(algorithm.predict(learner, meta, fast, normal(4, 3, seed=2)))
    torch.testing.assert_close(*predictions, rtol=1e-6, atol=1e-6)


def test_what_is_learned_of_the_head_is_logged():
    result = mamlzoo.run(
        "blobs", "mlp", R2D2(ridge=3.0, scale=2.0), iterations=1, test_tasks=1, meta_batch=1, plan="loop"
    )
    logs = result.checkpoint.history[0].logs
    assert logs["ridge"] == pytest.approx(3.0)
    assert logs["scale"] == pytest.approx(2.0)


def test_it_refuses_a_task_that_reads_outputs_as_distributions():
    with pytest.raises(mamlzoo.UsageError, match="'r2d2' fits targets, and the task wants distributions"):
        R2D2().networks(Spec((1,), 2, target_size=1))
