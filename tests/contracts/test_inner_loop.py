"""The inner loop's optimisers, its clipping, and which parameters adapt: by hand, on f(x) = θx with squared errors."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode, option
from mamlzoo.contracts import options
from mamlzoo.contracts.inner_loop import OF_STEPS
from mamlzoo.contracts.inner_optimizers import Adam, clipped
from mamlzoo.testing.algorithm_checks import adapted_predicts_the_same, vmapped_equals_one_by_one
from mamlzoo.testing.step_checks import adapt_is_the_optimisers_step
from mamlzoo_algorithms.anil import ANIL
from mamlzoo_algorithms.fomaml import FOMAML
from mamlzoo_algorithms.maml import MAML
from mamlzoo_algorithms.reptile import Reptile

THETA, RATE = 0.7, 0.1
ZERO = torch.tensor(0.0, dtype=torch.float64)


def episode(seed=0):
    x, y = torch.randn(2, 2, 6, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Episode(Batch(x[0], y[0]), Batch(x[1], y[1]))


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def gradients(algorithm, episode, network=None, **changes):
    """The meta-gradient by each tensor of θ, by name."""
    if network is None:
        network = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.constant_(network.weight, THETA)
    learner, meta = mamlzoo.bind(algorithm, network, nn.functional.mse_loss)
    loss, *_ = algorithm.meta_loss(replace(learner, **changes), meta, episode, ZERO)
    names, leaves = zip(*mamlzoo.named_leaves(meta), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, leaves, materialize_grads=True, allow_unused=True), strict=True))


def meta_gradient(algorithm, episode):
    return float(gradients(algorithm, episode)["network.weight"])


class Parabola:
    """The mean squared error of θx on a batch: its slope is curvature · θ − height."""

    def __init__(self, batch):
        self.curvature, self.height = float(2 * batch.x.square().mean()), float(2 * (batch.x * batch.y).mean())

    def slope(self, theta):
        return self.curvature * theta - self.height


def test_two_steps_with_momentum_have_the_closed_forms_meta_gradient():
    # b₁ = g₀ and b₂ = μ·g₀ + g₁, so dφ₁ = 1 − αa and dφ₂ = dφ₁ − α·(μa + a·dφ₁), for g_t = a·φ_t − b.
    data, mu = episode(), 0.8
    support, query = Parabola(data.support), Parabola(data.query)
    a, g0 = support.curvature, support.slope(THETA)
    phi, d_phi = THETA - RATE * g0, 1 - RATE * a
    phi, d_phi = phi - RATE * (mu * g0 + support.slope(phi)), d_phi - RATE * (mu * a + a * d_phi)
    algorithm = MAML(inner_steps=2, inner_lr=RATE, inner_optimizer="momentum", inner_momentum=mu)
    assert meta_gradient(algorithm, data) == pytest.approx(d_phi * query.slope(phi), rel=1e-12)


def test_two_steps_of_adam_have_the_closed_forms_meta_gradient():
    # With s = m̂ / (√v̂ + ε): ds = dm̂ / (√v̂ + ε) − m̂ · dv̂ / (2·√v̂·(√v̂ + ε)²).
    data, beta1, beta2, eps = episode(), 0.6, 0.9, 0.5
    support, query = Parabola(data.support), Parabola(data.query)
    phi, d_phi, m, d_m, v, d_v = THETA, 1.0, 0.0, 0.0, 0.0, 0.0
    for t in (1, 2):
        g, d_g = support.slope(phi), support.curvature * d_phi
        m, d_m = beta1 * m + (1 - beta1) * g, beta1 * d_m + (1 - beta1) * d_g
        v, d_v = beta2 * v + (1 - beta2) * g * g, beta2 * d_v + (1 - beta2) * 2 * g * d_g
        m_hat, d_m_hat, v_hat, d_v_hat = (
            m / (1 - beta1**t),
            d_m / (1 - beta1**t),
            v / (1 - beta2**t),
            d_v / (1 - beta2**t),
        )
        below = math.sqrt(v_hat) + eps
        phi -= RATE * m_hat / below
        d_phi -= RATE * (d_m_hat / below - m_hat * d_v_hat / (2 * math.sqrt(v_hat) * below**2))
    algorithm = MAML(
        inner_steps=2, inner_lr=RATE, inner_optimizer="adam", inner_momentum=beta1, inner_beta2=beta2, inner_eps=eps
    )
    assert meta_gradient(algorithm, data) == pytest.approx(d_phi * query.slope(phi), rel=1e-12)


def test_where_the_gradient_is_zero_the_derivative_of_a_step_of_adam_is_the_rate_over_epsilon():
    # g = a·(θ − θ*) is 0 at θ* = θ: φ = θ − α·g / (|g| + ε), so dφ/dθ = 1 − α·a/ε.
    data = episode()
    exact = Episode(Batch(data.support.x, THETA * data.support.x), data.query)
    eps, query = 0.25, Parabola(data.query)
    expected = (1 - RATE * Parabola(exact.support).curvature / eps) * query.slope(THETA)
    algorithm = MAML(inner_lr=RATE, inner_optimizer="adam", inner_eps=eps)
    assert meta_gradient(algorithm, exact) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_steps_are_those_of_torchs_own_optimiser(optimizer):
    algorithm = MAML(inner_optimizer=optimizer, inner_lr=0.05, inner_momentum=0.7)
    assert adapt_is_the_optimisers_step.applies_to(algorithm)
    assert adapt_is_the_optimisers_step.of(algorithm).verdict == "passed"


def test_the_first_step_of_adam_is_of_the_rates_size_in_float32_too():
    # 1 − 0.999¹ in float32 is off by 5e-5 of itself, and √ of it by half of that.
    adam, params = Adam(0.1, 0.9, 0.999, 1e-12), {"w": torch.zeros(1)}
    stepped, _ = adam.step(params, {"w": torch.tensor([3.0])}, adam.begin(params))
    assert float(stepped["w"]) == pytest.approx(-0.1, rel=2e-7)


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_the_first_order_meta_gradient_is_the_query_gradient_whatever_makes_the_steps(optimizer):
    data, given = episode(), {"inner_steps": 3, "inner_lr": RATE, "inner_optimizer": optimizer}
    query = Parabola(data.query)
    learner, meta = mamlzoo.bind(MAML(), nn.Linear(1, 1, bias=False).double(), nn.functional.mse_loss)
    meta = {"network": {"weight": torch.tensor([[THETA]], dtype=torch.float64)}}
    phi = float(mamlzoo.adapt(MAML(**given), learner, meta, data.support, 3)["weight"])
    assert meta_gradient(FOMAML(**given), data) == pytest.approx(query.slope(phi), rel=1e-12)


def test_reptile_takes_steps_of_the_inner_optimiser():
    # One step of Adam without momentum is α·g / (|g| + ε), and the meta-gradient θ − φ.
    data = episode()
    g = Parabola(data.support.joined(data.query)).slope(THETA)
    reptile = Reptile(inner_steps=1, batch=12, inner_lr=RATE, inner_optimizer="adam", inner_momentum=0.0, inner_eps=0.5)
    assert meta_gradient(reptile, data) == pytest.approx(RATE * g / (abs(g) + 0.5), rel=1e-12)


def test_a_linear_schedule_of_outer_sgd_is_reptiles_own():
    # The slopes on all points of D1 and of D2 are 2·(14θ − 13) and 2·(77θ − 19), and their mean 91θ − 32. In step t of
    # two θ goes ε_t = 1 − t/2 of the way to the mean of the φs.
    result = mamlzoo.run("scalar", "neuron", "reptile", options={"algorithm.inner_lr": 0.01, "algorithm.inner_steps": 1},
                         optimizer="sgd", outer_lr=1.0, schedule="linear", iterations=2, meta_batch=2)  # fmt: skip
    first = 1 - 1.0 * 0.01 * (91 * 1 - 32)
    second = first - 0.5 * 0.01 * (91 * first - 32)
    assert result.theta()["network.weight"] == [[pytest.approx(second, rel=1e-6)]]


def test_a_gradient_that_is_clipped_is_as_long_as_torch_makes_it():
    gradient = {"a": torch.tensor([3.0, 4.0]), "b": torch.tensor([[12.0]])}
    assert {name: leaf.tolist() for name, leaf in clipped(gradient, 6.5).items()} == {"a": [1.5, 2.0], "b": [[6.0]]}
    assert all(torch.equal(leaf, gradient[name]) for name, leaf in clipped(gradient, 13.5).items())


def test_through_a_clipped_step_of_one_weight_the_derivative_is_one():
    # c · g/|g| is ±c, whatever θ is.
    data = episode()
    g = Parabola(data.support).slope(THETA)
    clip = abs(g) / 2
    expected = Parabola(data.query).slope(THETA - RATE * math.copysign(clip, g))
    assert meta_gradient(MAML(inner_lr=RATE, inner_clip=clip), data) == pytest.approx(expected, rel=1e-12)


def test_clipping_a_gradient_of_zero_leaves_the_meta_gradient_finite():
    data = episode()
    exact = Episode(Batch(data.support.x, THETA * data.support.x), data.query)
    unclipped = meta_gradient(MAML(inner_lr=RATE), exact)
    assert meta_gradient(MAML(inner_lr=RATE, inner_clip=1.0), exact) == unclipped


def test_parameters_that_no_pattern_matches_stay():
    learner, meta = mamlzoo.bind(MAML(), network(), nn.functional.mse_loss)
    before = meta["network"]
    fast = mamlzoo.adapt(MAML(adapts=("*.bias",)), learner, meta, episode().support, 2)
    assert {name: torch.equal(value, before[name]) for name, value in fast.items()} == {
        "0.weight": True, "0.bias": False, "2.weight": True, "2.bias": False
    }  # fmt: skip


def test_maml_of_the_last_layers_parameters_is_anil():
    given = {"inner_steps": 2, "inner_lr": RATE}
    maml, anil = (gradients(one, episode(), network()) for one in (MAML(adapts=("2.*",), **given), ANIL(**given)))
    torch.testing.assert_close(maml, anil, rtol=1e-12, atol=1e-14)


def test_an_optimisers_state_is_of_what_adapts():
    learner, meta = mamlzoo.bind(MAML(), network(), nn.functional.mse_loss)
    fast = MAML(inner_optimizer="adam", adapts=("2.*",)).start(learner, meta, episode().support)
    assert set(fast) == set(meta["network"])
    assert set(fast.state["mean"]) == {"2.weight", "2.bias"}


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        (
            ("*.bias", "3.*"),
            r"no parameter is called as in adapts '3\.\*'; there are: 0.weight, 0.bias, 2.weight, 2.bias",
        ),
        ((), "adapts is empty"),
    ],
)
def test_patterns_that_match_nothing_are_refused(patterns, said):
    with pytest.raises(mamlzoo.UsageError, match=said):
        mamlzoo.run(model=network().float(), algorithm=MAML(adapts=patterns), iterations=1, test_tasks=2)


def test_a_run_says_which_parameters_adapt_where_not_all_do():
    _, meta = mamlzoo.bind(MAML(), network(), nn.functional.mse_loss)
    assert MAML(adapts=("*.bias",)).remarks(meta) == ["of the parameters adapt: 0.bias, 2.bias"]
    assert MAML().remarks(meta) == []


def test_plain_gradient_descent_has_parameters_for_phi_and_nothing_else():
    learner, meta = mamlzoo.bind(MAML(), network(), nn.functional.mse_loss)
    fast = mamlzoo.adapt(MAML(), learner, meta, episode().support, 1)
    assert type(fast) is dict
    assert MAML().start(learner, meta, episode().support) is meta["network"]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_steps_that_keep_no_graph_give_the_same_meta_gradient(optimizer):
    algorithm = MAML(inner_steps=3, inner_lr=RATE, inner_optimizer=optimizer, inner_clip=0.5)
    kept, computed_again = (gradients(algorithm, episode(), network(), recompute=how) for how in (False, True))
    torch.testing.assert_close(kept, computed_again, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("check", [vmapped_equals_one_by_one, adapted_predicts_the_same], ids=lambda check: check.name)
def test_what_carries_a_state_keeps_the_kits_promises(check):
    assert check.of(MAML(inner_steps=2, inner_optimizer="adam", inner_clip=0.5, adapts=("2.*",))).error is None


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_the_meta_gradient_through_a_state_equals_differences(optimizer):
    given = {"model.hidden": (4,), "model.activation": "tanh", "algorithm.inner_steps": 3, "algorithm.inner_eps": 0.1,
             "algorithm.inner_optimizer": optimizer, "algorithm.inner_lr": 0.05, "algorithm.inner_clip": 2.0}  # fmt: skip
    assert mamlzoo.verify("sine", "mlp", "maml", options=given, coordinates=6, episodes=1).passed


@pytest.mark.slow
def test_a_compiled_state_gives_what_a_batched_one_gives():
    algorithm = MAML(inner_steps=2, inner_optimizer="adam", inner_eps=0.01, inner_clip=1.0)
    given = {"options": {"model.hidden": (8,)}, "iterations": 5, "meta_batch": 3, "test_tasks": 3, "seeds": 2}
    compiled, batched = (mamlzoo.run(algorithm=algorithm, plan=plan, **given) for plan in ("compile", "vmap"))
    assert compiled.plan.plan == "compile"
    torch.testing.assert_close(compiled.meta, batched.meta, rtol=1e-4, atol=1e-5)


class EachStep(mamlzoo.GradientDescent):
    """Judges after each step, and begins at θ itself."""

    name = "each-step"
    inner_steps: int = option(3, "adaptation steps in training", minimum=1)

    def meta_loss(self, learner, meta, episode, progress):
        fast, losses = meta["network"], []
        for _ in range(self.inner_steps):
            fast = self.adapt(learner, meta, fast, episode.support)
            losses.append(learner.loss(fast, episode.query))
        return torch.stack(losses).mean(), {}


class Own(mamlzoo.GradientDescent):
    """Adapts in a way of its own."""

    name = "own"
    inner_clip: float | None = option(None, "largest norm of a step", above=0)

    def adapt(self, learner, meta, fast, support):
        return mamlzoo.sgd(fast, learner.gradient(fast, support), 2 * self.inner_lr)

    def meta_loss(self, learner, meta, episode, progress):
        return learner.loss(mamlzoo.adapt(self, learner, meta, episode.support, 1), episode.query), {}


class Heir(Own):
    """Adapts as its parent does."""

    name = "heir"


def test_an_algorithm_with_nothing_but_a_meta_loss_has_each_inner_optimiser():
    # What begins at θ, without a state, goes on as what `start` gives.
    data, given = episode(), {"inner_optimizer": "adam", "inner_lr": RATE}
    expected = sum(gradients(MAML(inner_steps=k, **given), data)["network.weight"] for k in (1, 2, 3)) / 3
    assert meta_gradient(EachStep(**given), data) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("cls", [Own, Heir])
def test_an_algorithm_with_steps_of_its_own_has_the_options_that_it_declares(cls):
    assert list(options.options_of(cls)) == ["inner_lr", "inner_clip"]
    assert cls().adapts_by() is None
    with pytest.raises(TypeError, match="inner_optimizer"):
        cls(inner_optimizer="adam")


def test_an_algorithm_without_steps_of_its_own_has_every_option():
    assert set(OF_STEPS) < set(options.options_of(EachStep))
