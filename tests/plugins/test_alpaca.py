"""ALPaCA: the closed form of one neuron, the posterior in other ways, and the Gaussian process that it is."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, trees
from mamlzoo_algorithms.alpaca import ALPaCA
from mamlzoo_algorithms.dkt import DKT

NOW = torch.tensor(0.0, dtype=torch.float64)


def episode(n=6, targets=1, inputs=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, n, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(2, n, targets, generator=generator, dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def neuron(theta, mean, precision, noise):
    """A regression on the feature θ·x, with this prior."""
    algorithm = ALPaCA(features=1, noise_variance=noise)
    parts = {"network": nn.Linear(1, 1, bias=False).double(), "mean": nn.Linear(1, 1, bias=False).double()}
    nn.init.constant_(parts["network"].weight, theta)
    nn.init.constant_(parts["mean"].weight, mean)
    learner, meta = mamlzoo.bind(algorithm, parts, nn.functional.mse_loss)
    nn.init.constant_(meta["precision"]["factor"], math.log(precision) / 2)
    return algorithm, learner, meta


def deep(targets=1, seed=0):
    """A regression on five features of a small network, with a prior that is none of the simple ones."""
    torch.manual_seed(seed)
    algorithm, spec = ALPaCA(features=5, noise_variance=0.3), mamlzoo.Spec((2,), targets)
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    parts = {"network": network, "mean": algorithm.networks(spec)["mean"]().double()}
    learner, meta = mamlzoo.bind(algorithm, parts, nn.functional.mse_loss, spec)
    nn.init.normal_(meta["precision"]["factor"], std=0.5)
    return algorithm, learner, meta


def prior(meta):
    """W̄₀ and Λ₀ of that."""
    stored = meta["precision"]["factor"].detach()
    root = torch.tril(stored, -1) + torch.diag(stored.diagonal().exp())
    return meta["mean"]["weight"].detach().T, root @ root.T


def test_one_neuron_is_a_scalar_bayesian_regression_by_hand():
    """Of the feature u = θ·x the weight is N(w, σ²/p) before, and after points (u, y)

    p' = p + Σ u²,   w' = (p·w + Σ u·y)/p',   y(x) ~ N(w'·u, σ²·(1 + u²/p')).
    """
    theta, w, p, noise, x = 0.7, -0.4, 2.5, 0.3, 1.3
    algorithm, learner, meta = neuron(theta, w, p, noise)
    support = episode().support
    u = theta * support.x
    later = p + float(u.square().sum())
    moved = (p * w + float((u * support.y).sum())) / later
    fast = algorithm.start(learner, meta, support)
    found = algorithm.predict(learner, meta, fast, torch.tensor([[x]], dtype=torch.float64))
    assert found.mean.item() == pytest.approx(moved * theta * x)
    assert found.variance.item() == pytest.approx(noise * (1 + (theta * x) ** 2 / later))


def test_one_neurons_meta_gradient_is_that_by_hand():
    """Before any point, with s² = σ²(1 + θ²x²/p) and e = y − w·θ·x of one query point (x, y),

    meta-loss = ½(e²/s² + log s² + log 2π),   ∂/∂w = −e·θ·x/s²,   ∂/∂θ = −e·w·x/s² + (1 − e²/s²)/s²·σ²θx²/p.
    """
    theta, w, p, noise, x, y = 0.7, -0.4, 2.5, 0.3, 1.3, 2.0
    algorithm, learner, meta = neuron(theta, w, p, noise)
    point = Batch(torch.tensor([[x]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64))
    nothing = Batch(point.x, point.y, torch.tensor([False]))
    loss, _ = algorithm.meta_loss(learner, meta, Episode(nothing, point), NOW)
    variance, error = noise * (1 + theta**2 * x**2 / p), y - w * theta * x
    assert loss.item() == pytest.approx((error**2 / variance + math.log(variance) + math.log(2 * math.pi)) / 2)
    by_theta, by_w = torch.autograd.grad(loss, [meta["network"]["weight"], meta["mean"]["weight"]])
    assert by_w.item() == pytest.approx(-error * theta * x / variance)
    spread = (1 - error**2 / variance) / variance * noise * theta * x**2 / p
    assert by_theta.item() == pytest.approx(-error * w * x / variance + spread)


def test_the_posterior_is_that_of_the_normal_equations():
    """Λ = Λ₀ + ΦᵀΦ and W̄ = Λ⁻¹(Λ₀W̄₀ + Φᵀy), by inverses."""
    algorithm, learner, meta = deep(targets=2)
    support, query = episode(targets=2, inputs=2)
    phi, psi = (learner.predict(meta["network"], batch.x).detach() for batch in (support, query))
    mean, precision = prior(meta)
    later = precision + phi.T @ phi
    weights = torch.linalg.inv(later) @ (precision @ mean + phi.T @ support.y)
    fast = algorithm.start(learner, meta, support)
    found = algorithm.predict(learner, meta, fast, query.x)
    torch.testing.assert_close(fast.weights, weights)
    torch.testing.assert_close(found.mean, psi @ weights)
    variance = 0.3 * (1 + torch.einsum("nd,de,ne->n", psi, torch.linalg.inv(later), psi))
    torch.testing.assert_close(found.variance, variance[:, None].expand(-1, 2))


def test_one_point_after_another_gives_the_posterior_of_all():
    """The paper's recursion: Λ⁻¹ ← Λ⁻¹ − (Λ⁻¹φ)(Λ⁻¹φ)ᵀ/(1 + φᵀΛ⁻¹φ), Q ← Q + φ·y, W̄ = Λ⁻¹Q."""
    algorithm, learner, meta = deep()
    support = episode(inputs=2).support
    mean, precision = prior(meta)
    inverse, total = torch.linalg.inv(precision), precision @ mean
    for phi, y in zip(learner.predict(meta["network"], support.x).detach(), support.y, strict=True):
        gain = inverse @ phi
        inverse = inverse - torch.outer(gain, gain) / (1 + phi @ gain)
        total = total + torch.outer(phi, y)
    torch.testing.assert_close(algorithm.start(learner, meta, support).weights, inverse @ total)


def test_with_a_mean_of_zero_and_a_unit_precision_it_is_a_process_of_a_linear_kernel():
    """Weights N(0, σ²I) make functions of the covariance σ²·⟨φ, φ'⟩, which is DKT's of weight σ²·d."""
    algorithm, learner, meta = deep()
    nn.init.zeros_(meta["mean"]["weight"])
    nn.init.zeros_(meta["precision"]["factor"])
    support, query = episode(inputs=2)
    weight = 0.3 * 5
    own = {"log_weight": math.log(weight), "log_noise": math.log(0.3 - 1e-5 * weight), "mean": 0.0}
    process = DKT(kernel="linear", embedding=5)
    theta = meta | {"kernel": {name: torch.tensor(value, dtype=torch.float64) for name, value in own.items()}}
    one = algorithm.predict(learner, meta, algorithm.start(learner, meta, support), query.x)
    two = process.predict(learner, theta, process.start(learner, theta, support), query.x)
    torch.testing.assert_close((one.mean, one.variance), (two.mean, two.variance))


def test_chained_over_its_points_the_meta_loss_is_the_processes_marginal_likelihood():
    """log p(y₁ … y_n) = Σ log p(yᵢ | y₁ … yᵢ₋₁): each as the query point after those before."""
    algorithm, learner, meta = deep()
    support = episode(inputs=2).support
    mean, precision = prior(meta)
    phi = learner.predict(meta["network"], support.x).detach()
    joint = torch.distributions.MultivariateNormal(
        (phi @ mean)[:, 0], 0.3 * (torch.eye(6, dtype=torch.float64) + phi @ torch.linalg.inv(precision) @ phi.T)
    )
    total = 0.0
    for at in range(6):
        there = torch.arange(6) < at
        given = Episode(Batch(support.x, support.y, there), trees.index(support, slice(at, at + 1)))
        total += algorithm.meta_loss(learner, meta, given, NOW)[0].item()
    assert total == pytest.approx(-joint.log_prob(support.y[:, 0]).item())


def test_padding_is_as_if_it_were_not_there():
    algorithm, learner, meta = deep()
    support, query = episode(inputs=2)
    there = torch.tensor([True, False, True, True, False, True])
    padded = Episode(Batch(support.x, support.y, there), Batch(query.x, query.y, ~there))
    subset = Episode(Batch(support.x[there], support.y[there]), Batch(query.x[~there], query.y[~there]))
    one, two = (algorithm.meta_loss(learner, meta, given, NOW)[0] for given in (padded, subset))
    torch.testing.assert_close(one, two)


def test_without_a_support_set_the_prior_is_predicted():
    algorithm, learner, meta = deep()
    support = episode(inputs=2).support
    fast = algorithm.start(learner, meta, Batch(support.x[:0], support.y[:0]))
    torch.testing.assert_close(fast.weights, prior(meta)[0])
    torch.testing.assert_close(fast.factor, torch.eye(5, dtype=torch.float64))


def test_float32_bears_features_that_are_many_times_the_noise():
    algorithm, learner, meta = neuron(1.0, 0.0, 1.0, 1e-6)
    meta = trees.cast(meta, torch.float32, torch.device("cpu"))
    x = torch.linspace(-100, 100, 50)[:, None]
    given = Batch(x, 3 * x)
    loss, _ = algorithm.meta_loss(learner, meta, Episode(given, given), torch.tensor(0.0))
    fast = algorithm.start(learner, meta, given)
    assert loss.isfinite()
    assert fast.weights.item() == pytest.approx(3.0, rel=1e-5)


def test_it_refuses_classes():
    with pytest.raises(
        mamlzoo.UsageError, match=r"'alpaca' is a linear regression on features, and the task is classi"
    ):
        ALPaCA().networks(mamlzoo.Spec((2,), 5, "classification"))
