"""Curves of Gaussian processes: that they are of the kernel that is said, their ranges, noise and grid."""

from __future__ import annotations

import math

import pytest
import torch

import mamlzoo
from mamlzoo import Range
from mamlzoo.errors import UsageError
from mamlzoo_tasks.gp import GP

KERNELS = {
    "rbf": lambda d, length, p: math.exp(-d * d / (2 * length**2)),
    "matern": lambda d, length, p: (
        (1 + math.sqrt(5) * d / length + 5 * d * d / (3 * length**2)) * math.exp(-math.sqrt(5) * d / length)
    ),
    "periodic": lambda d, length, p: math.exp(-2 * (math.sin(math.pi * d / p) / length) ** 2),
    "weakly-periodic": lambda d, length, p: math.exp(-d * d / (2 * length**2) - 2 * math.sin(math.pi * d / p) ** 2),
}
"""Of variance 1, by distance, length and period."""
VARIED = {"length_min": 0.2, "length_max": 0.6, "scale_min": 0.3, "scale_max": 1.0, "period_min": 0.3, "tell": True}
VARIED |= {"period_max": 0.5}


def sample(task, count=200, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def covariance(kernel, x, length, scale, period, noise):
    rows = [[scale**2 * KERNELS[kernel](abs(a - b), length, period) for b in x] for a in x]
    return torch.tensor(rows, dtype=torch.float64) + noise**2 * torch.eye(len(x), dtype=torch.float64)


@pytest.mark.parametrize("kernel", KERNELS)
def test_whitened_by_the_kernel_that_is_told_a_curve_is_white(kernel):
    # With L·Lᵀ the covariance of an episode's targets, L⁻¹·y ~ N(0, I): mean 0, variance 1, nothing left in common.
    drawn, white = sample(GP(kernel=kernel, shots=4, queries=8, noise=0.1, **VARIED), 400), []
    every_x, every_y = (torch.cat(both, 1) for both in zip(*drawn, strict=True))
    for x, y in zip(every_x, every_y, strict=True):
        length, scale, period = x[0, 1:].double().exp().tolist()
        factor = torch.linalg.cholesky(covariance(kernel, x[:, 0].tolist(), length, scale, period, 0.1))
        white.append(torch.linalg.solve_triangular(factor, y.double(), upper=False)[:, 0])
    white = torch.stack(white)
    spread = white.T @ white / len(white)  # of 12 numbers of 400 episodes: each off by about 1/√400 = .05
    assert float(white.mean()) == pytest.approx(0, abs=4 / math.sqrt(white.numel()))
    assert float(white.square().mean()) == pytest.approx(1, abs=4 * math.sqrt(2 / white.numel()))
    assert float((spread - torch.eye(12)).abs().max()) < 0.3


def test_what_is_told_is_the_same_for_all_points_of_an_episode_and_fills_its_ranges():
    drawn = sample(GP(shots=2, queries=3, **VARIED), 4000)
    told = torch.cat([drawn.support.x, drawn.query.x], 1)[..., 1:]
    assert torch.equal(told, told[:, :1].expand_as(told))
    values = told[:, 0].exp()
    for at, (low, high) in enumerate([(0.2, 0.6), (0.3, 1.0), (0.3, 0.5)]):
        assert low - 1e-4 <= float(values[:, at].min())
        assert float(values[:, at].max()) <= high + 1e-4
        assert float(values[:, at].mean()) == pytest.approx((low + high) / 2, abs=0.02)


def test_a_network_is_given_x_alone_unless_more_is_to_be_told():
    assert GP().spec.input_shape == (1,)
    assert GP(tell=True).spec.input_shape == (4,)
    plain, told = sample(GP()), sample(GP(tell=True))
    assert torch.equal(plain.support.x, told.support.x[..., :1])
    assert torch.equal(plain.query.y, told.query.y)


def test_support_sets_have_every_size_of_the_range_an_empty_one_too():
    drawn = sample(GP(shots=Range(0, 3)), 400)
    assert sorted(set(drawn.support.mask.sum(1).tolist())) == [0, 1, 2, 3]
    assert drawn.query.mask is None


def test_all_inputs_fill_their_interval():
    for batch in sample(GP(shots=20, x_min=1.0, x_max=3.0)):
        assert 1 <= batch.x.min() < 1.05
        assert 2.95 < batch.x.max() <= 3


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_targets_of_every_split_have_the_noise(split):
    # Of a curve that hardly varies, with x so close together, what is left is the noise.
    query = sample(GP(scale_min=1e-3, scale_max=1e-3, noise=0.3), split=split).query
    assert float(query.y.std()) == pytest.approx(0.3, abs=0.01)


def test_on_a_grid_a_test_is_judged_on_the_curve_that_its_support_points_lie_on():
    task = GP(noise=0.0, shots=10)
    plain, fine = sample(task, 20, "test"), sample(task.on_grid(201), 20, "test")
    assert torch.equal(plain.support.x, fine.support.x)
    torch.testing.assert_close(plain.support.y, fine.support.y, atol=1e-3, rtol=0)
    torch.testing.assert_close(fine.query.x[3, :, 0], torch.linspace(-2, 2, 201))
    nearest = ((fine.support.x + 2) / 4 * 200).round().long()
    # A curve of length .25 has slopes ~ N(0, 4²), and the nearest point of the grid is at most .01 away.
    apart = (fine.query.y.gather(1, nearest) - fine.support.y).abs()
    assert float(apart.max()) < 4 * 4 * 0.01


def test_a_grid_is_for_tests_alone():
    assert sample(GP(grid=7)).query.x.shape == (200, 50, 1)
    assert sample(GP(grid=7), split="valid").query.x.shape == (200, 7, 1)


def test_a_draw_does_not_depend_on_how_many_covariances_are_factorised_at_once(monkeypatch):
    whole = sample(GP(), 30)
    monkeypatch.setattr("mamlzoo_tasks.gp_family.AT_ONCE", 7)
    torch.testing.assert_close(sample(GP(), 30).query.y, whole.query.y)


def test_a_kernel_of_infinite_smoothness_at_many_points_is_drawn_all_the_same():
    assert sample(GP(length_min=3.0, length_max=3.0, queries=300, noise=0.0), 5).query.y.isfinite().all()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"length_min": 0.5}, "length_min must not exceed length_max, 0.5 > 0.25"),
        ({"x_min": 3.0}, "x_min must not exceed x_max, 3 > 2"),
        ({"scale_max": 0.0}, "scale_max must be above 0, not 0.0"),
    ],
)
def test_ranges_that_cannot_be_are_refused(given, complaint):
    with pytest.raises(UsageError, match=complaint):
        GP(**given)


@pytest.mark.slow
def test_who_fits_by_gradients_learns_curves_from_sets_of_any_size():
    result = mamlzoo.run(GP(shots=Range(0, 5)), "mlp", "maml", iterations=2, test_tasks=8, test_steps=1, plan="vmap")
    assert math.isfinite(result.evaluation.mean[1])
