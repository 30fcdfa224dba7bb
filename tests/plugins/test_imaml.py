"""iMAML: where its inner problem ends, and the derivative of that, in closed form and by a matrix that is solved."""

from __future__ import annotations

import pytest
import torch
from neuron_by_hand import THETA, ZERO, bound, curvature, episode, gradients, padded, slope
from torch import nn

import mamlzoo
from mamlzoo import Batch, Episode
from mamlzoo_algorithms.conjugate_gradients import conjugate_gradients
from mamlzoo_algorithms.imaml import IMAML

STRENGTH = 3.0


def minimum(batch):
    """Of L_S(φ) + λ/2·(φ − θ)²: with L_S′(φ) = h·φ − b it is (b + λθ) / (h + λ)."""
    b = float(2 * (batch.x * batch.y).mean())
    return (b + STRENGTH * THETA) / (curvature(batch) + STRENGTH)


def at_the_minimum(data, **options):
    """An iMAML whose one step ends there: the inner problem is a parabola, and the rate is Newton's."""
    return IMAML(strength=STRENGTH, inner_steps=1, inner_lr=1 / (STRENGTH + curvature(data.support)), **options)


def test_steps_close_in_on_the_minimum_of_the_held_support_loss():
    # Each step multiplies the distance to φ* by 1 − α(λ + h).
    data, imaml = episode(), IMAML(strength=STRENGTH, inner_lr=0.1)
    learner, meta = bound(imaml)
    aim, factor = minimum(data.support), 1 - 0.1 * (STRENGTH + curvature(data.support))
    for steps in range(4):
        found = mamlzoo.adapt(imaml, learner, meta, data.support, steps)["weight"].detach()
        assert float(found) == pytest.approx(aim + factor**steps * (THETA - aim))


@pytest.mark.parametrize("cg_steps", [1, 5])
def test_the_meta_gradient_is_the_minimums_derivative(cg_steps):
    # φ* = (b + λθ) / (h + λ), so ∂φ*/∂θ = λ / (h + λ).
    data = episode()
    imaml = at_the_minimum(data, cg_steps=cg_steps)
    by_hand = slope(minimum(data.support), data.query) * STRENGTH / (curvature(data.support) + STRENGTH)
    assert float(gradients(imaml, *bound(imaml), data)["network.weight"]) == pytest.approx(by_hand)


def test_damping_adds_to_the_identity():
    data = episode()
    imaml = at_the_minimum(data, damping=1.5)
    by_hand = slope(minimum(data.support), data.query) / (1 + 1.5 + curvature(data.support) / STRENGTH)
    assert float(gradients(imaml, *bound(imaml), data)["network.weight"]) == pytest.approx(by_hand)


def test_the_meta_loss_is_the_query_loss_where_adaptation_ends():
    data = episode()
    imaml = at_the_minimum(data)
    loss, _ = imaml.meta_loss(*bound(imaml), data, ZERO)
    by_hand = (minimum(data.support) * data.query.x - data.query.y).square().mean()
    assert float(loss.detach()) == pytest.approx(float(by_hand))


def test_held_without_end_it_takes_the_query_gradient_at_theta():
    data, imaml = episode(), IMAML(strength=1e9, inner_lr=1e-9)
    found = gradients(imaml, *bound(imaml), data)["network.weight"]
    assert float(found) == pytest.approx(slope(THETA, data.query))


def test_a_query_loss_without_a_slope_gives_no_gradient_and_no_nan():
    data = episode()
    imaml, aim = at_the_minimum(data), minimum(data.support)
    x = torch.tensor([[2.0]], dtype=torch.float64)
    phi = mamlzoo.adapt(imaml, *bound(imaml), data.support, 1)["weight"].detach()
    assert float(phi) == pytest.approx(aim)
    solved = Episode(data.support, Batch(x, x @ phi))
    assert float(gradients(imaml, *bound(imaml), solved)["network.weight"]) == 0


def test_padding_has_no_part():
    data, imaml = episode(), IMAML(inner_lr=0.05, inner_steps=3)
    plain, same = (gradients(imaml, *bound(imaml), given) for given in (data, padded(data)))
    torch.testing.assert_close(plain, same)


@pytest.fixture(scope="module")
def curved():
    """A network of 10 parameters, an iMAML that reaches its minimum, and an episode."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    imaml = IMAML(strength=4.0, inner_lr=0.1, inner_steps=60, cg_steps=10)
    learner, meta = mamlzoo.bind(imaml, network, nn.functional.mse_loss)
    return imaml, learner, meta, episode()


def test_the_meta_gradient_solves_the_implicit_equations(curved):
    imaml, learner, meta, data = curved
    fast = mamlzoo.stop_gradient(mamlzoo.adapt(imaml, learner, meta, data.support, imaml.inner_steps))
    names, sizes = list(fast), [value.numel() for value in fast.values()]

    def support_loss(flat):
        parts = zip(names, flat.split(sizes), strict=True)
        return learner.loss({name: part.reshape(fast[name].shape) for name, part in parts}, data.support)

    hessian = torch.func.jacrev(torch.func.jacrev(support_loss))(
        torch.cat([value.flatten() for value in fast.values()])
    )
    query = torch.cat([value.flatten() for value in learner.gradient(fast, data.query).values()])
    by_hand = torch.linalg.solve(torch.eye(10, dtype=torch.float64) + hessian / imaml.strength, query)
    found = gradients(imaml, learner, meta, data)
    torch.testing.assert_close(torch.cat([found[f"network.{name}"].flatten() for name in names]), by_hand)


def test_the_meta_gradient_is_how_the_query_loss_changes_with_theta(curved):
    imaml, learner, meta, data = curved
    generator = torch.Generator().manual_seed(1)
    way = {n: torch.randn(v.shape, generator=generator, dtype=v.dtype) for n, v in meta["network"].items()}

    def query_loss(step):
        theta = {name: value.detach() + step * way[name] for name, value in meta["network"].items()}
        return float(imaml.meta_loss(learner, {"network": theta}, data, ZERO)[0])

    along = sum((value * way[name.removeprefix("network.")]).sum() for name, value in gradients(*curved).items())
    assert float(along) == pytest.approx((query_loss(1e-5) - query_loss(-1e-5)) / 2e-5, rel=1e-4)


def symmetric(seed):
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(5, 5, generator=generator, dtype=torch.float64)
    return root @ root.T + torch.eye(5, dtype=torch.float64)


def test_conjugate_gradients_solve_in_as_many_steps_as_there_are_unknowns():
    matrices = torch.stack([symmetric(0), symmetric(1), torch.eye(5, dtype=torch.float64)])
    right = torch.arange(15, dtype=torch.float64).reshape(3, 5)

    def solved(matrix, vector):
        def product(v):
            image = matrix @ torch.cat([v["a"], v["b"]])
            return {"a": image[:2], "b": image[2:]}

        found = conjugate_gradients(product, {"a": vector[:2], "b": vector[2:]}, 5)
        return torch.cat([found["a"], found["b"]])

    by_hand = torch.linalg.solve(matrices, right)
    for solve in (torch.vmap(solved), lambda *rows: torch.stack([solved(*row) for row in zip(*rows, strict=True)])):
        torch.testing.assert_close(solve(matrices, right), by_hand)
