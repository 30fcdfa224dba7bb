"""Deep kernel transfer: the closed form of one neuron, the process computed in another way, padding, float32."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal

import mamlzoo
from mamlzoo import Batch, Episode
from mamlzoo_algorithms import kernels
from mamlzoo_algorithms.dkt import DKT

NOW = torch.tensor(0.0, dtype=torch.float64)
KERNELS = ["linear", "rbf", "spectral"]


def episode(n=6, targets=1, inputs=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, n, inputs, generator=generator, dtype=torch.float64)
    y = torch.randn(2, n, targets, generator=generator, dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def neuron(theta=0.7, **kernel):
    """A process on the feature θ·x, with these hyperparameters."""
    algorithm, network = DKT(kernel="linear", embedding=1), nn.Linear(1, 1, bias=False, dtype=torch.float64)
    nn.init.constant_(network.weight, theta)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss)
    own = {name: torch.tensor(float(value), dtype=torch.float64) for name, value in kernel.items()}
    return algorithm, learner, meta | {"kernel": meta["kernel"] | own}


def deep(kernel, targets=1, seed=0):
    """A process on five features of a small network, of which nothing is as it was initialised."""
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 5)).double()
    algorithm = DKT(kernel=kernel, embedding=5, components=3)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss, mamlzoo.Spec((2,), targets))
    own = {name: value + 0.3 * torch.randn_like(value) for name, value in meta["kernel"].items()}
    return algorithm, learner, meta | {"kernel": own}


def covariance(algorithm, learner, meta, x):
    """Of targets at x, made number by number."""
    own = {name: value.detach() for name, value in meta["kernel"].items()}
    features = learner.predict(meta["network"], x).detach()
    noise = own["log_noise"].exp() + 1e-5 * own["log_weight"].exp().sum()
    rows = [[entry(algorithm.kernel, own, a, b) for b in features] for a in features]
    return torch.tensor(rows, dtype=torch.float64) + noise * torch.eye(len(x), dtype=torch.float64)


def entry(kernel, own, a, b):
    weight = own["log_weight"].exp()
    if kernel == "linear":
        return float(weight) * sum(float(p * q) for p, q in zip(a, b, strict=True)) / len(a)
    if kernel == "rbf":
        return float(weight) * math.exp(-(float((a - b).norm()) ** 2) / (2 * float(own["log_length"].exp()) ** 2))
    total = 0.0
    for q in range(len(weight)):
        component = float(weight[q])
        for d, gap in enumerate((a - b).tolist()):
            width, frequency = float(own["log_width"][q, d].exp()), float(own["log_frequency"][q, d].exp())
            component *= math.exp(-2 * math.pi**2 * gap**2 * width**2) * math.cos(2 * math.pi * gap * frequency)
        total += component
    return total


def test_one_neuron_is_conditioned_as_a_slope_is_by_hand():
    """y = m + s·x + ε with s ~ N(0, v), v = w·θ², of which one point (a, b) is known.

    The slope's posterior has the variance V = 1/(1/v + a²/σ²) = v·σ²/(σ² + v·a²) and the mean V·a·(b − m)/σ².
    """
    theta, weight, noise, mean, a, b, x = 0.7, 2.0, 0.3, 0.25, 1.5, -1.0, 0.4
    algorithm, learner, meta = neuron(theta, log_weight=math.log(weight), log_noise=math.log(noise), mean=mean)
    noise += 1e-5 * weight
    v = weight * theta**2
    left = v * noise / (noise + v * a**2)
    point = torch.tensor([[a]], dtype=torch.float64), torch.tensor([[b]], dtype=torch.float64)
    fast = algorithm.start(learner, meta, Batch(*point))
    found = algorithm.predict(learner, meta, fast, torch.tensor([[x]], dtype=torch.float64))
    assert found.mean.item() == pytest.approx(mean + x * left * a * (b - mean) / noise)
    assert found.variance.item() == pytest.approx(left * x**2 + noise)


def test_one_neurons_meta_gradient_is_that_by_hand():
    """Of one support point (a, b) and an empty query set, s² = v·a² + σ² with v = w·θ², and

    meta-loss = ½·((b − m)²/s² + log s² + log 2π),   ∂/∂θ = (1 − (b − m)²/s²)/s² · w·θ·a².
    """
    theta, weight, noise, mean, a, b = 0.7, 2.0, 0.3, 0.25, 1.5, -1.0
    algorithm, learner, meta = neuron(theta, log_weight=math.log(weight), log_noise=math.log(noise), mean=mean)
    both = torch.tensor([[a], [9.0]], dtype=torch.float64), torch.tensor([[b], [9.0]], dtype=torch.float64)
    one = Episode(Batch(both[0][:1], both[1][:1]), Batch(both[0][1:], both[1][1:], torch.tensor([False])))
    loss, _ = algorithm.meta_loss(learner, meta, one, NOW)
    variance = weight * theta**2 * a**2 + noise + 1e-5 * weight
    square = (b - mean) ** 2 / variance
    assert loss.item() == pytest.approx((square + math.log(variance) + math.log(2 * math.pi)) / 2)
    (gradient,) = torch.autograd.grad(loss, meta["network"]["weight"])
    assert gradient.item() == pytest.approx((1 - square) / variance * weight * theta * a**2)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_meta_loss_is_the_density_of_all_targets_over_their_number(kernel):
    """By torch's own multivariate normal, of which each of two targets is one."""
    algorithm, learner, meta = deep(kernel, targets=2)
    given = episode(targets=2, inputs=2)
    both = given.support.joined(given.query)
    normal = MultivariateNormal(
        meta["kernel"]["mean"].detach().expand(12), covariance(algorithm, learner, meta, both.x), validate_args=False
    )
    loss, _ = algorithm.meta_loss(learner, meta, given, NOW)
    assert loss.item() == pytest.approx(-normal.log_prob(both.y.T).sum().item() / 12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_prediction_is_the_joint_density_over_that_of_the_support_set(kernel):
    """p(y | S) = p(y, y_S)/p(y_S), for each query point alone: it knows nothing of a solution for weights."""
    algorithm, learner, meta = deep(kernel)
    (support, query), mean = episode(inputs=2), meta["kernel"]["mean"].detach()
    found = algorithm.predict(learner, meta, algorithm.start(learner, meta, support), query.x).log_prob(query.y)

    def density(x, y):
        return MultivariateNormal(mean.expand(len(x)), covariance(algorithm, learner, meta, x)).log_prob(y[:, 0])

    alone = density(support.x, support.y)
    for at in range(len(query.y)):
        joint = density(torch.cat([support.x, query.x[at : at + 1]]), torch.cat([support.y, query.y[at : at + 1]]))
        assert found[at].item() == pytest.approx((joint - alone).item())


def test_a_spectral_kernel_around_frequency_zero_is_an_rbf():
    a, b = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    length, one = 1.7, torch.zeros((), dtype=torch.float64)
    width = one.new_full((2, 3), math.log(1 / (2 * math.pi * length)))
    around_zero = {"log_weight": one.expand(2), "log_frequency": width - 40, "log_width": width}
    smooth = {"log_weight": one + math.log(2), "log_length": one + math.log(length)}
    torch.testing.assert_close(kernels.spectral(around_zero, a, b), kernels.rbf(smooth, a, b))


def test_a_factor_of_zero_has_a_derivative():
    """∂(u·v·w)/∂u = v·w where u = cos(π/2) is 0 but for rounding."""
    angles = torch.tensor([math.pi / 2, 0.3, 1.1], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(kernels._product(angles.cos()), angles)
    assert gradient[0].item() == pytest.approx(-math.cos(0.3) * math.cos(1.1))


def test_components_of_the_spectral_kernel_begin_apart():
    """Alike they would have the same gradients for ever."""
    algorithm, learner, meta = deep("spectral")
    meta["kernel"] = {n: v.double().requires_grad_() for n, v in kernels.initial("spectral", 5, 3).items()} | {
        name: meta["kernel"][name].detach() for name in ("log_noise", "mean")
    }
    loss, _ = algorithm.meta_loss(learner, meta, episode(inputs=2), NOW)
    one, two, three = torch.autograd.grad(loss, meta["kernel"]["log_frequency"])[0]
    assert not torch.allclose(one, two)
    assert not torch.allclose(two, three)


@pytest.mark.parametrize("kernel", KERNELS)
def test_padding_is_as_if_it_were_not_there(kernel):
    algorithm, learner, meta = deep(kernel)
    support, query = episode(inputs=2)
    there = torch.tensor([True, False, True, True, False, True])
    padded = Episode(Batch(support.x, support.y, there), Batch(query.x, query.y, ~there))
    subset = Episode(Batch(support.x[there], support.y[there]), Batch(query.x[~there], query.y[~there]))
    one, two = (algorithm.meta_loss(learner, meta, given, NOW)[0] for given in (padded, subset))
    torch.testing.assert_close(one, two)
    one, two = (
        algorithm.predict(learner, meta, algorithm.start(learner, meta, given.support), query.x)
        for given in (padded, subset)
    )
    torch.testing.assert_close((one.mean, one.variance), (two.mean, two.variance))


def test_far_from_all_points_the_prior_is_predicted():
    algorithm, learner, meta = neuron(log_weight=math.log(2.0), log_noise=math.log(0.3), mean=0.25)
    algorithm = DKT(kernel="rbf", embedding=1)
    meta["kernel"]["log_length"] = NOW
    fast = algorithm.start(learner, meta, episode().support)
    found = algorithm.predict(learner, meta, fast, torch.tensor([[1e3]], dtype=torch.float64))
    assert found.mean.item() == pytest.approx(0.25)
    assert found.variance.item() == pytest.approx(2.0 + 0.3 + 2e-5)


@pytest.mark.parametrize("kernel", KERNELS)
def test_float32_factorises_many_points_that_lie_close_together_without_noise(kernel):
    network = nn.Linear(1, 5)
    algorithm = DKT(kernel=kernel, embedding=5)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss)
    meta["kernel"]["log_noise"] = torch.tensor(-40.0, requires_grad=True)
    x = torch.linspace(-0.1, 0.1, 100)[:, None]
    given = Batch(x, x.sin())
    loss, _ = algorithm.meta_loss(learner, meta, Episode(given, given), torch.tensor(0.0))
    assert loss.isfinite()
    assert all(g.isfinite().all() for g in torch.autograd.grad(loss, mamlzoo.leaves(meta["network"])))
    found = algorithm.predict(learner, meta, algorithm.start(learner, meta, given), x)
    assert (found.variance > 0).all()


def test_it_refuses_classes():
    with pytest.raises(mamlzoo.UsageError, match=r"'dkt' is a Gaussian process of numbers, and the task is classific"):
        DKT().networks(mamlzoo.Spec((2,), 5, "classification"))


@pytest.mark.slow
def test_it_finds_the_noise_of_the_targets():
    options = {"task.noise": 0.3, "task.amplitude_max": 1.0, "algorithm.kernel": "rbf"}
    found = mamlzoo.run("sine", "mlp", "dkt", options=options, iterations=2000, meta_batch=4, outer_lr=3e-3, seeds=1)
    assert math.exp(float(found.meta["kernel"]["log_noise"]) / 2) == pytest.approx(0.3, rel=0.1)


@pytest.mark.slow
def test_a_compiled_meta_step_is_the_batched_one():
    options = {"algorithm.kernel": "spectral", "algorithm.embedding": 6, "model.hidden": (8,)}
    one, two = (
        mamlzoo.run("sine", "mlp", "dkt", options=options, iterations=3, seeds=2, test_tasks=2, plan=plan)
        for plan in ("vmap", "compile")
    )
    torch.testing.assert_close(one.meta["kernel"], two.meta["kernel"], rtol=1e-4, atol=1e-5)
