"""Steps: that functions jump between −1 and 1, so often and there as is said."""

from __future__ import annotations

import pytest
import torch

from mamlzoo.errors import UsageError
from mamlzoo_tasks.steps import Steps


def sample(task, count=300, split="test", seed=0):
    return task.sample(count, split=split, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [1, 3])
def test_a_function_begins_at_minus_1_and_jumps_so_often_within_the_range(steps):
    query = sample(Steps(steps=steps, test_points=2001)).query
    x, y = query.x[0, :, 0], query.y[..., 0]
    assert set(y.unique().tolist()) == {-1.0, 1.0}
    assert bool((y[:, 0] == -1).all())
    assert bool((y[:, -1] == (1 if steps % 2 else -1)).all())
    jumps = y.diff(dim=1) != 0
    assert float((jumps.sum(1) == steps).double().mean()) > 0.95  # two within a grid's width cancel
    places = x[:-1].expand_as(jumps)[jumps]
    assert float(places.min()) == pytest.approx(-2.5, abs=0.1)
    assert float(places.max()) == pytest.approx(2.5, abs=0.1)


def test_noise_is_on_the_support_set_and_not_on_the_grid():
    support = sample(Steps(), 1000).support
    assert float((support.y - support.y.sign()).std()) == pytest.approx(0.05**0.5, rel=0.05)


def test_support_and_query_are_of_one_function():
    support, query = sample(Steps(noise=0.0, test_points=10_001), 20)
    nearest = ((support.x[..., 0] + 5) * 1000).round().long()
    assert float((query.y[..., 0].gather(1, nearest) == support.y[..., 0]).double().mean()) > 0.99


def test_ranges_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="task 'steps': step_min must not exceed step_max, 3 > 2.5"):
        Steps(step_min=3.0)
