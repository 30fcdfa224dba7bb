"""Least squares, held against NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

import mamlzoo
from mamlzoo import Batch, Spec
from mamlzoo_algorithms.least_squares import LeastSquares


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def predicted(algorithm, x, y, at):
    learner, meta = mamlzoo.bind(algorithm, {}, functional.mse_loss, Spec(x.shape[1:], y.shape[1]))
    return algorithm.predict(learner, meta, algorithm.start(learner, meta, Batch(x, y)), at).detach()


@pytest.mark.parametrize("degree", [0, 1, 3])
def test_it_is_the_polynomial_of_that_degree(degree):
    x, y, at = normal(9, 1), normal(9, 1, seed=1), normal(5, 1, seed=2)
    expected = np.polyval(np.polyfit(x[:, 0], y[:, 0], degree), at)
    assert predicted(LeastSquares(degree=degree), x, y, at).numpy() == pytest.approx(expected)


def test_powers_of_several_inputs_are_each_inputs_own():
    x, at = normal(20, 2), normal(5, 2, seed=1)

    def f(x):
        return 1 + 2 * x[:, :1] - x[:, 1:] + 3 * x[:, :1] ** 2 + 0.5 * x[:, 1:] ** 2

    torch.testing.assert_close(predicted(LeastSquares(degree=2), x, f(x), at), f(at))


def test_where_there_are_fewer_points_than_weights_the_shortest_fits():
    x, y, at = normal(3, 8), normal(3, 2, seed=1), normal(4, 8, seed=2)
    centred = (x - x.mean(0)).numpy()
    shortest = np.linalg.lstsq(centred, (y - y.mean(0)).numpy())[0]
    expected = y.mean(0).numpy() + (at - x.mean(0)).numpy() @ shortest
    assert predicted(LeastSquares(), x, y, at).numpy() == pytest.approx(expected)


def test_without_an_intercept_it_goes_through_the_origin():
    x, y, at = normal(3, 8), normal(3, 2, seed=1), normal(4, 8, seed=2)
    expected = at.numpy() @ np.linalg.lstsq(x.numpy(), y.numpy())[0]
    assert predicted(LeastSquares(intercept=False), x, y, at).numpy() == pytest.approx(expected)


def test_one_point_is_all_that_is_known():
    y = torch.tensor([[3.0, -2.0]])
    assert predicted(LeastSquares(), torch.ones(1, 4), y, torch.zeros(2, 4)).tolist() == [[3.0, -2.0]] * 2


def test_a_ridge_holds_the_slopes_and_leaves_the_intercept():
    # Around the mean of x, Σ(x − x̄)² = 2 and Σ(x − x̄)(y − ȳ) = 3: the slope is 3 / (2 + λ), and at x̄ it is ȳ.
    x, y = torch.tensor([[4.0], [5.0], [6.0]]), torch.tensor([[10.0], [11.0], [13.0]])
    found = predicted(LeastSquares(ridge=4.0), x, y, torch.tensor([[5.0], [7.0]]))
    assert found.flatten().tolist() == pytest.approx([34 / 3, 34 / 3 + 2 * 3 / 6])


def test_a_run_makes_no_meta_step_and_needs_no_network():
    result = mamlzoo.run("sine", "mlp", LeastSquares(degree=3), test_tasks=20)
    assert "model 'mlp' has no part in it: algorithm 'least-squares' wants no network" in result.remarks
    assert len(result.checkpoint.history) == 0


def test_it_refuses_classes_and_distributions():
    with pytest.raises(
        mamlzoo.UsageError, match="'least-squares' predicts numbers, and the task wants classes; choose a"
    ):
        LeastSquares().networks(Spec((2,), 3, kind="classification"))
    with pytest.raises(mamlzoo.UsageError, match="'least-squares' predicts numbers, and the task wants distributions"):
        LeastSquares().networks(Spec((2,), 2, target_size=1))
