"""Saw teeth: that all points lie on one wave of the ranges that are said."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.errors import UsageError
from mamlzoo_tasks.sawtooth import Sawtooth


def sample(task, count=100, split="train", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


def slopes(drawn):
    """Of each episode ±ω: between neighbours there is mostly no jump, so it is the median."""
    x = torch.cat([drawn.support.x, drawn.query.x], 1)[..., 0].double()
    y = torch.cat([drawn.support.y, drawn.query.y], 1)[..., 0].double()
    order = x.argsort(1)
    x, y = x.gather(1, order), y.gather(1, order)
    steps = x.diff(dim=1)
    return (y.diff(dim=1) / steps).masked_fill(steps < 1e-3, torch.nan).nanmedian(1).values


def test_all_points_lie_on_one_wave_of_teeth_from_0_to_1():
    drawn = sample(Sawtooth(shots=20, queries=400))
    slope = slopes(drawn)[:, None, None]
    for batch in drawn:
        assert batch.y.min() >= 0
        assert batch.y.max() <= 1
        # y − slope·x is minus the shift, but for whole numbers, so its place on a circle is the same for all points.
        turned = torch.polar(torch.tensor(1.0).double(), 2 * torch.pi * (batch.y - slope * batch.x))
        assert float(turned.mean(1).abs().min()) > 0.999


def test_frequencies_fill_their_range_and_both_directions_come():
    slope = slopes(sample(Sawtooth(queries=400), 1000))
    assert float(slope.abs().min()) > 1.99
    assert float(slope.abs().max()) < 4.01
    assert float(slope.abs().mean()) == pytest.approx(3, abs=0.06)
    assert float((slope > 0).double().mean()) == pytest.approx(0.5, abs=0.06)


def test_values_are_even_over_a_tooth_since_the_shift_is():
    y = sample(Sawtooth(queries=1), 4000).query.y
    assert float(y.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(y.var()) == pytest.approx(1 / 12, abs=0.005)


def test_noise_is_on_all_targets_but_those_of_a_grid():
    noisy = Sawtooth(noise=0.5, shots=5)
    for batch in sample(noisy, 400, "test"):
        assert float(batch.y.var()) == pytest.approx(0.25 + 1 / 12, abs=0.03)
    grid = sample(noisy.on_grid(9), 400, "test").query
    assert 0 <= grid.y.min() <= grid.y.max() <= 1
    torch.testing.assert_close(grid.x[1, :, 0], torch.linspace(-2, 2, 9))


def test_the_support_sets_are_the_same_whatever_the_grid():
    plain, fine = (sample(task, split="test").support for task in (Sawtooth(), Sawtooth(grid=50)))
    assert torch.equal(plain.x, fine.x)
    assert torch.equal(plain.y, fine.y)


def test_ranges_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="frequency_min must not exceed frequency_max, 5 > 4"):
        Sawtooth(frequency_min=5.0)
