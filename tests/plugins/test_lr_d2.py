"""LR-D2: the logistic regression is solved, and its derivative is that of the solution."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Episode, Spec
from mamlzoo_algorithms import multinomial_logistic
from mamlzoo_algorithms.lr_d2 import LRD2
from mamlzoo_algorithms.multinomial_logistic import logistic_weights

ZERO = torch.tensor(0.0, dtype=torch.float64)
LABELS = torch.tensor([0, 1, 2, 1, 0, 1])


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def solved(features, labels, penalty, classes=3, steps=8):
    targets = functional.one_hot(labels, classes).to(features.dtype)
    present = targets.sum(0).clamp(max=1)
    return logistic_weights(features, targets, present, torch.as_tensor(penalty, dtype=features.dtype), steps)


def slope(weights, features, labels, penalty):
    """∂/∂W of the cross-entropies' sum and the ridge, by autograd."""
    tracked = weights.detach().requires_grad_()
    loss = functional.cross_entropy(features @ tracked, labels, reduction="sum") + penalty / 2 * tracked.square().sum()
    return torch.autograd.grad(loss, tracked)[0]


@pytest.mark.parametrize("size", [2, 9], ids=["few features", "more features than examples"])
def test_the_weights_are_where_the_loss_is_stationary(size):
    features = normal(6, size)
    weights, _ = solved(features, LABELS, 0.5)
    torch.testing.assert_close(slope(weights, features, LABELS, 0.5), torch.zeros_like(weights))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_it_is_solved_for_features_of_any_size(scale):
    weights, unsolved = solved(scale * normal(6, 4), LABELS, 0.1, steps=15)
    assert float(unsolved) < 1e-6 * scale
    assert weights.isfinite().all()


def test_it_is_solved_where_whole_newton_steps_go_round_in_circles(monkeypatch):
    generator = torch.Generator().manual_seed(113)  # one of a hundred, of examples whose sizes differ by far
    features = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    features = features * (1.5 * torch.randn(8, 1, generator=generator, dtype=torch.float64)).exp()
    labels = torch.randint(0, 3, (8,), generator=generator)
    assert float(solved(features, labels, 0.01, steps=25)[1]) < 1e-9
    monkeypatch.setattr(multinomial_logistic, "LENGTHS", (1.0,))
    assert float(solved(features, labels, 0.01, steps=25)[1]) > 1


def test_what_is_unsolved_is_the_norm_of_the_slope():
    features = normal(6, 4)
    _, unsolved = solved(features, LABELS, 0.5, steps=1)
    _, better = solved(features, LABELS, 0.5, steps=3)
    # By hand for W = 0 after no step at all: P = 1/3, and the slope is Xᵀ(P − Y).
    from_zero = features.T @ (torch.full((6, 3), 1 / 3).double() - functional.one_hot(LABELS, 3))
    assert 0 < float(better) < float(unsolved) < float(from_zero.norm())


def root(theta, support, ridge):
    """u = W₁ − W₀ of two classes and one feature θx, by bisection.

    W₀ = −W₁ = −u/2, so that λ/2·‖W‖² = λ/4·u², and stationary is Σ θx·(σ(θxu) − y) + λ/2·u = 0, which grows with u.
    """
    low, high = -100.0, 100.0
    for _ in range(200):
        u = (low + high) / 2
        pairs = zip(support.x[:, 0].tolist(), support.y.tolist(), strict=True)
        value = sum(theta * x * (1 / (1 + math.exp(-theta * x * u)) - y) for x, y in pairs) + ridge / 2 * u
        low, high = (u, high) if value < 0 else (low, u)
    return (low + high) / 2


def test_the_meta_gradient_of_one_neuron_is_that_of_the_root():
    theta, ridge, h = 0.7, 0.4, 1e-5
    support = Batch(normal(6, 1), torch.tensor([0, 1, 0, 1, 1, 0]))
    query = Batch(normal(6, 1, seed=1), torch.tensor([1, 1, 0, 1, 0, 0]))

    def by_hand(theta, log_ridge):
        """The mean of log(1 + e^{∓θxu}) over the queries."""
        u = root(theta, support, math.exp(log_ridge))
        pairs = zip(query.x[:, 0].tolist(), query.y.tolist(), strict=True)
        return sum(math.log1p(math.exp(-(2 * y - 1) * theta * x * u)) for x, y in pairs) / 6

    network = nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(network.weight, theta)
    algorithm = LRD2(embedding=1, ridge=ridge)
    learner, meta = mamlzoo.bind(algorithm, network, functional.cross_entropy, Spec((1,), 2, kind="classification"))
    loss, _ = algorithm.meta_loss(learner, meta, Episode(support, query), ZERO)
    found = torch.autograd.grad(loss, [meta["network"]["weight"], meta["head"]["log_ridge"]])
    log_ridge = math.log(ridge)
    assert loss.item() == pytest.approx(by_hand(theta, log_ridge))
    assert found[0].item() == pytest.approx((by_hand(theta + h, log_ridge) - by_hand(theta - h, log_ridge)) / (2 * h))
    assert found[1].item() == pytest.approx((by_hand(theta, log_ridge + h) - by_hand(theta, log_ridge - h)) / (2 * h))


def test_the_derivative_is_that_of_newtons_steps_where_they_have_arrived():
    """Differentiated through every step, as the paper does, nothing stopped."""
    features = normal(6, 3).requires_grad_()
    targets, direction = functional.one_hot(LABELS, 3).double(), normal(3, 3, seed=1)
    weights = torch.zeros(3, 3, dtype=torch.float64)
    for _ in range(12):
        shares = (features @ weights).softmax(-1)
        gradient = features.T @ (shares - targets) + 0.5 * weights
        blocks = [torch.kron(x[:, None] * x, p.diag() - p[:, None] * p) for x, p in zip(features, shares, strict=True)]
        hessian = torch.stack(blocks).sum(0) + 0.5 * torch.eye(9, dtype=torch.float64)
        weights = weights - torch.linalg.solve(hessian, gradient.reshape(-1)).reshape(3, 3)
    found, _ = solved(features, LABELS, 0.5)
    torch.testing.assert_close(
        torch.autograd.grad((found * direction).sum(), features)[0],
        torch.autograd.grad((weights * direction).sum(), features)[0],
    )


def test_it_logs_how_far_it_was_from_solved():
    result = mamlzoo.run("blobs", "mlp", LRD2(embedding=4), iterations=1, test_tasks=1, meta_batch=2, plan="loop")
    assert result.checkpoint.history[0].logs["unsolved"] < 1e-3


def test_it_refuses_regression():
    with pytest.raises(mamlzoo.UsageError, match="'lr-d2' fits a logistic regression, and the task is regression"):
        LRD2().networks(Spec((1,), 1))
