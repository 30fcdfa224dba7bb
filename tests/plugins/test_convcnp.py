"""The convolutional conditional neural process: its set convolutions by hand, and that it moves along."""

from __future__ import annotations

import math

import pytest
import torch
from neural_processes import bound, points, predicted, require_masks_are_subsets, require_refusals
from torch import nn

import mamlzoo
from mamlzoo import Batch, Spec
from mamlzoo_algorithms.convcnp import ConvCNP
from mamlzoo_algorithms.unet import UNet

SMALL = {"x_min": -2.0, "x_max": 2.0, "points_per_unit": 8, "channels": 6, "levels": 2}


class Channels(nn.Module):
    """Gives the channels as they are: the mean is the density, and s the signal."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, line):
        return self.scale * line


def test_its_set_convolutions_are_sums_over_support_points_and_grid():
    algorithm = ConvCNP(**SMALL, least_sd=0.2)
    learner, meta = bound(algorithm, {"convolutions": Channels()})
    support, at = points(3), 0.3
    length = 2 / 8  # of both set convolutions at first: two steps of the grid
    grid = [-2.1875 + step / 8 for step in range(36)]  # 4.2 units, rounded up to a multiple of 4 points, around 0

    def near(one, other):
        return math.exp(-((one - other) ** 2) / (2 * length**2))

    pairs = [(float(x), float(y)) for x, y in zip(*support, strict=True)]
    density = [sum(near(t, x) for x, _ in pairs) for t in grid]
    signal = [sum(near(t, x) * y for x, y in pairs) / (d + 1e-4) for t, d in zip(grid, density, strict=True)]
    weights = [near(t, at) / sum(near(u, at) for u in grid) for t in grid]
    mean, free = (sum(w * v for w, v in zip(weights, values, strict=True)) for values in (density, signal))
    found = predicted(algorithm, learner, meta, support, torch.tensor([[at]], dtype=torch.float64))
    assert float(found.mean) == pytest.approx(mean)
    assert float(found.sd) == pytest.approx(0.2 + 0.8 * math.log(1 + math.exp(free)))


def test_shifted_along_the_grid_a_set_gives_shifted_predictions():
    # Far enough from both ends that what lies behind them is not seen.
    algorithm = ConvCNP(x_min=-20.0, x_max=20.0, points_per_unit=8, channels=6, levels=2)
    learner, meta = bound(algorithm)
    (x, y), query = points(5), points(4, seed=1)
    still = predicted(algorithm, learner, meta, Batch(x, y), query.x)
    for steps in (4, 16):  # of which 2² fall on one point where the grid was halved twice
        moved = predicted(algorithm, learner, meta, Batch(x + steps / 8, y), query.x + steps / 8)
        torch.testing.assert_close(moved.mean, still.mean)
        torch.testing.assert_close(moved.variance, still.variance)


def test_a_query_point_beyond_the_grid_is_predicted_as_its_end():
    algorithm = ConvCNP(**SMALL)
    learner, meta = bound(algorithm)
    found = predicted(algorithm, learner, meta, points(5), torch.tensor([[50.0], [60.0]], dtype=torch.float64))
    assert found.mean.isfinite().all()
    torch.testing.assert_close(found.mean[0], found.mean[1])


@pytest.mark.parametrize(("margin", "points_per_unit", "levels"), [(0.1, 16, 4), (0.0, 10, 1), (1.0, 3, 5)])
def test_the_grid_reaches_beyond_the_inputs_in_even_steps_and_can_be_halved(margin, points_per_unit, levels):
    algorithm = ConvCNP(x_min=-1.0, x_max=3.0, margin=margin, points_per_unit=points_per_unit, levels=levels)
    grid = algorithm._grid(torch.zeros(1, dtype=torch.float64))
    assert len(grid) % 2**levels == 0
    steps = 1 / points_per_unit
    assert grid[0] <= -1 - margin + steps
    assert grid[-1] >= 3 + margin - steps
    torch.testing.assert_close(grid.diff(), torch.full((len(grid) - 1,), steps, dtype=torch.float64))
    assert float(grid.mean()) == pytest.approx(1)


def test_a_run_says_where_its_grid_is():
    assert ConvCNP(**SMALL).remarks({}) == [
        "the grid: 36 points from -2.188 to 2.188; beyond, predictions are its ends'"
    ]


@pytest.mark.parametrize("levels", [1, 3])
def test_the_convolutions_keep_the_length_of_a_line(levels):
    assert UNet(2, 3, 4, levels)(torch.zeros(5, 2, 24)).shape == (5, 3, 24)


def test_masks_are_subsets():
    require_masks_are_subsets(ConvCNP(**SMALL))


def test_what_it_cannot_learn_is_refused():
    require_refusals(ConvCNP())
    with pytest.raises(mamlzoo.UsageError, match="has its grid on one input, and the task has 2"):
        ConvCNP().networks(Spec((2,), 1))
    with pytest.raises(mamlzoo.UsageError, match="x_min must be below x_max, and 3 is not below 2"):
        ConvCNP(x_min=3.0, x_max=2.0)


def test_several_targets_have_a_channel_each():
    learner, meta = bound(ConvCNP(**SMALL), spec=Spec((1,), 2))
    found = predicted(ConvCNP(**SMALL), learner, meta, points(4, targets=2), points(3).x)
    assert found.mean.shape == found.variance.shape == (3, 2)


@pytest.mark.slow
def test_it_is_trained_by_a_compiled_program_as_without_one():
    plans = [
        mamlzoo.run("gp", "mlp", ConvCNP(**SMALL), iterations=3, test_tasks=4, test_steps=0, plan=plan)
        for plan in ("compile", "vmap", "loop")
    ]
    for other in plans[1:]:
        for name, group in plans[0].meta.items():
            for part, value in group.items():
                torch.testing.assert_close(value, other.meta[name][part], atol=1e-5, rtol=1e-4)
